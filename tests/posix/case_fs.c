/* statfs, fsync, O_TMPFILE, execution, inotify: what belongs to the mount as a whole. */
#include "px.h"

#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>

static void note_sane(struct px *t, const struct statvfs *s)
{
	px_note(t, "bsize %d frsize %d name %lu", s->f_bsize > 0, s->f_frsize > 0, s->f_namemax);
	px_note(t, "blocks %d free %d avail %d", s->f_blocks > 0, s->f_bfree <= s->f_blocks,
		s->f_bavail <= s->f_bfree);
	px_note(t, "files %d", s->f_ffree <= s->f_files);
	px_note(t, "read-only %d", (s->f_flag & ST_RDONLY) != 0);
}

static void statfs_sane(struct px *t)
{
	struct statvfs s = { 0 };
	struct statfs raw;
	int fd;

	px_file(t, "f", "text");
	TRY(statvfs(".", &s));
	note_sane(t, &s);
	memset(&s, 0, sizeof(s));
	TRY(statvfs("f", &s));
	note_sane(t, &s);
	fd = FD(open("f", O_RDONLY));
	TRY(fstatfs(fd, &raw));
	TRY(statfs("none", &raw));
	TRY(statfs("f/x", &raw));
	TRY(fstatfs(999, &raw));
	TRY(pathconf(".", _PC_NAME_MAX));
}

static void syncs(struct px *t)
{
	int w, r, d, path;

	px_file(t, "f", "text");
	w = FD(open("f", O_RDWR));
	r = FD(open("f", O_RDONLY));
	d = FD(open(".", O_RDONLY | O_DIRECTORY));
	path = FD(open("f", O_PATH));
	PUT(w, "abc");
	TRY(fsync(w));
	TRY(fdatasync(w));
	TRY(fsync(r));
	TRY(fdatasync(r));
	TRY(fsync(d));
	TRY(fdatasync(d));
	TRY(syncfs(w));
	TRY(fsync(path));
	TRY(fsync(999));
	TRY(unlink("f"));
	TRY(fsync(w));
}

static void tmpfile_flag(struct px *t)
{
	int fd = FD(open(".", O_TMPFILE | O_RDWR, 0600));

	if (fd < 0)
		return;
	PUT(fd, "nameless");
	px_at(t, fd, 0, 20);
	px_fstat(t, fd);
}

static void tmpfile_refused(struct px *t)
{
	px_file(t, "f", "text");
	FD(open(".", O_TMPFILE | O_RDONLY, 0600));
	FD(open("f", O_TMPFILE | O_RDWR, 0600));
	FD(open("none", O_TMPFILE | O_RDWR, 0600));
}

static void mkstemp_call(struct px *t)
{
	char name[] = "tmp-XXXXXX", dir[] = "dir-XXXXXX";
	int fd = FD(mkstemp(name));

	PUT(fd, "temporary");
	px_fstat(t, fd);
	TRY(unlink(name));
	TRY(mkdtemp(dir) ? 0 : -1);
	TRY(rmdir(dir));
}

static int run(void *arg)
{
	char name[] = "prog", *argv[] = { name, NULL }, *envp[] = { NULL };

	(void)arg;
	/* what the shell has to say about it is no TAP */
	close(2);
	execve("./prog", argv, envp);
	return 100 + errno;
}

static void execution(struct px *t)
{
	px_file(t, "prog", "#!/bin/sh\nexit 7\n");
	px_note(t, "0644: %d", px_child(t, run, NULL));
	TRY(chmod("prog", 0755));
	px_note(t, "0755: %d", px_child(t, run, NULL));
	TRY(truncate("prog", 0));
	px_file(t, "prog", "no program");
	px_note(t, "text: %d", px_child(t, run, NULL));
}

static void execution_binary(struct px *t)
{
	int in = FD(open("/bin/true", O_RDONLY)), out = FD(open("prog", O_CREAT | O_WRONLY, 0755));
	char buf[65536];
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		px_need(t, write(out, buf, (size_t)n) == n, "write");
	TRY(close(out));
	px_note(t, "true: %d", px_child(t, run, NULL));
	TRY(chmod("prog", 0));
	px_note(t, "0: %d", px_child(t, run, NULL));
}

static int run_as(void *arg)
{
	uid_t uid = *(uid_t *)arg;

	if (setgid(uid) || setuid(uid))
		return 99;
	return run(NULL);
}

static void execution_rights(struct px *t)
{
	uid_t who[] = { U1, U2 };

	px_file(t, "prog", "#!/bin/sh\nexit 7\n");
	px_need(t, !chown("prog", U1, U1) && !chmod("prog", 0744), "chown");
	px_note(t, "owner %d", px_child(t, run_as, &who[0]));
	px_note(t, "other %d", px_child(t, run_as, &who[1]));
	TRY(chmod("prog", 0711));
	/* an interpreter has to read it */
	px_note(t, "other %d", px_child(t, run_as, &who[1]));
}

static void note_events(struct px *t, int fd)
{
	char buf[8192] __attribute__((aligned(8)));
	const struct inotify_event *e;
	ssize_t n = read(fd, buf, sizeof(buf));

	for (ssize_t i = 0; i < n; i += (ssize_t)(sizeof(*e) + e->len)) {
		e = (const void *)(buf + i);
		px_note(t, "event %x %s", e->mask, e->len ? e->name : "");
	}
}

static int watch(struct px *t, uint32_t mask)
{
	int fd = inotify_init1(IN_NONBLOCK);

	px_need(t, fd >= 0 && inotify_add_watch(fd, ".", mask) >= 0, "inotify");
	return fd;
}

/* Events come from the kernel's own path walk, so what is done through the mount is reported. */
static void inotify_names(struct px *t)
{
	int fd = watch(t, IN_CREATE | IN_DELETE | IN_MOVE);

	px_file(t, "f", "text");
	px_dir(t, "d");
	TRY(rename("f", "g"));
	TRY(unlink("g"));
	TRY(rmdir("d"));
	TRY(symlink("x", "l"));
	note_events(t, fd);
}

static void inotify_content(struct px *t)
{
	int fd, f;

	px_file(t, "f", "text");
	fd = watch(t, IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_OPEN);
	f = FD(open("f", O_RDWR));
	PUT(f, "abc");
	TRY(ftruncate(f, 1));
	TRY(close(f));
	TRY(chmod("f", 0600));
	note_events(t, fd);
}

const struct px_case case_fs[] = {
	PX_RUN("statfs is sane", statfs_sane),
	PX_RUN("fsync of files and directories", syncs),
	PX_KNOWN("tmpfile O_TMPFILE", tmpfile_flag, "libfuse 3.14 has no TMPFILE: EOPNOTSUPP"),
	PX_RUN("tmpfile refused", tmpfile_refused),
	PX_RUN("tmpfile mkstemp and mkdtemp", mkstemp_call),
	PX_RUN("exec a script", execution),
	PX_RUN("exec a binary", execution_binary),
	PX_AS("exec rights", execution_rights),
	PX_RUN("inotify names", inotify_names),
	PX_RUN("inotify content", inotify_content),
	PX_END,
};
