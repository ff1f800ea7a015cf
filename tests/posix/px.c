/* The recorder and the helpers of the cases. */
#include "px.h"

#include <dirent.h>
#include <grp.h>
#include <stdarg.h>
#include <sys/wait.h>

static const struct timespec old_time = { 1000000000, 123456789 };

void px_note(struct px *t, const char *fmt, ...)
{
	size_t room = PX_LOG_MAX - t->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->log + t->len, room, fmt, ap);
	va_end(ap);
	/* a log that was cut would compare less than it seems to */
	if (n < 0 || (size_t)n + 2 > room) {
		t->log[t->len] = 0;
		t->broken = true;
		return;
	}
	t->len += (size_t)n;
	t->log[t->len++] = '\n';
	t->log[t->len] = 0;
}

void px_escape(const char *in, size_t len, char *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 5 < max; i++) {
		unsigned char c = (unsigned char)in[i];

		if (c > 32 && c < 127 && c != '\\')
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, max - n, "\\x%02x", c);
	}
	out[n] = 0;
}

unsigned long px_hash(unsigned long h, const void *data, size_t len)
{
	const unsigned char *p = data;

	if (!p)
		return 14695981039346656037ul;
	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 1099511628211ul;
	return h;
}

void px_bytes(struct px *t, const char *what, const void *data, size_t len)
{
	char text[512];

	px_escape(data, len < 80 ? len : 80, text, sizeof(text));
	px_note(t, "%s: %zu bytes [%s] #%lx", what, len, text,
		px_hash(px_hash(0, NULL, 0), data, len));
}

long px_result(struct px *t, const char *what, long value)
{
	int error = errno;

	if (value == -1)
		px_note(t, "%s = %s", what, strerrorname_np(error));
	else
		px_note(t, "%s = %ld", what, value);
	errno = error;
	return value;
}

int px_fd(struct px *t, const char *what, int fd)
{
	int error = errno;

	px_note(t, "%s = %s", what, fd < 0 ? strerrorname_np(error) : "ok");
	errno = error;
	return fd;
}

void px_need(struct px *t, bool good, const char *what)
{
	if (good)
		return;
	px_note(t, "scene: %s: %s", what, strerror(errno));
	t->broken = true;
}

void px_file(struct px *t, const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	size_t len = strlen(text);

	px_need(t, fd >= 0 && write(fd, text, len) == (ssize_t)len && !close(fd), path);
}

void px_fill(struct px *t, const char *path, size_t len)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	unsigned char *p = malloc(len);

	px_need(t, p != NULL, path);
	if (!p)
		return;
	/* a period that no block size divides: a block in the wrong place shows */
	for (size_t i = 0; i < len; i++)
		p[i] = (unsigned char)(i % 251);
	px_need(t, fd >= 0 && write(fd, p, len) == (ssize_t)len && !close(fd), path);
	free(p);
}

void px_dir(struct px *t, const char *path)
{
	px_need(t, !mkdir(path, 0755), path);
}

void px_link(struct px *t, const char *target, const char *path)
{
	px_need(t, !symlink(target, path), path);
}

void px_file_of(struct px *t, const char *path, uid_t uid, mode_t mode)
{
	px_file(t, path, "0123456789");
	px_need(t, !chown(path, uid, uid) && !chmod(path, mode), path);
}

void px_dir_of(struct px *t, const char *path, uid_t uid, mode_t mode)
{
	px_dir(t, path);
	px_need(t, !chown(path, uid, uid) && !chmod(path, mode), path);
}

static void note_stat(struct px *t, const char *name, const struct stat *st)
{
	/* a directory's size and links are the file system's own business */
	bool dir = S_ISDIR(st->st_mode);

	px_note(t, "%s: %06o %u:%u size %ld links %lu", name, st->st_mode, st->st_uid, st->st_gid,
		dir ? 0 : (long)st->st_size, dir ? 0 : (unsigned long)st->st_nlink);
}

void px_stat(struct px *t, const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		px_note(t, "lstat %s = %s", path, strerrorname_np(errno));
	else
		note_stat(t, path, &st);
}

void px_fstat(struct px *t, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		px_note(t, "fstat = %s", strerrorname_np(errno));
	else
		note_stat(t, "fstat", &st);
}

void px_at(struct px *t, int fd, off_t off, size_t len)
{
	char *p = malloc(len + 1);
	ssize_t n = p ? pread(fd, p, len, off) : -1;

	if (n < 0)
		px_note(t, "pread at %ld = %s", (long)off, strerrorname_np(errno));
	else
		px_bytes(t, "pread", p, (size_t)n);
	free(p);
}

void px_text(struct px *t, const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		px_note(t, "open %s = %s", path, strerrorname_np(errno));
		return;
	}
	px_at(t, fd, 0, 1 << 20);
	close(fd);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int px_list(struct px *t, const char *path)
{
	struct dirent **list = NULL;
	int n = scandir(path, &list, NULL, by_bytes), real = 0;
	char name[1100];

	if (n < 0)
		px_note(t, "scandir %s = %s", path, strerrorname_np(errno));
	for (int i = 0; i < n; i++) {
		px_escape(list[i]->d_name, strlen(list[i]->d_name), name, sizeof(name));
		px_note(t, "entry %s", name);
		real += strcmp(list[i]->d_name, ".") && strcmp(list[i]->d_name, "..");
		free(list[i]);
	}
	free(list);
	return real;
}

static bool after(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static void pass_tick(struct px *t, struct timespec ctime)
{
	const struct timespec nap = { 0, 500000 };
	struct timespec now;

	for (int i = 0; i < 4000; i++) {
		if (!clock_gettime(CLOCK_REALTIME_COARSE, &now) && after(now, ctime))
			return;
		nanosleep(&nap, NULL);
	}
	px_need(t, false, "the clock stands still");
}

static void times_of(const struct stat *st, struct timespec out[3])
{
	out[0] = st->st_atim;
	out[1] = st->st_mtim;
	out[2] = st->st_ctim;
}

void px_mark(struct px *t, const char *path)
{
	const struct timespec both[2] = { old_time, old_time };
	struct px_mark *m = &t->mark[t->marks % PX_MARKS];
	struct stat st;

	t->marks++;
	snprintf(m->path, sizeof(m->path), "%s", path);
	px_need(t, !utimensat(AT_FDCWD, path, both, AT_SYMLINK_NOFOLLOW) && !lstat(path, &st),
		path);
	if (t->broken)
		return;
	times_of(&st, m->time);
	pass_tick(t, st.st_ctim);
}

void px_changed(struct px *t, const char *path)
{
	struct timespec now[3];
	char said[4] = "---";
	struct stat st;

	for (int i = 0; i < t->marks && i < PX_MARKS; i++) {
		if (strcmp(t->mark[i].path, path))
			continue;
		if (lstat(path, &st)) {
			px_note(t, "%s is gone", path);
			return;
		}
		times_of(&st, now);
		for (int k = 0; k < 3; k++)
			if (memcmp(&now[k], &t->mark[i].time[k], sizeof(now[k])))
				said[k] = "amc"[k];
		px_note(t, "times changed of %s: %s", path, said);
		return;
	}
	px_need(t, false, "px_changed without px_mark");
}

void px_be_group(struct px *t, uid_t uid, gid_t gid, gid_t extra)
{
	px_need(t,
		!seteuid(0) && !setgroups(extra ? 1 : 0, &extra) && !setegid(gid) && !seteuid(uid),
		"seteuid");
}

void px_be(struct px *t, uid_t uid)
{
	px_be_group(t, uid, uid, 0);
}

void px_be_real(struct px *t, uid_t uid)
{
	px_need(t, !setgroups(0, NULL) && !setresgid(uid, uid, uid) && !setresuid(uid, uid, uid),
		"setresuid");
}

int px_child(struct px *t, int (*fn)(void *), void *arg)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(20);
		_exit(fn(arg) & 255);
	}
	px_need(t, pid > 0 && waitpid(pid, &status, 0) == pid, "fork");
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}
