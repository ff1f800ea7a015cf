/* flock(2), fcntl(2) record locks of a process and of an open file. */
#include "px.h"

#include <signal.h>
#include <sys/file.h>

static int scene(struct px *t, int flags)
{
	px_file(t, "f", "0123456789");
	return FD(open("f", flags));
}

/* What another process that opens the file gets: 0 or the errno. */
static int try_flock(void *arg)
{
	int fd = open("f", O_RDWR);

	return flock(fd, *(int *)arg | LOCK_NB) ? errno : 0;
}

static void child_flock(struct px *t, int how)
{
	px_note(t, "child flock %d: %s", how, strerrorname_np(px_child(t, try_flock, &how)));
}

static int try_fcntl(void *arg)
{
	int fd = open("f", O_RDWR);

	return fcntl(fd, F_SETLK, arg) ? errno : 0;
}

static struct flock range(short type, off_t start, off_t len)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};
}

static void child_lock(struct px *t, short type, off_t start, off_t len)
{
	struct flock l = range(type, start, len);

	px_note(t, "child lock %d %ld %ld: %s", type, (long)start, (long)len,
		strerrorname_np(px_child(t, try_fcntl, &l)));
}

static long set(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock l = range(type, start, len);

	return fcntl(fd, cmd, &l);
}

static void flock_exclusive(struct px *t)
{
	int a = scene(t, O_RDWR), b = FD(open("f", O_RDONLY));

	TRY(flock(a, LOCK_EX));
	TRY(flock(b, LOCK_EX | LOCK_NB));
	TRY(flock(b, LOCK_SH | LOCK_NB));
	child_flock(t, LOCK_SH);
	TRY(flock(a, LOCK_UN));
	TRY(flock(b, LOCK_EX | LOCK_NB));
	child_flock(t, LOCK_SH);
}

static void flock_shared(struct px *t)
{
	int a = scene(t, O_RDWR), b = FD(open("f", O_RDWR));

	TRY(flock(a, LOCK_SH | LOCK_NB));
	TRY(flock(b, LOCK_SH | LOCK_NB));
	child_flock(t, LOCK_SH);
	child_flock(t, LOCK_EX);
	TRY(flock(a, LOCK_EX | LOCK_NB));
	TRY(flock(b, LOCK_UN));
	TRY(flock(a, LOCK_EX | LOCK_NB));
}

static void flock_close(struct px *t)
{
	int a = scene(t, O_RDWR), two = FD(dup(a));

	/* the lock belongs to the open file: the last copy's close lets it go */
	TRY(flock(a, LOCK_EX));
	TRY(close(a));
	child_flock(t, LOCK_EX);
	TRY(flock(two, LOCK_EX | LOCK_NB));
	TRY(close(two));
	child_flock(t, LOCK_EX);
}

static void flock_errors(struct px *t)
{
	int fd = scene(t, O_RDONLY), dir, path;

	px_dir(t, "d");
	dir = FD(open("d", O_RDONLY));
	path = FD(open("f", O_PATH));
	TRY(flock(fd, 0));
	TRY(flock(fd, 64));
	TRY(flock(999, LOCK_SH));
	TRY(flock(path, LOCK_SH));
	TRY(flock(dir, LOCK_EX | LOCK_NB));
	TRY(flock(fd, LOCK_UN));
}

static void fcntl_write(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(set(fd, F_SETLK, F_WRLCK, 0, 0));
	child_lock(t, F_WRLCK, 0, 0);
	child_lock(t, F_RDLCK, 5, 1);
	TRY(set(fd, F_SETLK, F_UNLCK, 0, 0));
	child_lock(t, F_WRLCK, 0, 0);
}

static void fcntl_read(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(set(fd, F_SETLK, F_RDLCK, 0, 0));
	child_lock(t, F_RDLCK, 0, 0);
	child_lock(t, F_WRLCK, 0, 0);
}

static void fcntl_ranges(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(set(fd, F_SETLK, F_WRLCK, 10, 10));
	child_lock(t, F_WRLCK, 0, 10);
	child_lock(t, F_WRLCK, 9, 2);
	child_lock(t, F_WRLCK, 20, 5);
	child_lock(t, F_RDLCK, 19, 1);
	/* a hole in the middle makes two locks */
	TRY(set(fd, F_SETLK, F_UNLCK, 14, 2));
	child_lock(t, F_WRLCK, 14, 2);
	child_lock(t, F_WRLCK, 13, 1);
	child_lock(t, F_WRLCK, 16, 1);
	/* part of it becomes a read lock */
	TRY(set(fd, F_SETLK, F_RDLCK, 10, 2));
	child_lock(t, F_RDLCK, 10, 2);
	child_lock(t, F_RDLCK, 12, 1);
}

static void fcntl_whence(struct px *t)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -4, .l_len = 2 };
	int fd = scene(t, O_RDWR);

	TRY(fcntl(fd, F_SETLK, &l));
	child_lock(t, F_WRLCK, 5, 1);
	child_lock(t, F_WRLCK, 6, 1);
	child_lock(t, F_WRLCK, 8, 1);
	TRY(lseek(fd, 3, SEEK_SET));
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = 0, .l_len = -2 };
	TRY(fcntl(fd, F_SETLK, &l));
	child_lock(t, F_WRLCK, 1, 1);
	child_lock(t, F_WRLCK, 3, 1);
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = -1, .l_len = 2 };
	TRY(fcntl(fd, F_SETLK, &l));
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = 9 };
	TRY(fcntl(fd, F_SETLK, &l));
}

static int ask_lock(void *arg)
{
	struct flock l = range(F_RDLCK, 0, 0);
	int fd = open("f", O_RDWR);

	if (fcntl(fd, F_GETLK, &l))
		return 255;
	return (l.l_pid == *(pid_t *)arg) | (l.l_type == F_WRLCK) << 1 | (l.l_start == 3) << 2 |
	       (l.l_len == 4) << 3 | (l.l_type == F_UNLCK) << 4;
}

static void fcntl_getlk(struct px *t)
{
	pid_t me = getpid();
	int fd = scene(t, O_RDWR);
	struct flock l = range(F_WRLCK, 0, 0);

	TRY(set(fd, F_SETLK, F_WRLCK, 3, 4));
	px_note(t, "child is told %d", px_child(t, ask_lock, &me));
	/* one's own locks are never in the way */
	TRY(fcntl(fd, F_GETLK, &l));
	px_note(t, "type %d", l.l_type);
	TRY(set(fd, F_SETLK, F_UNLCK, 0, 0));
	px_note(t, "child is told %d", px_child(t, ask_lock, &me));
}

static void fcntl_any_close(struct px *t)
{
	int fd = scene(t, O_RDWR), other;

	/* the rule nobody likes: closing any descriptor of the file drops the process's locks */
	TRY(set(fd, F_SETLK, F_WRLCK, 0, 0));
	other = FD(open("f", O_RDONLY));
	child_lock(t, F_WRLCK, 0, 0);
	TRY(close(other));
	child_lock(t, F_WRLCK, 0, 0);
}

static void fcntl_direction(struct px *t)
{
	int r = scene(t, O_RDONLY), w = FD(open("f", O_WRONLY)), dir = FD(open(".", O_RDONLY));

	TRY(set(r, F_SETLK, F_WRLCK, 0, 0));
	TRY(set(w, F_SETLK, F_RDLCK, 0, 0));
	TRY(set(r, F_SETLK, F_RDLCK, 0, 0));
	TRY(set(w, F_SETLK, F_WRLCK, 0, 0));
	TRY(set(dir, F_SETLK, F_RDLCK, 0, 0));
	TRY(set(r, F_SETLK, 77, 0, 0));
	TRY(set(999, F_SETLK, F_RDLCK, 0, 0));
}

static int hold_until_killed(void *arg)
{
	int *pipes = arg, fd = open("f", O_RDWR);

	if (set(fd, F_SETLK, F_WRLCK, 0, 0) || write(pipes[1], "L", 1) != 1)
		return 1;
	pause();
	return 0;
}

static void on_alarm(int sig)
{
	(void)sig;
}

static pid_t holder(struct px *t, int *pipes)
{
	pid_t pid;
	char c;

	px_need(t, !pipe(pipes), "pipe");
	pid = fork();
	if (pid == 0) {
		alarm(20);
		_exit(hold_until_killed(pipes));
	}
	px_need(t, pid > 0 && read(pipes[0], &c, 1) == 1, "holder");
	return pid;
}

static void fcntl_wait_interrupted(struct px *t)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int fd = scene(t, O_RDWR), pipes[2];
	pid_t pid = holder(t, pipes);

	TRY(set(fd, F_SETLK, F_WRLCK, 0, 0));
	sigaction(SIGALRM, &sa, NULL);
	ualarm(50000, 50000);
	TRY(set(fd, F_SETLKW, F_WRLCK, 0, 0));
	ualarm(0, 0);
	kill(pid, SIGKILL);
	alarm(20);
	/* a lock dies with its process: this wait ends by itself */
	TRY(set(fd, F_SETLKW, F_WRLCK, 0, 0));
}

static int hold_flock(void *arg)
{
	int fd = open("f", O_RDWR);

	(void)arg;
	return flock(fd, LOCK_EX) != 0;
}

static void flock_dies_with_process(struct px *t)
{
	int fd = scene(t, O_RDWR);

	px_note(t, "child %d", px_child(t, hold_flock, NULL));
	TRY(flock(fd, LOCK_EX | LOCK_NB));
}

static void flock_and_fcntl(struct px *t)
{
	int fd = scene(t, O_RDWR);

	/* two kinds that do not see each other */
	TRY(flock(fd, LOCK_EX));
	child_lock(t, F_WRLCK, 0, 0);
	TRY(set(fd, F_SETLK, F_WRLCK, 0, 0));
	TRY(flock(fd, LOCK_UN));
	child_flock(t, LOCK_EX);
}

static void ofd_conflict(struct px *t)
{
	int a = scene(t, O_RDWR), b = FD(open("f", O_RDWR));

	TRY(set(a, F_OFD_SETLK, F_WRLCK, 0, 5));
	TRY(set(b, F_OFD_SETLK, F_WRLCK, 0, 5));
	TRY(set(b, F_OFD_SETLK, F_WRLCK, 5, 5));
	TRY(set(a, F_SETLK, F_WRLCK, 0, 5));
	TRY(close(b));
	TRY(set(a, F_OFD_SETLK, F_WRLCK, 0, 0));
	child_lock(t, F_RDLCK, 9, 1);
	TRY(close(a));
	child_lock(t, F_WRLCK, 0, 0);
}

static void ofd_getlk(struct px *t)
{
	int a = scene(t, O_RDWR), b = FD(open("f", O_RDWR));
	struct flock l = range(F_WRLCK, 0, 0);

	TRY(set(a, F_OFD_SETLK, F_RDLCK, 2, 3));
	TRY(fcntl(b, F_OFD_GETLK, &l));
	px_note(t, "type %d start %ld len %ld pid %d", l.l_type, (long)l.l_start, (long)l.l_len,
		l.l_pid);
	l = range(F_WRLCK, 0, 0);
	l.l_pid = 1;
	TRY(fcntl(b, F_OFD_SETLK, &l));
}

static void lock_of_unlinked(struct px *t)
{
	int fd = scene(t, O_RDWR), other = FD(open("f", O_RDWR));

	TRY(unlink("f"));
	TRY(flock(fd, LOCK_EX));
	TRY(flock(other, LOCK_EX | LOCK_NB));
	TRY(set(fd, F_SETLK, F_WRLCK, 0, 0));
	px_file(t, "f", "another file");
	child_lock(t, F_WRLCK, 0, 0);
	child_flock(t, LOCK_EX);
}

static void lock_of_renamed(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(flock(fd, LOCK_EX));
	TRY(rename("f", "g"));
	TRY(rename("g", "f"));
	child_flock(t, LOCK_EX);
}

const struct px_case case_lock[] = {
	PX_RUN("lock flock exclusive", flock_exclusive),
	PX_RUN("lock flock shared", flock_shared),
	PX_RUN("lock flock and close", flock_close),
	PX_RUN("lock flock errors", flock_errors),
	PX_RUN("lock flock ends with its process", flock_dies_with_process),
	PX_RUN("lock fcntl write", fcntl_write),
	PX_RUN("lock fcntl read", fcntl_read),
	PX_RUN("lock fcntl ranges", fcntl_ranges),
	PX_RUN("lock fcntl whence", fcntl_whence),
	PX_RUN("lock fcntl F_GETLK", fcntl_getlk),
	PX_RUN("lock fcntl any close", fcntl_any_close),
	PX_RUN("lock fcntl direction", fcntl_direction),
	PX_RUN("lock fcntl wait, signal, death", fcntl_wait_interrupted),
	PX_RUN("lock flock and fcntl are strangers", flock_and_fcntl),
	PX_RUN("lock open-file conflict", ofd_conflict),
	PX_RUN("lock open-file F_OFD_GETLK", ofd_getlk),
	PX_RUN("lock of an unlinked file", lock_of_unlinked),
	PX_RUN("lock of a renamed file", lock_of_renamed),
	PX_END,
};
