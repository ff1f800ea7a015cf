/*
 * jobs/bulk_scan.h - the lines of a file, one after the other, in bounded memory
 *
 * Threads: one owner. Blocks: on the disk.
 */
#ifndef JOBS_BULK_SCAN_H
#define JOBS_BULK_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct bulk_scan {
	int fd; /* borrowed */
	size_t max;
	char *block;
	size_t at, have; /* in the block */
	uint64_t off;	 /* of the block's first byte */
	uint64_t no;	 /* of the line before, from 1 */
	uint64_t nth;	 /* lines that were not blank */
	struct buf line; /* one that does not lie in one block */
};

/* a line without its end; p is the scan's, until the next call */
struct bulk_text {
	const char *p;
	size_t n;
	uint64_t no;   /* from 1, over all lines */
	uint64_t nth;  /* from 0, over those that are not blank */
	uint64_t off;  /* of its first byte in the file */
	bool too_long; /* only its first bytes are here */
	bool ended;    /* there was a newline */
};

/* bulk_scan_begin - from the first byte; what was there before goes */
void bulk_scan_begin(struct bulk_scan *s, int fd, size_t max_line);
void bulk_scan_done(struct bulk_scan *s);
/* bulk_scan_next - the next line that is not blank: 1, 0 at the end, -errno (it may be tried again) */
int bulk_scan_next(struct bulk_scan *s, struct bulk_text *out);
/* bulk_scan_one - the line at an offset again, into buf */
int bulk_scan_one(int fd, uint64_t off, size_t n, struct buf *out);

#endif
