/*
 * jobs/bulk_ask.h - can a line be asked? what its request is, checked and keyed
 *
 * Private to jobs/. Threads: any. Blocks: on the disk, where it names images.
 */
#ifndef JOBS_BULK_ASK_H
#define JOBS_BULK_ASK_H

#include "jobs/bulk_item.h"
#include "jobs/inside.h"

struct checked;

struct bulk_ask {
	struct broker *b;
	const char *root, *path; /* of the prompt's file */
	bool batch;		 /* through the provider's batch API */
	const json_t *
		defaults; /* array or NULL; copied, for what a request keeps of it is other threads' */
};

/* bulk_ask_check - 0; -errno: item->e says why it cannot be asked, or there was no memory and e is empty */
int bulk_ask_check(const struct bulk_ask *q, const struct bulk_text *t, struct bulk_item *item,
		   struct checked *c);
/* bulk_ask_line_max - bytes of a line */
size_t bulk_ask_line_max(const struct broker *b);

#endif
