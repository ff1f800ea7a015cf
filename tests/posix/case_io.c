/* Bytes: read, write, append, seek, vectors, several descriptors, many sizes. */
#include "px.h"

#include <sys/sendfile.h>
#include <sys/uio.h>

/* an address nothing is mapped at; volatile, because the compiler would know better */
static void *volatile nowhere = (void *)8;

static int scene(struct px *t, int flags)
{
	px_file(t, "f", "0123456789");
	return FD(open("f", flags));
}

static void overwrite(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(pwrite(fd, "AB", 2, 4));
	px_at(t, fd, 0, 20);
	PUT(fd, "xyz");
	px_at(t, fd, 0, 20);
	TRY(lseek(fd, 0, SEEK_CUR));
	TRY(pwrite(fd, "END", 3, 9));
	px_text(t, "f");
}

static void read_edges(struct px *t)
{
	int fd = scene(t, O_RDONLY);
	char buf[32];

	TRY(read(fd, buf, 4));
	TRY(read(fd, buf, 32));
	TRY(read(fd, buf, 32));
	TRY(pread(fd, buf, 32, 9));
	TRY(pread(fd, buf, 32, 10));
	TRY(pread(fd, buf, 32, 1000000));
	TRY(pread(fd, buf, 0, 0));
	TRY(pread(fd, buf, 4, -1));
	TRY(read(fd, nowhere, 4));
	TRY(lseek(fd, 0, SEEK_CUR));
}

static void holes(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(pwrite(fd, "far", 3, 100000));
	px_fstat(t, fd);
	px_at(t, fd, 8, 10);
	px_at(t, fd, 50000, 10);
	px_at(t, fd, 99995, 20);
	TRY(lseek(fd, 200000, SEEK_SET));
	px_fstat(t, fd);
	PUT(fd, "farther");
	px_fstat(t, fd);
}

static void seeks(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(lseek(fd, 5, SEEK_SET));
	TRY(lseek(fd, -2, SEEK_CUR));
	TRY(lseek(fd, -4, SEEK_CUR));
	TRY(lseek(fd, -1, SEEK_SET));
	TRY(lseek(fd, 0, SEEK_END));
	TRY(lseek(fd, 5, SEEK_END));
	TRY(lseek(fd, -11, SEEK_END));
	TRY(lseek(fd, 0, 99));
	TRY(lseek(fd, 1L << 40, SEEK_SET));
	TRY(lseek(999, 0, SEEK_SET));
	TRY(lseek(fd, 0, SEEK_CUR));
}

static void seek_data(struct px *t)
{
	int fd = scene(t, O_RDWR);

	/* a file without holes is one piece of data with a hole at its end, whoever is asked */
	TRY(lseek(fd, 0, SEEK_DATA));
	TRY(lseek(fd, 3, SEEK_DATA));
	TRY(lseek(fd, 0, SEEK_HOLE));
	TRY(lseek(fd, 10, SEEK_DATA));
	TRY(lseek(fd, 10, SEEK_HOLE));
	TRY(lseek(fd, 11, SEEK_HOLE));
	TRY(lseek(fd, -1, SEEK_DATA));
}

static void seek_hole(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(pwrite(fd, "far", 3, 1 << 20));
	TRY(fsync(fd));
	TRY(lseek(fd, 0, SEEK_HOLE));
	TRY(lseek(fd, 8192, SEEK_DATA));
}

static void append_two(struct px *t)
{
	int a = scene(t, O_WRONLY | O_APPEND), b = FD(open("f", O_WRONLY | O_APPEND));

	PUT(a, "one ");
	PUT(b, "two ");
	PUT(a, "three ");
	PUT(b, "four");
	TRY(lseek(a, 0, SEEK_CUR));
	TRY(lseek(b, 0, SEEK_CUR));
	px_text(t, "f");
}

static void append_ignores_offset(struct px *t)
{
	int fd = scene(t, O_RDWR | O_APPEND);

	TRY(lseek(fd, 2, SEEK_SET));
	PUT(fd, "end");
	TRY(lseek(fd, 0, SEEK_CUR));
	/* Linux appends even here, against POSIX */
	TRY(pwrite(fd, "P", 1, 0));
	px_at(t, fd, 0, 40);
}

static void append_switched(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(fcntl(fd, F_SETFL, O_APPEND));
	PUT(fd, "end");
	TRY(fcntl(fd, F_SETFL, 0));
	TRY(pwrite(fd, "A", 1, 0));
	px_text(t, "f");
}

static void append_after_truncate(struct px *t)
{
	int fd = scene(t, O_WRONLY | O_APPEND);

	TRY(truncate("f", 3));
	PUT(fd, "abc");
	TRY(ftruncate(fd, 0));
	PUT(fd, "new");
	px_text(t, "f");
}

static void append_and_grow(struct px *t)
{
	int app = scene(t, O_WRONLY | O_APPEND), wr = FD(open("f", O_WRONLY));

	TRY(pwrite(wr, "far", 3, 50));
	PUT(app, "end");
	px_fstat(t, app);
	px_text(t, "f");
}

static int append_lines(void *arg)
{
	int fd = open("f", O_WRONLY | O_APPEND);
	char line[32];

	for (int i = 0; i < 100; i++) {
		int n = snprintf(line, sizeof(line), "%s %03d\n", (const char *)arg, i);

		if (write(fd, line, (size_t)n) != n)
			return 1;
	}
	return close(fd) != 0;
}

static void append_processes(struct px *t)
{
	static char a[] = "one", b[] = "two";
	struct stat st = { 0 };

	px_file(t, "f", "");
	px_note(t, "child %d", px_child(t, append_lines, a));
	px_note(t, "child %d", px_child(t, append_lines, b));
	TRY(append_lines(a));
	TRY(stat("f", &st));
	TRY(st.st_size);
}

static void other_descriptor_sees(struct px *t)
{
	int w = scene(t, O_WRONLY), r = FD(open("f", O_RDONLY));

	px_at(t, r, 0, 20);
	PUT(w, "now");
	px_at(t, r, 0, 20);
	TRY(pwrite(w, "grown", 5, 20));
	px_at(t, r, 0, 40);
	TRY(ftruncate(w, 4));
	px_at(t, r, 0, 40);
	px_fstat(t, r);
}

static int write_in_child(void *arg)
{
	int fd = open("f", O_WRONLY);

	(void)arg;
	return pwrite(fd, "child", 5, 2) != 5 || ftruncate(fd, 8) || close(fd);
}

static void other_process_sees(struct px *t)
{
	int fd = scene(t, O_RDONLY);

	px_at(t, fd, 0, 20);
	px_note(t, "child %d", px_child(t, write_in_child, NULL));
	px_at(t, fd, 0, 20);
	px_fstat(t, fd);
}

static void shared_offset(struct px *t)
{
	int fd = scene(t, O_RDWR), two = FD(dup(fd));

	PUT(fd, "ab");
	PUT(two, "cd");
	TRY(lseek(fd, 0, SEEK_CUR));
	TRY(close(fd));
	PUT(two, "ef");
	px_text(t, "f");
}

static void vectors(struct px *t)
{
	char a[] = "one", b[] = "", c[] = "three", in[2][5] = { "", "" };
	struct iovec out[3] = { { a, 3 }, { b, 0 }, { c, 5 } };
	struct iovec back[2] = { { in[0], 4 }, { in[1], 4 } };
	int fd = scene(t, O_RDWR);

	TRY(writev(fd, out, 3));
	TRY(pwritev(fd, out, 3, 20));
	TRY(preadv(fd, back, 2, 0));
	px_bytes(t, "first", in[0], 4);
	px_bytes(t, "second", in[1], 4);
	TRY(pwritev2(fd, out, 3, -1, RWF_APPEND));
	TRY(pwritev2(fd, out, 1, 1, RWF_DSYNC));
	px_text(t, "f");
}

/* Sizes around pages and around what FUSE sends in one piece. */
static void sizes(struct px *t)
{
	static const size_t len[] = { 1,      4095,   4096,   4097,    65536,	     131071,
				      131072, 131073, 262145, 1 << 20, (1 << 20) + 1 };
	char name[16];

	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		snprintf(name, sizeof(name), "s%zu", len[i]);
		px_fill(t, name, len[i]);
		px_text(t, name);
	}
}

static void backwards(struct px *t)
{
	char block[4096];
	int fd = scene(t, O_RDWR), bad = 0;

	for (int i = 63; i >= 0; i--) {
		memset(block, 'A' + i % 26, sizeof(block));
		bad += pwrite(fd, block, sizeof(block), i * 4096L) != sizeof(block);
	}
	px_note(t, "bad %d", bad);
	px_text(t, "f");
}

static void byte_by_byte(struct px *t)
{
	int fd = scene(t, O_RDWR | O_TRUNC), bad = 0;

	for (int i = 0; i < 3000; i++) {
		char c = (char)('a' + i % 26);

		bad += write(fd, &c, 1) != 1;
	}
	px_note(t, "bad %d", bad);
	px_text(t, "f");
}

/* A reader that has the pages and a writer in between: mixed up and down, by a fixed formula. */
static void scattered(struct px *t)
{
	int fd = scene(t, O_RDWR), r = FD(open("f", O_RDONLY));
	unsigned x = 12345;
	char buf[3000];
	int bad = 0;

	for (int i = 0; i < 200; i++) {
		size_t len;

		x = x * 1103515245u + 12345u;
		len = x >> 16 & 2047;
		memset(buf, 'a' + i % 26, len);
		bad += pwrite(fd, buf, len, (off_t)(x >> 8 & 65535)) != (ssize_t)len;
		bad += pread(r, buf, sizeof(buf), (off_t)(x >> 4 & 65535)) < 0;
	}
	px_note(t, "bad %d", bad);
	px_at(t, r, 0, 1 << 17);
}

static void read_after_close(struct px *t)
{
	int fd;

	for (int i = 0; i < 5; i++) {
		fd = FD(open("f", O_CREAT | O_TRUNC | O_WRONLY, 0644));
		for (int k = 0; k <= i; k++)
			PUT(fd, "generation ");
		TRY(close(fd));
		px_text(t, "f");
		px_stat(t, "f");
	}
}

static void same_size_other_bytes(struct px *t)
{
	int r, w;

	/* size and, within a tick, times stay the same: only invalidation helps the cached pages */
	r = scene(t, O_RDONLY);
	px_at(t, r, 0, 20);
	for (int i = 0; i < 3; i++) {
		w = FD(open("f", O_WRONLY));
		TRY(pwrite(w, &"abcdefghij"[i], 7, 0));
		TRY(close(w));
		px_at(t, r, 0, 20);
	}
}

static void direct(struct px *t)
{
	void *block = NULL;
	int fd;

	px_need(t, !posix_memalign(&block, 4096, 8192), "memory");
	memset(block, 'D', 8192);
	fd = FD(open("f", O_CREAT | O_RDWR | O_DIRECT, 0644));
	TRY(pwrite(fd, block, 8192, 0));
	memset(block, 0, 8192);
	TRY(pread(fd, block, 4096, 4096));
	px_bytes(t, "block", block, 4096);
	TRY(pread(fd, block, 4096, 8192));
	free(block);
}

static void transfers(struct px *t)
{
	int in, out, pipes[2];
	off_t off = 0;

	px_fill(t, "in", 100000);
	in = FD(open("in", O_RDONLY));
	out = FD(open("out", O_CREAT | O_RDWR, 0644));
	TRY(sendfile(out, in, &off, 60000));
	TRY(off);
	px_need(t, !pipe(pipes), "pipe");
	TRY(splice(in, &off, pipes[1], NULL, 4096, 0));
	TRY(splice(pipes[0], NULL, out, NULL, 4096, 0));
	px_text(t, "out");
}

static void advice(struct px *t)
{
	int fd = scene(t, O_RDWR);

	TRY(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
	TRY(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
	TRY(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	TRY(readahead(fd, 0, 4096));
	TRY(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	px_at(t, fd, 0, 20);
}

static void stdio_stream(struct px *t)
{
	char line[64];
	FILE *f;

	f = fopen("s", "w+");
	px_need(t, f != NULL, "fopen");
	for (int i = 0; i < 2000; i++)
		fprintf(f, "line %d\n", i);
	TRY(fseek(f, 100, SEEK_SET));
	px_note(t, "line %s", fgets(line, 5, f));
	TRY(fseek(f, 0, SEEK_END));
	fputs("last", f);
	TRY(fclose(f));
	f = fopen("s", "a");
	fputs("+", f);
	TRY(fclose(f));
	px_stat(t, "s");
}

const struct px_case case_io[] = {
	PX_RUN("io overwrite", overwrite),
	PX_RUN("io read at the edges", read_edges),
	PX_RUN("io holes", holes),
	PX_RUN("io lseek", seeks),
	PX_RUN("io SEEK_DATA and SEEK_HOLE, no hole", seek_data),
	PX_KNOWN("io SEEK_HOLE with a hole", seek_hole, "without LSEEK the whole file is data"),
	PX_RUN("io O_APPEND by two descriptors", append_two),
	PX_RUN("io O_APPEND ignores the offset", append_ignores_offset),
	PX_RUN("io O_APPEND by fcntl", append_switched),
	PX_RUN("io O_APPEND after truncation", append_after_truncate),
	PX_RUN("io O_APPEND after another grew it", append_and_grow),
	PX_RUN("io O_APPEND by processes", append_processes),
	PX_RUN("io seen by another descriptor", other_descriptor_sees),
	PX_RUN("io seen by another process", other_process_sees),
	PX_RUN("io dup shares the offset", shared_offset),
	PX_RUN("io vectors", vectors),
	PX_RUN("io many sizes", sizes),
	PX_RUN("io blocks backwards", backwards),
	PX_RUN("io byte by byte", byte_by_byte),
	PX_RUN("io scattered", scattered),
	PX_RUN("io read after close, growing", read_after_close),
	PX_RUN("io same size, other bytes", same_size_other_bytes),
	PX_RUN("io O_DIRECT", direct),
	PX_RUN("io sendfile and splice", transfers),
	PX_RUN("io advice", advice),
	PX_RUN("io stdio", stdio_stream),
	PX_END,
};
