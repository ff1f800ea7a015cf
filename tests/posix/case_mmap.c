/* mmap(2): pages and bytes must be one thing. */
#include "px.h"

#include <signal.h>
#include <sys/mman.h>

static int scene(struct px *t, int flags)
{
	px_fill(t, "f", 10000);
	return FD(open("f", flags));
}

static char *map(struct px *t, int fd, int prot, int flags)
{
	char *p = mmap(NULL, 10000, prot, flags, fd, 0);

	px_note(t, "mmap = %s", p == MAP_FAILED ? strerrorname_np(errno) : "ok");
	if (p == MAP_FAILED)
		_exit(0);
	return p;
}

static void shared_write(struct px *t)
{
	int fd = scene(t, O_RDWR);
	char *p = map(t, fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	memcpy(p + 5000, "mapped", 6);
	TRY(msync(p, 10000, MS_SYNC));
	px_at(t, fd, 4995, 20);
	px_text(t, "f");
	TRY(munmap(p, 10000));
	px_stat(t, "f");
}

static void shared_write_no_sync(struct px *t)
{
	int fd = scene(t, O_RDWR), other = FD(open("f", O_RDONLY));
	char *p = map(t, fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	memcpy(p, "at once", 7);
	px_at(t, fd, 0, 10);
	px_at(t, other, 0, 10);
	TRY(munmap(p, 10000));
	TRY(close(fd));
	px_text(t, "f");
}

static void shared_after_close(struct px *t)
{
	int fd = scene(t, O_RDWR);
	char *p = map(t, fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	TRY(close(fd));
	memcpy(p, "later", 5);
	TRY(msync(p, 10000, MS_ASYNC));
	TRY(munmap(p, 10000));
	px_text(t, "f");
}

static void shared_unlinked(struct px *t)
{
	int fd = scene(t, O_RDWR);
	char *p = map(t, fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	TRY(unlink("f"));
	TRY(close(fd));
	memcpy(p, "gone", 4);
	TRY(msync(p, 10000, MS_SYNC));
	px_bytes(t, "map", p, 10);
}

static void private_write(struct px *t)
{
	int fd = scene(t, O_RDONLY);
	char *p = map(t, fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	memcpy(p, "mine", 4);
	px_bytes(t, "map", p, 10);
	px_at(t, fd, 0, 10);
	TRY(munmap(p, 10000));
}

static void write_is_seen(struct px *t)
{
	int fd = scene(t, O_RDWR);
	char *p = map(t, fd, PROT_READ, MAP_SHARED);

	px_bytes(t, "map", p, 10);
	TRY(pwrite(fd, "written", 7, 0));
	px_bytes(t, "map", p, 10);
	TRY(pwrite(fd, "edge", 4, 4094));
	px_bytes(t, "map", p + 4090, 12);
}

static int write_in_child(void *arg)
{
	int fd = open("f", O_WRONLY);

	(void)arg;
	return pwrite(fd, "child", 5, 8000) != 5 || close(fd);
}

static void other_process_is_seen(struct px *t)
{
	int fd = scene(t, O_RDONLY);
	char *p = map(t, fd, PROT_READ, MAP_SHARED);

	px_bytes(t, "map", p + 7995, 15);
	px_note(t, "child %d", px_child(t, write_in_child, NULL));
	px_bytes(t, "map", p + 7995, 15);
}

static int write_map(void *arg)
{
	memcpy(arg, "by child", 8);
	return 0;
}

static void shared_by_fork(struct px *t)
{
	int fd = scene(t, O_RDWR);
	char *p = map(t, fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	px_note(t, "child %d", px_child(t, write_map, p));
	px_bytes(t, "map", p, 10);
	px_at(t, fd, 0, 10);
}

static void refused(struct px *t)
{
	int r = scene(t, O_RDONLY), w = FD(open("f", O_WRONLY)), dir = FD(open(".", O_RDONLY));
	int path = FD(open("f", O_PATH));

	TRY(mmap(NULL, 10, PROT_WRITE, MAP_SHARED, r, 0) == MAP_FAILED ? -1 : 0);
	TRY(mmap(NULL, 10, PROT_READ, MAP_SHARED, w, 0) == MAP_FAILED ? -1 : 0);
	TRY(mmap(NULL, 10, PROT_WRITE, MAP_SHARED, w, 0) == MAP_FAILED ? -1 : 0);
	TRY(mmap(NULL, 10, PROT_READ, MAP_PRIVATE, dir, 0) == MAP_FAILED ? -1 : 0);
	TRY(mmap(NULL, 10, PROT_READ, MAP_PRIVATE, path, 0) == MAP_FAILED ? -1 : 0);
	TRY(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, r, 0) == MAP_FAILED ? -1 : 0);
	TRY(mmap(NULL, 10, PROT_READ, MAP_PRIVATE, r, 100) == MAP_FAILED ? -1 : 0);
	TRY(mmap(NULL, 10, PROT_READ, 0, r, 0) == MAP_FAILED ? -1 : 0);
	TRY(mmap(NULL, 10, PROT_READ, MAP_SHARED, 999, 0) == MAP_FAILED ? -1 : 0);
}

static void protect(struct px *t)
{
	int fd = scene(t, O_RDONLY);
	char *p = map(t, fd, PROT_READ, MAP_SHARED);

	TRY(mprotect(p, 10000, PROT_READ | PROT_WRITE));
	p = map(t, fd, PROT_READ, MAP_PRIVATE);
	TRY(mprotect(p, 10000, PROT_READ | PROT_WRITE));
}

static int touch(void *arg)
{
	/* the signal is what is asked for: no sanitizer may report it as a fault of ours */
	signal(SIGBUS, SIG_DFL);
	return *(volatile char *)arg;
}

static void beyond_the_end(struct px *t)
{
	int fd = scene(t, O_RDWR);
	char *p = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	px_need(t, p != MAP_FAILED, "mmap");
	/* 10000 bytes reach into the third page; the fourth has no bytes behind it: SIGBUS */
	px_note(t, "touch third %d", px_child(t, touch, p + 12000));
	px_note(t, "touch fourth %d", px_child(t, touch, p + 12288));
	memcpy(p + 10000, "not in the file", 15);
	TRY(msync(p, 12288, MS_SYNC));
	px_fstat(t, fd);
	px_at(t, fd, 9995, 20);
	TRY(ftruncate(fd, 16384));
	px_note(t, "touch fourth %d", px_child(t, touch, p + 12288));
}

static void shrunk_under_it(struct px *t)
{
	int fd = scene(t, O_RDWR);
	char *p = map(t, fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	px_note(t, "touch %d", px_child(t, touch, p + 8192) > 255);
	TRY(ftruncate(fd, 100));
	px_note(t, "touch %d", px_child(t, touch, p + 8192) > 255);
	px_bytes(t, "rest of the page", p + 90, 20);
	TRY(ftruncate(fd, 10000));
	px_bytes(t, "grown again", p + 8192, 10);
}

static void grown_by_write(struct px *t)
{
	char *p;
	int fd;

	px_file(t, "f", "short");
	fd = FD(open("f", O_RDWR | O_APPEND));
	p = map(t, fd, PROT_READ, MAP_SHARED);
	px_bytes(t, "map", p, 10);
	PUT(fd, " and longer");
	px_bytes(t, "map", p, 20);
}

static void replaced_file(struct px *t)
{
	int fd = scene(t, O_RDONLY);
	char *p = map(t, fd, PROT_READ, MAP_SHARED);

	px_file(t, "g", "other");
	TRY(rename("g", "f"));
	px_bytes(t, "map", p, 10);
	px_text(t, "f");
}

static void built_by_mmap(struct px *t)
{
	char *p;
	int fd = FD(open("f", O_CREAT | O_RDWR, 0644));

	/* as linkers and databases write: grow, map, fill, sync */
	TRY(ftruncate(fd, 300000));
	p = mmap(NULL, 300000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	px_need(t, p != MAP_FAILED, "mmap");
	for (int i = 0; i < 300000; i++)
		p[i] = (char)(i % 97);
	TRY(msync(p, 300000, MS_SYNC));
	TRY(munmap(p, 300000));
	TRY(fsync(fd));
	TRY(close(fd));
	px_text(t, "f");
}

static void write_from_own_map(struct px *t)
{
	int fd = scene(t, O_RDWR);
	char *p = map(t, fd, PROT_READ, MAP_SHARED);

	/* the bytes to write are pages of the same file, not yet in memory */
	TRY(pwrite(fd, p + 4096, 4096, 0));
	TRY(pread(fd, p, 10, 0));
	px_at(t, fd, 0, 20);
}

const struct px_case case_mmap[] = {
	PX_RUN("mmap shared write and msync", shared_write),
	PX_RUN("mmap shared write without msync", shared_write_no_sync),
	PX_RUN("mmap shared after close", shared_after_close),
	PX_RUN("mmap shared and unlinked", shared_unlinked),
	PX_RUN("mmap private write", private_write),
	PX_RUN("mmap sees write", write_is_seen),
	PX_RUN("mmap sees another process", other_process_is_seen),
	PX_RUN("mmap shared by fork", shared_by_fork),
	PX_RUN("mmap refused", refused),
	PX_RUN("mmap mprotect", protect),
	PX_RUN("mmap beyond the end", beyond_the_end),
	PX_RUN("mmap shrunk under it", shrunk_under_it),
	PX_RUN("mmap grown by write", grown_by_write),
	PX_RUN("mmap of a replaced file", replaced_file),
	PX_RUN("mmap builds a file", built_by_mmap),
	PX_RUN("mmap write from its own pages", write_from_own_map),
	PX_END,
};
