/*
 * vfs/modelnodes.h - the names below models/BACKEND: numbers that stay, whatever lists come
 *
 * A node's number is never given to another name, and lists change seldom: what went stays in the table.
 * Private to models.c. Threads: the owner's lock. Blocks: never.
 */
#ifndef VFS_MODELNODES_H
#define VFS_MODELNODES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

struct modelnode {
	struct map_link by_name;
	uint32_t number, parent; /* parent 0: the backend's directory */
	bool dir;
	size_t at; /* file: in the list; of a directory it means nothing */
	bool there;
	char *name;
};

/* number n is nodes[n - 1] */
struct modelnodes {
	struct modelnode **nodes;
	uint32_t n, cap;
	struct map by_name;
};

/* modelnodes_init - empty, no memory yet */
void modelnodes_init(struct modelnodes *t);
/* modelnodes_done - the names and the table */
void modelnodes_done(struct modelnodes *t);
/* modelnodes_set - the models of a list, by their "id", are there; all others are not */
void modelnodes_set(struct modelnodes *t, const json_t *models);
/* modelnodes_get - one that is there; NULL: none */
const struct modelnode *modelnodes_get(const struct modelnodes *t, uint32_t number);
/* modelnodes_find - by its name in the directory `parent`, there or not; NULL: there never was one */
const struct modelnode *modelnodes_find(const struct modelnodes *t, uint32_t parent,
					const char *name);

#endif
