/* Which times change with what, and utimensat(2). */
#include "px.h"

#include <sys/mman.h>
#include <sys/xattr.h>

static void scene(struct px *t)
{
	px_file(t, "f", "0123456789");
	px_file(t, "g", "other");
	px_dir(t, "d");
	px_dir(t, "full");
	px_file(t, "full/in", "text");
	px_link(t, "f", "l");
	px_mark(t, "f");
	px_mark(t, "d");
	px_mark(t, "full");
	px_mark(t, "l");
	/* last, because making the others changed it */
	px_mark(t, ".");
}

static void all_changed(struct px *t)
{
	px_changed(t, ".");
	px_changed(t, "f");
	px_changed(t, "d");
	px_changed(t, "full");
	px_changed(t, "l");
}

/* A change of one name. Each row is a call; the parents' times are the point of most. */
#define STEP(fn, body)               \
	static void fn(struct px *t) \
	{                            \
		scene(t);            \
		body;                \
		all_changed(t);      \
	}

STEP(create, FD(open("n", O_CREAT | O_RDWR, 0644)))
STEP(create_in, FD(open("d/n", O_CREAT | O_RDWR, 0644)))
STEP(create_exists, FD(open("f", O_CREAT | O_RDWR, 0644)))
STEP(create_fails, FD(open("f", O_CREAT | O_EXCL | O_RDWR, 0644)))
STEP(make_dir, TRY(mkdir("n", 0755)))
STEP(make_dir_in, TRY(mkdir("d/n", 0755)))
STEP(make_dir_fails, TRY(mkdir("d", 0755)))
STEP(make_link, TRY(symlink("x", "d/n")))
STEP(remove_file, TRY(unlink("full/in")))
STEP(remove_dir, TRY(rmdir("d")))
STEP(remove_fails, TRY(rmdir("full")))
STEP(remove_none, TRY(unlink("none")))
STEP(rename_here, TRY(rename("f", "n")); TRY(rename("n", "f")))
STEP(rename_dir_here, TRY(rename("d", "n")); TRY(rename("n", "d")))
STEP(rename_away, TRY(rename("full/in", "d/in")))
STEP(rename_dir_away, TRY(rename("d", "full/d")); px_stat(t, "full/d"))
STEP(rename_over, TRY(rename("full/in", "g")))
STEP(rename_same, TRY(rename("f", "f")))
STEP(rename_fails, TRY(rename("f", "d")))
STEP(rename_exchange, TRY(renameat2(AT_FDCWD, "g", AT_FDCWD, "full/in", RENAME_EXCHANGE)))
STEP(mode, TRY(chmod("f", 0600)); TRY(chmod("d", 0700)))
STEP(mode_same, TRY(chmod("f", 0644)))
STEP(owner_none, TRY(chown("f", (uid_t)-1, (gid_t)-1)))
STEP(trunc_shrink, TRY(truncate("f", 3)))
STEP(trunc_grow, TRY(truncate("f", 30)))
STEP(trunc_same, TRY(truncate("f", 10)))
STEP(trunc_fails, TRY(truncate("f", -1)))
STEP(open_read, FD(open("f", O_RDONLY)))
STEP(open_write, FD(open("f", O_RDWR)))
STEP(open_trunc, FD(open("f", O_WRONLY | O_TRUNC)))
STEP(xattr_set, TRY(setxattr("f", "user.a", "b", 1, 0)))
STEP(xattr_get, TRY(getxattr("f", "user.a", NULL, 0)))
STEP(owner_same, TRY(chown("f", 0, 0)))
STEP(owner_link, TRY(lchown("l", U1, U1)))

/* clang-format off */
#define WITH_FD(fn, flags, body) \
	STEP(fn, int fd = FD(open("f", flags)); px_mark(t, "f"); body; TRY(close(fd)))
/* clang-format on */
WITH_FD(write_some, O_RDWR, PUT(fd, "x"))
WITH_FD(write_none, O_RDWR, TRY(write(fd, "", 0)))
WITH_FD(write_append, O_WRONLY | O_APPEND, PUT(fd, "x"))
WITH_FD(write_hole, O_RDWR, TRY(pwrite(fd, "x", 1, 100000)))
WITH_FD(write_fails, O_RDONLY, PUT(fd, "x"))
WITH_FD(ftrunc_shrink, O_RDWR, TRY(ftruncate(fd, 2)))
WITH_FD(ftrunc_same, O_RDWR, TRY(ftruncate(fd, 10)))
WITH_FD(ftrunc_grow, O_RDWR, TRY(ftruncate(fd, 100)))
WITH_FD(alloc_grow, O_RDWR, TRY(fallocate(fd, 0, 0, 100000)))
WITH_FD(sync_only, O_RDWR, TRY(fsync(fd)); TRY(fdatasync(fd)))
WITH_FD(fmode, O_RDONLY, TRY(fchmod(fd, 0600)))
WITH_FD(read_some, O_RDONLY, px_at(t, fd, 0, 5))
WITH_FD(read_noatime, O_RDONLY | O_NOATIME, px_at(t, fd, 0, 5))

static void trunc_empty(struct px *t)
{
	px_file(t, "e", "");
	px_mark(t, "e");
	FD(open("e", O_WRONLY | O_TRUNC));
	px_changed(t, "e");
}

static void read_directory(struct px *t)
{
	scene(t);
	px_list(t, "full");
	all_changed(t);
}

static void read_link(struct px *t)
{
	char buf[16];

	scene(t);
	TRY(readlink("l", buf, sizeof(buf)));
	all_changed(t);
}

static void mmap_write(struct px *t)
{
	char *p;
	int fd;

	scene(t);
	fd = FD(open("f", O_RDWR));
	p = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	px_need(t, p != MAP_FAILED, "mmap");
	p[0] = 'x';
	TRY(msync(p, 10, MS_SYNC));
	px_changed(t, "f");
}

static void copy_range(struct px *t)
{
	off_t from = 0;
	int in, out;

	scene(t);
	in = FD(open("g", O_RDONLY));
	out = FD(open("f", O_WRONLY));
	TRY(copy_file_range(in, &from, out, NULL, 5, 0));
	px_changed(t, "f");
}

static void note_times(struct px *t, const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		px_note(t, "%s is gone", path);
	else
		px_note(t, "%s: a %ld.%09ld m %ld.%09ld", path, (long)st.st_atim.tv_sec,
			st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void explicit_times(struct px *t)
{
	static const struct timespec sets[][2] = {
		{ { 0, 0 }, { 1, 1 } },
		{ { 1500000000, 999999999 }, { 1600000000, 100 } },
		{ { 4102444800, 5 }, { 4102444801, 6 } },
		{ { -1, 500000000 }, { -86400, 1 } },
		{ { 2147483648, 0 }, { 2147483647, 0 } },
		/* beyond what ext4 can store: cut, not refused */
		{ { 99999999999, 0 }, { -99999999999, 0 } },
	};

	px_file(t, "f", "text");
	px_dir(t, "d");
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		TRY(utimensat(AT_FDCWD, "f", sets[i], 0));
		note_times(t, "f");
		TRY(utimensat(AT_FDCWD, "d", sets[i], 0));
		note_times(t, "d");
	}
}

static void bad_nanoseconds(struct px *t)
{
	const struct timespec big[2] = { { 1, 1000000000 }, { 1, 0 } };
	const struct timespec neg[2] = { { 1, 0 }, { 1, -1 } };

	scene(t);
	TRY(utimensat(AT_FDCWD, "f", big, 0));
	TRY(utimensat(AT_FDCWD, "f", neg, 0));
	px_changed(t, "f");
}

enum when { NOW, OMIT, AT };

static const struct timespec values[] = { { 0, UTIME_NOW }, { 0, UTIME_OMIT }, { 1234567890, 42 } };

/* who: the owner, somebody with write permission, somebody with none */
struct row {
	uid_t who;
	mode_t mode;
	enum when atime, mtime;
};

static void utimens_matrix(struct px *t)
{
	const struct row *r = t->arg;
	const struct timespec ts[2] = { values[r->atime], values[r->mtime] };
	int fd;

	px_file_of(t, "f", U1, r->mode);
	px_mark(t, "f");
	px_be(t, r->who);
	TRY(utimensat(AT_FDCWD, "f", ts, 0));
	px_changed(t, "f");
	fd = FD(open("f", O_RDWR));
	if (fd >= 0)
		TRY(futimens(fd, ts));
	px_changed(t, "f");
}

/* clang-format off */
#define ROW(what, a, m, name, who, mode) \
	{ "utimens " what " by " name, utimens_matrix, PX_ROOT, \
	  &(const struct row){ who, mode, a, m }, NULL }
#define ROWS(what, a, m) \
	ROW(what, a, m, "owner", U1, 0644), \
	ROW(what, a, m, "writer", U2, 0666), \
	ROW(what, a, m, "stranger", U2, 0644), \
	ROW(what, a, m, "root", 0, 0)
/* clang-format on */

static void utimens_null(struct px *t)
{
	scene(t);
	px_file_of(t, "h", U1, 0666);
	px_mark(t, "h");
	px_be(t, U2);
	TRY(utimensat(AT_FDCWD, "h", NULL, 0));
	px_changed(t, "h");
	TRY(utimensat(AT_FDCWD, "f", NULL, 0));
	px_changed(t, "f");
}

static void utimens_links(struct px *t)
{
	const struct timespec ts[2] = { values[AT], values[AT] };

	scene(t);
	px_link(t, "none", "dang");
	TRY(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
	note_times(t, "l");
	px_changed(t, "f");
	TRY(utimensat(AT_FDCWD, "l", ts, 0));
	note_times(t, "f");
	TRY(utimensat(AT_FDCWD, "dang", ts, 0));
	TRY(utimensat(AT_FDCWD, "dang", ts, AT_SYMLINK_NOFOLLOW));
	note_times(t, "dang");
}

static void utimens_errors(struct px *t)
{
	const struct timespec ts[2] = { values[AT], values[AT] };
	const struct timespec omit[2] = { values[OMIT], values[OMIT] };
	int fd;

	scene(t);
	TRY(utimensat(AT_FDCWD, "none", ts, 0));
	TRY(utimensat(AT_FDCWD, "f/x", ts, 0));
	TRY(utimensat(AT_FDCWD, "f", ts, 0x8000));
	TRY(utimensat(AT_FDCWD, "none", omit, 0));
	TRY(futimens(999, ts));
	fd = FD(open("f", O_RDONLY));
	TRY(futimens(fd, ts));
	note_times(t, "f");
	fd = FD(open("f", O_PATH));
	TRY(futimens(fd, ts));
}

/* Times that were set stay set: nothing written before may be stamped on them later. */
static void utimens_after_write(struct px *t)
{
	const struct timespec ts[2] = { values[AT], values[AT] };
	int fd;

	px_file(t, "f", "text");
	fd = FD(open("f", O_RDWR));
	PUT(fd, "written");
	TRY(futimens(fd, ts));
	TRY(fsync(fd));
	TRY(close(fd));
	note_times(t, "f");
	fd = FD(open("f", O_RDONLY));
	TRY(close(fd));
	TRY(rename("f", "g"));
	note_times(t, "g");
	TRY(chmod("g", 0600));
	note_times(t, "g");
}

static void seen_by_descriptor(struct px *t)
{
	struct stat a = { 0 }, b = { 0 };
	int fd;

	scene(t);
	fd = FD(open("f", O_RDWR));
	PUT(fd, "abc");
	TRY(fstat(fd, &a));
	TRY(stat("f", &b));
	px_note(t, "fstat and stat agree %d",
		!memcmp(&a.st_mtim, &b.st_mtim, sizeof(a.st_mtim)) &&
			!memcmp(&a.st_ctim, &b.st_ctim, sizeof(a.st_ctim)) &&
			a.st_size == b.st_size);
}

static void order_of_writes(struct px *t)
{
	struct stat a = { 0 }, b = { 0 };

	px_file(t, "a", "first");
	TRY(stat("a", &a));
	px_mark(t, "a");
	px_file(t, "b", "second");
	TRY(stat("b", &b));
	/* what make(1) lives on */
	px_note(t, "later %d",
		b.st_mtim.tv_sec > a.st_mtim.tv_sec || (b.st_mtim.tv_sec == a.st_mtim.tv_sec &&
							b.st_mtim.tv_nsec > a.st_mtim.tv_nsec));
}

const struct px_case case_time[] = {
	PX_RUN("time create", create),
	PX_RUN("time create in subdirectory", create_in),
	PX_RUN("time O_CREAT of what exists", create_exists),
	PX_RUN("time create fails", create_fails),
	PX_RUN("time mkdir", make_dir),
	PX_RUN("time mkdir in subdirectory", make_dir_in),
	PX_RUN("time mkdir fails", make_dir_fails),
	PX_RUN("time symlink", make_link),
	PX_RUN("time unlink", remove_file),
	PX_RUN("time rmdir", remove_dir),
	PX_RUN("time rmdir fails", remove_fails),
	PX_RUN("time unlink of nothing", remove_none),
	PX_RUN("time rename in one directory", rename_here),
	PX_RUN("time rename of a directory", rename_dir_here),
	PX_RUN("time rename to another directory", rename_away),
	PX_RUN("time rename of a directory to another", rename_dir_away),
	PX_RUN("time rename over", rename_over),
	PX_RUN("time rename onto itself", rename_same),
	PX_RUN("time rename fails", rename_fails),
	PX_RUN("time rename exchange", rename_exchange),
	PX_RUN("time chmod", mode),
	PX_RUN("time chmod to the same", mode_same),
	PX_RUN("time chown of nothing", owner_none),
	PX_AS("time chown to the same", owner_same),
	PX_AS("time lchown", owner_link),
	PX_RUN("time truncate shrinks", trunc_shrink),
	PX_RUN("time truncate grows", trunc_grow),
	PX_RUN("time truncate to the same size", trunc_same),
	PX_RUN("time truncate fails", trunc_fails),
	PX_RUN("time open for reading", open_read),
	PX_RUN("time open for writing", open_write),
	PX_RUN("time open O_TRUNC", open_trunc),
	PX_RUN("time open O_TRUNC of an empty file", trunc_empty),
	PX_RUN("time setxattr", xattr_set),
	PX_RUN("time getxattr", xattr_get),
	PX_RUN("time write", write_some),
	PX_RUN("time write of nothing", write_none),
	PX_RUN("time append", write_append),
	PX_RUN("time write beyond the end", write_hole),
	PX_RUN("time write fails", write_fails),
	PX_RUN("time ftruncate shrinks", ftrunc_shrink),
	PX_RUN("time ftruncate to the same size", ftrunc_same),
	PX_RUN("time ftruncate grows", ftrunc_grow),
	PX_RUN("time fallocate", alloc_grow),
	PX_RUN("time fsync", sync_only),
	PX_RUN("time fchmod", fmode),
	PX_RUN("time read", read_some),
	PX_RUN("time read O_NOATIME", read_noatime),
	PX_RUN("time readdir", read_directory),
	PX_RUN("time readlink", read_link),
	PX_RUN("time write through mmap", mmap_write),
	PX_RUN("time copy_file_range", copy_range),
	PX_RUN("utimens explicit values", explicit_times),
	PX_RUN("utimens bad nanoseconds EINVAL", bad_nanoseconds),
	ROWS("now", NOW, NOW),
	ROWS("explicit", AT, AT),
	ROWS("omit", OMIT, OMIT),
	ROWS("now and omit", NOW, OMIT),
	ROWS("omit and now", OMIT, NOW),
	ROWS("explicit and omit", AT, OMIT),
	ROWS("omit and explicit", OMIT, AT),
	ROWS("now and explicit", NOW, AT),
	PX_AS("utimens NULL", utimens_null),
	PX_RUN("utimens of links", utimens_links),
	PX_RUN("utimens errors", utimens_errors),
	PX_RUN("utimens after a write stays", utimens_after_write),
	PX_RUN("time fstat and stat agree", seen_by_descriptor),
	PX_RUN("time later file has later time", order_of_writes),
	PX_END,
};
