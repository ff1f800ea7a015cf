/* chmod, umask, and when set-id bits go away. */
#include "px.h"

#include <sys/mman.h>

static const char sgid_alone[] = "the kernel's FUSE drops sgid only together with group x";

static void all_modes(struct px *t)
{
	static const mode_t modes[] = { 0,     0777,  0644,  0111,   04755,  02755,
					01755, 07777, 06000, 010644, 0100600 };
	int fd;

	px_file(t, "f", "text");
	px_dir(t, "d");
	fd = FD(open("f", O_RDONLY));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		TRY(chmod("f", modes[i]));
		px_fstat(t, fd);
		TRY(chmod("d", modes[i]));
		px_stat(t, "d");
	}
}

static void chmod_errors(struct px *t)
{
	px_file(t, "f", "text");
	px_link(t, "none", "dang");
	px_link(t, "loop", "loop");
	TRY(chmod("none", 0600));
	TRY(chmod("dang", 0600));
	TRY(chmod("loop", 0600));
	TRY(chmod("f/x", 0600));
	TRY(fchmod(999, 0600));
}

static void chmod_follows(struct px *t)
{
	px_file(t, "f", "text");
	px_link(t, "f", "l");
	TRY(chmod("l", 0600));
	px_stat(t, "f");
	px_stat(t, "l");
	TRY(fchmodat(AT_FDCWD, "l", 0640, 0));
	TRY(fchmodat(AT_FDCWD, "l", 0644, 0x8000));
}

static void by_owner(struct px *t)
{
	px_file_of(t, "f", U2, 0644);
	px_dir_of(t, "d", U2, 0755);
	px_be(t, U2);
	TRY(chmod("f", 0));
	TRY(chmod("f", 06711));
	TRY(chmod("d", 03700));
	px_stat(t, "f");
}

static void by_stranger(struct px *t)
{
	int fd;

	px_file_of(t, "f", U1, 0666);
	px_be_group(t, U2, U1, 0);
	TRY(chmod("f", 0600));
	TRY(chmod("f", 0666));
	fd = FD(open("f", O_RDWR));
	TRY(fchmod(fd, 0600));
}

static void setgid_foreign_group(struct px *t)
{
	px_file_of(t, "f", U2, 0755);
	px_need(t, !chown("f", U2, U1), "chown");
	px_be(t, U2);
	/* the bit is dropped without an error unless one is in the group */
	TRY(chmod("f", 02755));
	px_stat(t, "f");
	TRY(chmod("f", 06755));
	px_stat(t, "f");
	px_be_group(t, U2, U2, U1);
	TRY(chmod("f", 02755));
	px_stat(t, "f");
}

static void open_with_set(struct px *t, mode_t mode)
{
	px_file_of(t, "f", U2, 0777);
	px_need(t, !chmod("f", mode), "chmod");
}

/* Whoever changes the content without privilege takes the set-id bits away. */
static void write_clears(struct px *t)
{
	int fd;

	open_with_set(t, 06777);
	px_be(t, U1);
	fd = FD(open("f", O_RDWR));
	px_stat(t, "f");
	PUT(fd, "x");
	px_stat(t, "f");
}

static void write_clears_owner(struct px *t)
{
	int fd;

	open_with_set(t, 06777);
	px_be(t, U2);
	fd = FD(open("f", O_RDWR));
	PUT(fd, "x");
	px_stat(t, "f");
}

static void write_by_root(struct px *t)
{
	int fd;

	open_with_set(t, 06777);
	fd = FD(open("f", O_RDWR));
	PUT(fd, "x");
	px_stat(t, "f");
}

static void write_setgid_noexec(struct px *t)
{
	int fd;

	open_with_set(t, 02666);
	px_be(t, U1);
	fd = FD(open("f", O_RDWR));
	PUT(fd, "x");
	px_stat(t, "f");
}

static void write_nothing(struct px *t)
{
	int fd;

	open_with_set(t, 06777);
	px_be(t, U1);
	fd = FD(open("f", O_RDWR));
	TRY(write(fd, "", 0));
	px_stat(t, "f");
}

static void append_clears(struct px *t)
{
	int fd;

	open_with_set(t, 04777);
	px_be(t, U1);
	fd = FD(open("f", O_WRONLY | O_APPEND));
	PUT(fd, "x");
	px_stat(t, "f");
}

static void truncate_clears(struct px *t)
{
	open_with_set(t, 06777);
	px_be(t, U1);
	TRY(truncate("f", 3));
	px_stat(t, "f");
}

static void ftruncate_clears(struct px *t)
{
	int fd;

	open_with_set(t, 06777);
	px_be(t, U1);
	fd = FD(open("f", O_RDWR));
	TRY(ftruncate(fd, 30));
	px_stat(t, "f");
}

static void open_trunc_clears(struct px *t)
{
	open_with_set(t, 06777);
	px_be(t, U1);
	FD(open("f", O_WRONLY | O_TRUNC));
	px_stat(t, "f");
}

static void fallocate_clears(struct px *t)
{
	int fd;

	open_with_set(t, 06777);
	px_be(t, U1);
	fd = FD(open("f", O_RDWR));
	TRY(fallocate(fd, 0, 0, 100));
	px_stat(t, "f");
}

static void read_keeps(struct px *t)
{
	int fd;

	open_with_set(t, 06777);
	px_be(t, U1);
	fd = FD(open("f", O_RDWR));
	px_at(t, fd, 0, 20);
	TRY(fsync(fd));
	TRY(close(fd));
	px_stat(t, "f");
}

static void mmap_write(struct px *t)
{
	char *p;
	int fd;

	open_with_set(t, 06777);
	px_be(t, U1);
	fd = FD(open("f", O_RDWR));
	p = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TRY(p == MAP_FAILED ? -1 : 0);
	p[0] = 'x';
	TRY(msync(p, 10, MS_SYNC));
	px_stat(t, "f");
}

static void chown_clears_dir(struct px *t)
{
	px_dir_of(t, "d", U2, 07777);
	TRY(chown("d", U1, U1));
	px_stat(t, "d");
}

static void umask_values(struct px *t)
{
	static const mode_t masks[] = { 0, 02, 022, 027, 077, 0777 };
	char name[16];

	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		umask(masks[i]);
		snprintf(name, sizeof(name), "f%zu", i);
		FD(open(name, O_CREAT | O_RDWR, 0777));
		snprintf(name, sizeof(name), "d%zu", i);
		TRY(mkdir(name, 0777));
		snprintf(name, sizeof(name), "l%zu", i);
		TRY(symlink("x", name));
	}
}

static void umask_not_for_chmod(struct px *t)
{
	px_file(t, "f", "text");
	umask(077);
	TRY(chmod("f", 0666));
	/* nor for a file that is there already */
	FD(open("f", O_CREAT | O_RDWR, 0777));
}

static void create_modes(struct px *t)
{
	umask(0);
	FD(open("a", O_CREAT | O_RDWR, 07777));
	FD(open("b", O_CREAT | O_RDWR, 01644));
	FD(open("c", O_CREAT | O_RDWR, 0100644));
	FD(open("d", O_CREAT | O_RDWR, 0444));
}

const struct px_case case_mode[] = {
	PX_RUN("chmod many modes", all_modes),
	PX_RUN("chmod errors", chmod_errors),
	PX_RUN("chmod follows links", chmod_follows),
	PX_AS("chmod by owner", by_owner),
	PX_AS("chmod by stranger EPERM", by_stranger),
	PX_AS("chmod sgid with foreign group", setgid_foreign_group),
	PX_AS("set-id cleared by write", write_clears),
	PX_AS("set-id cleared by owner's write", write_clears_owner),
	PX_AS("set-id kept by root's write", write_by_root),
	{ "set-id sgid without x and a write", write_setgid_noexec, PX_ROOT, NULL, sgid_alone },
	PX_AS("set-id and a write of nothing", write_nothing),
	PX_AS("set-id cleared by append", append_clears),
	PX_AS("set-id cleared by truncate", truncate_clears),
	PX_AS("set-id cleared by ftruncate", ftruncate_clears),
	PX_AS("set-id cleared by O_TRUNC", open_trunc_clears),
	PX_AS("set-id cleared by fallocate", fallocate_clears),
	PX_AS("set-id kept by read and fsync", read_keeps),
	PX_AS("set-id and a write through mmap", mmap_write),
	PX_AS("set-id of a directory kept by chown", chown_clears_dir),
	PX_RUN("umask values", umask_values),
	PX_RUN("umask not for chmod, not for old files", umask_not_for_chmod),
	PX_RUN("umask create modes with special bits", create_modes),
	PX_END,
};
