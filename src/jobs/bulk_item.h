/*
 * jobs/bulk_item.h - what a line says: who it is, and what it asks
 *
 * Threads: one owner. Blocks: never.
 */
#ifndef JOBS_BULK_ITEM_H
#define JOBS_BULK_ITEM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "jobs/bulk_scan.h"
#include "jobs/bulk_set.h"

struct bulk_item {
	uint64_t no;
	char *custom_id; /* as written; the line's number when it has none of its own */
	char *name;	 /* below items/: custom_id, escaped */
	bool own_id;
	json_t *request; /* without custom_id; NULL: e says why */
	struct err e;
};

/* bulk_item_read - seen: the names of the lines before it, where its own is added; the later one of two is
 * an error that is known by its number. NULL: only what it asks is wanted
 * Errors: -ENOMEM; what is wrong with the line is in out->e, and 0 */
int bulk_item_read(const struct bulk_text *t, struct bulk_set *seen, struct bulk_item *out);
/* bulk_item_renumber - a sentence about line 1 of a text that is line `no` of a file */
void bulk_item_renumber(struct err *e, uint64_t no);
void bulk_item_done(struct bulk_item *i);
/* bulk_item_name - custom_id as a file's name: `/`, `%`, control characters and a leading dot are %XX; malloc'd */
char *bulk_item_name(const char *custom_id);

#endif
