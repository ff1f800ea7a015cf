/*
 * engine_url.h - "disk:/var/cache?ttl=60&sync=yes" in its parts
 *
 *   1. engine_url_parse     scheme, path and options; nothing is percent-decoded
 *   2. engine_url_known     an option that nobody reads is an error that names it
 *   3. engine_url_done
 *
 * The front (store.c) reads ttl and timeout_ms, the engine the rest. Threads: any. Blocks: never.
 */
#ifndef STORE_ENGINE_URL_H
#define STORE_ENGINE_URL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ENGINE_URL_OPTIONS 16 /* at most, in one URL */

struct engine_url {
	char *text;	    /* owned; the others point into it */
	const char *scheme; /* "disk" */
	const char *path;   /* between ':' and '?', may be "" */
	size_t n;
	struct {
		const char *name, *value;
	} option[ENGINE_URL_OPTIONS];
};

/* engine_url_parse - -EINVAL with a sentence; -ENOMEM */
int engine_url_parse(const char *url, struct engine_url *out, struct err *e);
/* engine_url_done - frees; u may be zeroed */
void engine_url_done(struct engine_url *u);
/* engine_url_get - the value, NULL when the URL has no such option */
const char *engine_url_get(const struct engine_url *u, const char *name);
/* engine_url_u64 - the value as a number; *out stays when the option is absent; -EINVAL */
int engine_url_u64(const struct engine_url *u, const char *name, uint64_t *out, struct err *e);
/* engine_url_known - -EINVAL naming the first option that is not in the NULL-terminated list */
int engine_url_known(const struct engine_url *u, const char *const *known, struct err *e);

#endif
