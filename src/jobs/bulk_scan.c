/* bulk_scan.c - reading a block at a time; a line that spans blocks is gathered */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs/bulk_scan.h"

#include "base/banned.h"

#define BLOCK ((size_t)128 << 10)

void bulk_scan_begin(struct bulk_scan *s, int fd, size_t max_line)
{
	bulk_scan_done(s);
	*s = (struct bulk_scan){ .fd = fd, .max = max_line, .line = BUF_INIT(max_line + 1) };
}

void bulk_scan_done(struct bulk_scan *s)
{
	free(s->block);
	buf_done(&s->line);
	*s = (struct bulk_scan){ .fd = -1 };
}

/* 1: bytes are there; 0: the end of the file */
static int fill(struct bulk_scan *s)
{
	ssize_t n;

	if (s->at < s->have)
		return 1;
	if (!s->block)
		s->block = malloc(BLOCK);
	if (!s->block)
		return -ENOMEM;
	do
		n = pread(s->fd, s->block, BLOCK, (off_t)(s->off + s->have));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	s->off += s->have;
	s->have = (size_t)n;
	s->at = 0;
	return 1;
}

static bool blank(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r')
			return false;
	return true;
}

/* Bytes beyond the maximum are passed over; memory that is not there now is an error that may pass. */
static int gather(struct bulk_scan *s, const char *p, size_t n, bool *too_long)
{
	size_t room = s->max - s->line.len;

	if (n > room) {
		*too_long = true;
		n = room;
	}
	return buf_add(&s->line, p, n);
}

/* one line, blank or not; a failure in the middle goes back to its beginning */
static int line(struct bulk_scan *s, struct bulk_text *out)
{
	uint64_t start = s->off + s->at;
	struct bulk_text t = { .off = start, .no = s->no + 1 };
	bool any = false;
	int r;

	buf_clear(&s->line);
	while ((r = fill(s)) > 0) {
		const char *p = s->block + s->at, *end = memchr(p, '\n', s->have - s->at);
		size_t n = end ? (size_t)(end - p) : s->have - s->at;

		if (end && !any && n <= s->max) { /* the usual: nothing is copied */
			t.p = p;
			t.n = n;
		} else {
			r = gather(s, p, n, &t.too_long);
			if (r < 0)
				break;
		}
		s->at += n + (end != NULL);
		any = true;
		t.ended = end != NULL;
		if (end)
			break;
	}
	if (r < 0) {
		s->off = start;
		s->at = s->have = 0;
		return r;
	}
	if (!any)
		return 0;
	s->no++;
	if (!t.p) {
		t.p = buf_str(&s->line);
		t.n = s->line.len;
	}
	*out = t;
	return 1;
}

int bulk_scan_next(struct bulk_scan *s, struct bulk_text *out)
{
	int r;

	do
		r = line(s, out);
	while (r > 0 && !out->too_long && blank(out->p, out->n));
	if (r > 0)
		out->nth = s->nth++;
	return r;
}

int bulk_scan_one(int fd, uint64_t off, size_t n, struct buf *out)
{
	buf_clear(out);
	if (buf_reserve(out, n) < 0)
		return -ENOMEM;
	while (out->len < n) {
		ssize_t k = pread(fd, out->data + out->len, n - out->len, (off_t)(off + out->len));

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EIO;
		out->len += (size_t)k;
	}
	if (out->data)
		out->data[out->len] = '\0';
	return 0;
}
