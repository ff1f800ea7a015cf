/*
 * disk_name.h - where a sample lies below the directory of a disk store
 *
 *   objects/3f/9a/3f9a....0.json     one file a sample, two levels of fan-out by the key's first bytes
 *   damaged/3f9a....0.json           what failed its check
 *   tmp/PID.N                        being written; a name with no lock on it is a dead writer's
 *
 * Threads: any. Blocks: only disk_name_parents. Source: cache format page, "Names".
 */
#ifndef STORE_DISK_NAME_H
#define STORE_DISK_NAME_H

#include "include/inferfs/cache_engine.h"

#define DISK_NAME_MAX	  112 /* bytes of any path below the directory, with NUL */
#define DISK_NAME_OBJECTS "objects"
#define DISK_NAME_DAMAGED "damaged"
#define DISK_NAME_TMP	  "tmp"

/* disk_name_object - "objects/3f/9a/KEY.INDEX.json" */
void disk_name_object(const struct cache_key *key, uint32_t index, char out[DISK_NAME_MAX]);
/* disk_name_damaged - "damaged/KEY.INDEX.json" */
void disk_name_damaged(const struct cache_key *key, uint32_t index, char out[DISK_NAME_MAX]);
/* disk_name_leaf - "objects/3f/9a", or with levels 1 "objects/3f" */
void disk_name_leaf(const struct cache_key *key, int levels, char out[DISK_NAME_MAX]);
/* disk_name_parse - a directory entry's name; 0 or -EINVAL for any other file */
int disk_name_parse(const char *name, struct cache_name *out);
/* disk_name_parents - make the directories of an object; 0, -errno */
int disk_name_parents(int dirfd, const struct cache_key *key);

#endif
