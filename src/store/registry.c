/*
 * registry.c - the engines there are
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "store/registry.h"

#include "base/banned.h"

static const struct cache_engine *const engines[] = { &engine_disk, &engine_tmp, &engine_memory };

/* Named so that a configuration written for a later version gets a true sentence. */
static const char *const later[] = { "redis", "rediss", "s3", "plugin" };

int registry_find(const char *scheme, const struct cache_engine **out, struct err *e)
{
	const char *names[ARRAY_LEN(engines) + 1] = { NULL };
	const char *near;

	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		if (strcmp(scheme, engines[i]->name) == 0) {
			*out = engines[i];
			return 0;
		}
		names[i] = engines[i]->name;
	}
	for (size_t i = 0; i < ARRAY_LEN(later); i++)
		if (strcmp(scheme, later[i]) == 0)
			return err_set(
				e, ERR_UNSUPPORTED,
				"cache %s: comes in a later version; this one has disk, tmp, memory",
				scheme);
	near = str_nearest(scheme, names);
	return err_set(e, ERR_REQUEST,
		       "unknown cache engine \"%s\"%s%s%s; known: disk, tmp, memory", scheme,
		       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}
