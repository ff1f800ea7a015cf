/*
 * object.h - one stored sample: the same bytes in every engine
 *
 * UTF-8 JSON in canonical form, one line and a newline. `sha256` is over the object with that member
 * absent, in canonical form; because the whole is written canonically, that is the line with the
 * member cut out, and the check needs no parsing. Other member orders are accepted when read.
 * Threads: any. Blocks: never. Source: cache format page.
 */
#ifndef STORE_OBJECT_H
#define STORE_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/key.h"

struct json_t; /* of jansson, which only object.c looks into here */

#define OBJECT_FORMAT 1
#define OBJECT_MAX    (512u << 20) /* bytes, as CACHE_OBJECT_MAX */

struct object {
	struct key key;
	uint32_t index;
	uint64_t created_real_ns, ttl_s; /* ttl 0: none */
	struct json_t *json;		 /* owned; the members below are borrowed from it */
	const struct json_t *request;	 /* canonical request as a value */
	const struct json_t *sample;
	const char *created;
	const char *raw;
	size_t raw_len;
};

struct object_parts {
	const struct key *key;
	uint32_t index;
	uint64_t created_real_ns, ttl_s;
	const char *request; /* canonical bytes, hash to key */
	size_t request_len;
	const struct json_t *sample;
	const char *raw;
	size_t raw_len;
};

/* object_encode - append the object's bytes; -EINVAL when raw is not UTF-8, -EFBIG, -ENOMEM */
int object_encode(const struct object_parts *p, struct buf *out);

/* object_check - is this object whole, and that of (key, index)? 0 or -EBADMSG with a sentence; the
 * types of its members are decode's to look at */
int object_check(const char *bytes, size_t len, const struct key *key, uint32_t index,
		 struct err *e);

/* object_decode - check and parse; -EBADMSG, -ENOMEM */
int object_decode(const char *bytes, size_t len, const struct key *key, uint32_t index,
		  struct object *out, struct err *e);

/* object_request - the canonical request bytes of a checked object, appended (they hash to its key) */
int object_request(const struct object *o, struct buf *out);

/* object_done - free what decode made; o may be zeroed */
void object_done(struct object *o);

/* object_expired - created + ttl has passed; default_ttl_s applies when the object has none */
int object_expired(const struct object *o, uint64_t default_ttl_s, uint64_t now_real_ns);

#endif
