/* open(2): every kind of name against every set of flags, then what the descriptor can do. */
#include "px.h"

struct row {
	const char *path;
	int flags;
};

static void scene(struct px *t)
{
	px_file(t, "f", "0123456789");
	px_dir(t, "d");
	px_link(t, "f", "lf");
	px_link(t, "d", "ld");
	px_link(t, "none", "ldang");
	px_link(t, "loop", "loop");
}

/* The descriptor is used as well: flags that open(2) takes and then forgets are a bug too. */
static void matrix(struct px *t)
{
	const struct row *r = t->arg;
	char buf[4] = "";
	int fd;

	scene(t);
	fd = FD(open(r->path, r->flags, 0640));
	if (fd < 0)
		return;
	TRY(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
	PUT(fd, "WXYZ");
	TRY(lseek(fd, 0, SEEK_CUR));
	TRY(read(fd, buf, sizeof(buf)));
	px_bytes(t, "buf", buf, sizeof(buf));
	px_fstat(t, fd);
	TRY(close(fd));
}

#define ROW(path, fl)                                                                  \
	{                                                                              \
		"open/" path " " #fl, matrix, 0, &(const struct row){ path, fl }, NULL \
	}
/* clang-format off */
#define FEW(path) \
	ROW(path, O_RDONLY), \
	ROW(path, O_CREAT | O_WRONLY), \
	ROW(path, O_DIRECTORY), \
	ROW(path, O_PATH)
#define ALL(path) \
	FEW(path), \
	ROW(path, O_WRONLY), \
	ROW(path, O_RDWR), \
	ROW(path, O_CREAT | O_RDWR), \
	ROW(path, O_CREAT | O_EXCL | O_RDWR), \
	ROW(path, O_CREAT | O_EXCL), \
	ROW(path, O_TRUNC | O_WRONLY), \
	ROW(path, O_TRUNC | O_RDONLY), \
	ROW(path, O_CREAT | O_TRUNC | O_RDWR), \
	ROW(path, O_APPEND | O_RDWR), \
	ROW(path, O_CREAT | O_APPEND | O_WRONLY), \
	ROW(path, O_DIRECTORY | O_RDWR), \
	ROW(path, O_DIRECTORY | O_CREAT), \
	ROW(path, O_NOFOLLOW), \
	ROW(path, O_NOFOLLOW | O_CREAT | O_RDWR), \
	ROW(path, O_NOFOLLOW | O_PATH)
/* clang-format on */

static void empty_path(struct px *t)
{
	FD(open("", O_RDONLY));
	FD(open("", O_CREAT | O_RDWR, 0644));
}

static void bad_address(struct px *t)
{
	FD(open((const char *)8, O_RDONLY));
}

static void exclusive_twice(struct px *t)
{
	FD(open("n", O_CREAT | O_EXCL | O_WRONLY, 0600));
	FD(open("n", O_CREAT | O_EXCL | O_WRONLY, 0600));
	TRY(unlink("n"));
	FD(open("n", O_CREAT | O_EXCL | O_WRONLY, 0644));
}

/* The mode of a new file binds later opens, not the one that made it. */
static void create_unwritable(struct px *t)
{
	int fd;

	px_dir_of(t, "d", U2, 0755);
	px_be(t, U2);
	fd = FD(open("d/n", O_CREAT | O_RDWR, 0));
	PUT(fd, "still writable");
	px_at(t, fd, 0, 20);
	FD(open("d/n", O_RDONLY));
	FD(open("d/n", O_WRONLY));
	FD(open("d/n", O_CREAT | O_RDWR, 0666));
}

static void create_owner(struct px *t)
{
	px_dir_of(t, "d", 0, 0777);
	px_be(t, U1);
	FD(open("d/one", O_CREAT | O_WRONLY, 0666));
	px_be_group(t, U2, U1, 0);
	FD(open("d/two", O_CREAT | O_WRONLY, 0640));
	px_be(t, 0);
	FD(open("d/root", O_CREAT | O_WRONLY, 0600));
	px_list(t, "d");
}

static void noatime_stranger(struct px *t)
{
	px_file_of(t, "f", U1, 0644);
	FD(open("f", O_RDONLY | O_NOATIME));
	px_be(t, U2);
	FD(open("f", O_RDONLY | O_NOATIME));
	px_be(t, U1);
	FD(open("f", O_RDONLY | O_NOATIME));
}

static void openat_fd(struct px *t)
{
	int d, f;

	scene(t);
	d = FD(open("d", O_RDONLY | O_DIRECTORY));
	f = FD(open("f", O_RDONLY));
	FD(openat(d, "in", O_CREAT | O_RDWR, 0644));
	FD(openat(d, "../f", O_RDONLY));
	FD(openat(f, "x", O_RDONLY));
	FD(openat(f, "", O_RDONLY));
	FD(openat(999, "x", O_RDONLY));
	TRY(mkdirat(d, "sub", 0700));
	TRY(unlinkat(d, "in", 0));
}

static void opath_limits(struct px *t)
{
	char buf[4];
	int fd;

	scene(t);
	fd = FD(open("f", O_PATH));
	TRY(read(fd, buf, 4));
	PUT(fd, "x");
	TRY(ftruncate(fd, 0));
	TRY(fchmod(fd, 0600));
	px_fstat(t, fd);
	TRY(fchdir(fd));
	fd = FD(open("d", O_PATH | O_DIRECTORY));
	TRY(fchdir(fd));
}

static void read_of_directory(struct px *t)
{
	char buf[16];
	int fd;

	fd = FD(open(".", O_RDONLY));
	TRY(read(fd, buf, sizeof(buf)));
	TRY(pread(fd, buf, sizeof(buf), 0));
	PUT(fd, "x");
	TRY(ftruncate(fd, 0));
}

static void wrong_direction(struct px *t)
{
	char buf[4];
	int r, w;

	scene(t);
	r = FD(open("f", O_RDONLY));
	w = FD(open("f", O_WRONLY));
	PUT(r, "x");
	TRY(read(w, buf, 4));
	TRY(pwrite(r, "x", 1, 0));
	TRY(pread(w, buf, 4, 0));
	TRY(close(r));
	TRY(read(r, buf, 4));
}

static void creat_call(struct px *t)
{
	int fd;

	scene(t);
	fd = FD(creat("f", 0600));
	PUT(fd, "ab");
	FD(creat("new", 0604));
	FD(creat("d", 0600));
}

static void truncate_readers(struct px *t)
{
	int r;

	scene(t);
	r = FD(open("f", O_RDONLY));
	px_at(t, r, 0, 20);
	FD(open("f", O_WRONLY | O_TRUNC));
	px_at(t, r, 0, 20);
	px_fstat(t, r);
}

static void sync_flags(struct px *t)
{
	int fd = FD(open("s", O_CREAT | O_RDWR | O_SYNC, 0644));

	PUT(fd, "through");
	fd = FD(open("s", O_RDWR | O_DSYNC | O_APPEND));
	PUT(fd, " and through");
	TRY(close(fd));
}

static void nonblock(struct px *t)
{
	int fd;

	scene(t);
	fd = FD(open("f", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
	px_at(t, fd, 0, 20);
	PUT(fd, "new");
	TRY(fcntl(fd, F_GETFD));
}

static void many_descriptors(struct px *t)
{
	int fd[200], bad = 0;

	scene(t);
	for (int i = 0; i < 200; i++)
		bad += (fd[i] = open("f", i % 2 ? O_RDONLY : O_RDWR)) < 0;
	for (int i = 0; i < 200; i += 2)
		bad += pwrite(fd[i], "k", 1, i) != 1;
	px_at(t, fd[199], 0, 300);
	for (int i = 0; i < 200; i++)
		bad += close(fd[i]);
	px_note(t, "bad %d", bad);
}

const struct px_case case_open[] = {
	ALL("f"),
	ALL("new"),
	ALL("d"),
	ALL("lf"),
	ALL("ld"),
	ALL("ldang"),
	ALL("loop"),
	FEW("f/"),
	FEW("new/"),
	FEW("d/"),
	FEW("d/."),
	FEW("d/.."),
	FEW("f/x"),
	FEW("none/x"),
	FEW("ldang/x"),
	FEW("lf/"),
	FEW("ld/"),
	FEW("loop/x"),
	PX_RUN("open empty path", empty_path),
	PX_RUN("open bad address", bad_address),
	PX_RUN("open O_EXCL again after unlink", exclusive_twice),
	PX_AS("open created without permissions", create_unwritable),
	PX_AS("open new file belongs to its creator", create_owner),
	PX_AS("open O_NOATIME only for the owner", noatime_stranger),
	PX_RUN("open openat", openat_fd),
	PX_RUN("open O_PATH descriptor", opath_limits),
	PX_RUN("open read of a directory", read_of_directory),
	PX_RUN("open wrong direction", wrong_direction),
	PX_RUN("open creat", creat_call),
	PX_RUN("open O_TRUNC seen by other descriptor", truncate_readers),
	PX_RUN("open O_SYNC and O_DSYNC", sync_flags),
	PX_RUN("open O_NONBLOCK on a file", nonblock),
	PX_RUN("open two hundred descriptors", many_descriptors),
	PX_END,
};
