/*
 * registry.h - which engine serves which URL
 *
 * An engine's file exports one const table; it is listed in registry.c and nowhere else.
 * Threads: any. Blocks: never.
 */
#ifndef STORE_REGISTRY_H
#define STORE_REGISTRY_H

#include "base/err.h"
#include "include/inferfs/cache_engine.h"

extern const struct cache_engine engine_disk, engine_tmp, engine_memory;

/* registry_find - the table of a scheme; -EINVAL for one nobody knows (the sentence lists the known
 * ones), -EOPNOTSUPP for one that only later versions have */
int registry_find(const char *scheme, const struct cache_engine **out, struct err *e);

#endif
