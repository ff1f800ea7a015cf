/* truncate, ftruncate, fallocate, limits. */
#include "px.h"

#include <linux/falloc.h>
#include <signal.h>
#include <sys/resource.h>

static int scene(struct px *t, int flags)
{
	px_file(t, "f", "0123456789");
	return FD(open("f", flags));
}

static void by_path(struct px *t)
{
	px_file(t, "f", "0123456789");
	TRY(truncate("f", 5));
	px_text(t, "f");
	TRY(truncate("f", 12));
	px_text(t, "f");
	TRY(truncate("f", 12));
	TRY(truncate("f", 0));
	px_stat(t, "f");
	TRY(truncate("f", 100000));
	px_text(t, "f");
}

static void by_fd(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(ftruncate(fd, 5));
	px_at(t, fd, 0, 20);
	TRY(ftruncate(fd, 12));
	px_at(t, fd, 0, 20);
	TRY(ftruncate(fd, 0));
	px_fstat(t, fd);
	PUT(fd, "ab");
	px_at(t, fd, 0, 20);
}

static void negative(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(truncate("f", -1));
	TRY(ftruncate(fd, -1));
	TRY(truncate("none", -1));
	TRY(fallocate(fd, 0, -1, 10));
	TRY(fallocate(fd, 0, 0, 0));
	TRY(fallocate(fd, 0, 0, -5));
	TRY(pwrite(fd, "x", 1, -1));
}

/* The limit is the file system's below, and must be its answer here. */
static void huge(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(truncate("f", 0x7fffffffffffffff));
	TRY(ftruncate(fd, 1L << 62));
	TRY(pwrite(fd, "x", 1, 0x7ffffffffffffffe));
	TRY(pwrite(fd, "x", 1, 0x7fffffffffffffff));
	TRY(pwrite(fd, "x", 1, 1L << 60));
	px_fstat(t, fd);
}

static void large_sparse(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(ftruncate(fd, 1L << 40));
	px_fstat(t, fd);
	TRY(pwrite(fd, "x", 1, (1L << 40) - 1));
	px_at(t, fd, (1L << 40) - 4, 10);
	TRY(truncate("f", 10));
	px_at(t, fd, 0, 20);
}

static void kinds(struct px *t)
{
	int fd;

	scene(t, O_RDONLY);
	px_dir(t, "d");
	px_link(t, "f", "l");
	px_link(t, "none", "dang");
	px_link(t, "loop", "loop");
	TRY(truncate("d", 0));
	TRY(truncate("none", 0));
	TRY(truncate("f/x", 0));
	TRY(truncate("dang", 0));
	TRY(truncate("loop", 0));
	TRY(truncate("l", 3));
	px_text(t, "f");
	fd = FD(open("d", O_RDONLY));
	TRY(ftruncate(fd, 0));
	TRY(ftruncate(999, 0));
}

static void read_only(struct px *t)
{
	int fd = scene(t, O_RDONLY);

	TRY(ftruncate(fd, 3));
	TRY(fallocate(fd, 0, 0, 100));
	px_at(t, fd, 0, 20);
}

static void rights(struct px *t)
{
	int fd;

	px_file_of(t, "ro", U2, 0444);
	px_file_of(t, "w", U1, 0666);
	px_file_of(t, "theirs", U1, 0644);
	px_be(t, U2);
	TRY(truncate("ro", 3));
	TRY(truncate("w", 3));
	TRY(truncate("theirs", 3));
	TRY(chmod("ro", 0600));
	fd = FD(open("ro", O_RDWR));
	TRY(chmod("ro", 0400));
	/* the right was checked when it was opened */
	TRY(ftruncate(fd, 2));
	TRY(truncate("ro", 1));
}

static void tail_is_zero(struct px *t)
{
	int fd;

	px_fill(t, "f", 10000);
	fd = FD(open("f", O_RDWR));
	/* what was cut off must not come back */
	TRY(ftruncate(fd, 5000));
	TRY(ftruncate(fd, 10000));
	px_at(t, fd, 4990, 20);
	px_at(t, fd, 0, 10000);
	TRY(ftruncate(fd, 4096));
	TRY(pwrite(fd, "x", 1, 9999));
	px_at(t, fd, 0, 10000);
}

static void again_and_again(struct px *t)
{
	int fd = scene(t, O_RDWR), bad = 0;

	for (int i = 0; i < 100; i++) {
		bad += ftruncate(fd, i * 977 % 20000) != 0;
		bad += pwrite(fd, "mark", 4, i * 131 % 15000) != 4;
	}
	px_note(t, "bad %d", bad);
	px_at(t, fd, 0, 30000);
}

static void allocate(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(fallocate(fd, 0, 0, 4));
	px_fstat(t, fd);
	TRY(fallocate(fd, 0, 5, 100));
	px_fstat(t, fd);
	px_at(t, fd, 0, 200);
	TRY(posix_fallocate(fd, 0, 200));
	px_fstat(t, fd);
	TRY(posix_fallocate(fd, 0, -1));
}

static void allocate_keep(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000));
	px_fstat(t, fd);
	px_at(t, fd, 0, 20);
}

static void allocate_punch(struct px *t)
{
	int fd;

	px_fill(t, "f", 20000);
	fd = FD(open("f", O_RDWR));
	px_at(t, fd, 0, 20000);
	TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 9000));
	px_at(t, fd, 0, 20000);
	TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
	px_fstat(t, fd);
}

static void allocate_zero(struct px *t)
{
	int fd;

	px_fill(t, "f", 20000);
	fd = FD(open("f", O_RDWR));
	TRY(fallocate(fd, FALLOC_FL_ZERO_RANGE, 100, 5000));
	px_at(t, fd, 0, 20000);
}

static void allocate_collapse(struct px *t)
{
	int fd;

	px_fill(t, "f", 20000);
	fd = FD(open("f", O_RDWR));
	TRY(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
	px_at(t, fd, 0, 20000);
}

static void allocate_kinds(struct px *t)
{
	int fd;

	px_dir(t, "d");
	fd = FD(open("d", O_RDONLY));
	TRY(fallocate(fd, 0, 0, 100));
	fd = scene(t, O_WRONLY | O_APPEND);
	TRY(fallocate(fd, 0, 0, 100));
	TRY(fallocate(fd, 0, 0x7fffffffffffffff, 100));
	TRY(fallocate(fd, 0, 1L << 60, 100));
}

static void resource_limit(struct px *t)
{
	const struct rlimit lim = { 50, 50 };
	char buf[100];
	int fd = scene(t, O_RDWR);

	memset(buf, 'x', sizeof(buf));
	signal(SIGXFSZ, SIG_IGN);
	px_need(t, !setrlimit(RLIMIT_FSIZE, &lim), "setrlimit");
	TRY(write(fd, buf, 100));
	TRY(write(fd, buf, 100));
	TRY(pwrite(fd, buf, 10, 60));
	TRY(ftruncate(fd, 60));
	TRY(truncate("f", 60));
	TRY(ftruncate(fd, 40));
	TRY(fallocate(fd, 0, 0, 60));
	px_fstat(t, fd);
}

static void resource_limit_signal(struct px *t)
{
	const struct rlimit lim = { 5, 5 };
	int fd = scene(t, O_RDWR);

	px_need(t, !setrlimit(RLIMIT_FSIZE, &lim), "setrlimit");
	TRY(pwrite(fd, "x", 1, 5));
}

static void copies(struct px *t)
{
	off_t in_off = 10, out_off = 5;
	int in, out;

	px_fill(t, "in", 100000);
	in = FD(open("in", O_RDWR));
	out = FD(open("out", O_CREAT | O_RDWR, 0644));
	TRY(copy_file_range(in, NULL, out, NULL, 50000, 0));
	TRY(copy_file_range(in, &in_off, out, &out_off, 1000, 0));
	TRY(in_off);
	TRY(out_off);
	TRY(lseek(in, 0, SEEK_CUR));
	TRY(lseek(out, 0, SEEK_CUR));
	TRY(copy_file_range(in, NULL, out, NULL, 0, 0));
	in_off = 200000;
	TRY(copy_file_range(in, &in_off, out, NULL, 10, 0));
	in_off = 99990;
	TRY(copy_file_range(in, &in_off, out, NULL, 100, 0));
	px_text(t, "out");
}

static void copies_refused(struct px *t)
{
	off_t a = 0, b = 5;
	int in = scene(t, O_RDWR), ro = FD(open("f", O_RDONLY)), app, dir;

	app = FD(open("f", O_WRONLY | O_APPEND));
	dir = FD(open(".", O_RDONLY));
	TRY(copy_file_range(in, &a, ro, &b, 5, 0));
	TRY(copy_file_range(in, &a, app, NULL, 5, 0));
	TRY(copy_file_range(dir, NULL, in, NULL, 5, 0));
	TRY(copy_file_range(in, &a, in, &b, 10, 0));
	TRY(copy_file_range(in, &a, in, &b, 5, 1));
	TRY(copy_file_range(in, &a, in, &b, 5, 0));
	px_text(t, "f");
}

const struct px_case case_size[] = {
	PX_RUN("truncate by path", by_path),
	PX_RUN("truncate by descriptor", by_fd),
	PX_RUN("truncate negative EINVAL", negative),
	PX_RUN("truncate huge EFBIG", huge),
	PX_RUN("truncate to a terabyte", large_sparse),
	PX_RUN("truncate kinds", kinds),
	PX_RUN("truncate read-only descriptor", read_only),
	PX_AS("truncate rights", rights),
	PX_RUN("truncate leaves zeros", tail_is_zero),
	PX_RUN("truncate again and again", again_and_again),
	PX_RUN("fallocate", allocate),
	PX_RUN("fallocate KEEP_SIZE", allocate_keep),
	PX_RUN("fallocate PUNCH_HOLE", allocate_punch),
	PX_RUN("fallocate ZERO_RANGE", allocate_zero),
	PX_KNOWN("fallocate COLLAPSE_RANGE", allocate_collapse, "the kernel's FUSE refuses it"),
	PX_RUN("fallocate kinds", allocate_kinds),
	PX_RUN("size limit EFBIG", resource_limit),
	PX_RUN("size limit SIGXFSZ", resource_limit_signal),
	PX_RUN("copy_file_range", copies),
	PX_RUN("copy_file_range refused", copies_refused),
	PX_END,
};
