/*
 * sample.h - what the tests of store/ and ledger/ share: a scratch directory, keys, objects
 */
#ifndef TESTS_SAMPLE_H
#define TESTS_SAMPLE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fdio.h"
#include "base/mono.h"
#include "base/str.h"
#include "core/key.h"
#include "store/object.h"

#define SAMPLE_CREATED 1795226584567000000ULL /* 2026-11-21T02:03:04.567Z */

/* scratch_new - a fresh directory; scratch_free removes it with everything in it */
static inline char *scratch_new(void)
{
	const char *base = getenv("TMPDIR");
	char *path = str_printf("%s/unit.XXXXXX", base && *base == '/' ? base : "/tmp");

	assert_non_null(path);
	assert_non_null(mkdtemp(path));
	return path;
}

static inline void scratch_free(char *path)
{
	assert_int_equal(fdio_remove_tree(AT_FDCWD, path), 0);
	free(path);
}

static inline int scratch_setup(void **state)
{
	*state = scratch_new();
	return 0;
}

static inline int scratch_teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

/* sample_key - the n-th of a series without pattern */
static inline struct key sample_key(unsigned n)
{
	struct key k;

	assert_int_equal(key_of(&n, sizeof(n), &k), 0);
	return k;
}

/* sample_request - canonical bytes of a request, and its key */
static inline char *sample_request(unsigned n, struct key *out)
{
	char *r = str_printf(
		"{\"format\":1,\"messages\":[{\"content\":\"q\\\"{[%u\\\\\",\"role\":\"user\"}]}",
		n);

	assert_non_null(r);
	assert_int_equal(key_of(r, strlen(r), out), 0);
	return r;
}

/* sample_object - a whole object of request n, appended to out; its key in *key */
static inline void sample_object(unsigned n, uint32_t index, uint64_t ttl_s, struct key *key,
				 struct buf *out)
{
	AUTO_FREE char *request = sample_request(n, key);
	json_t *s = json_pack("{s:s,s:s,s:{s:i,s:i},s:f}", "text", "hello", "finish_reason", "stop",
			      "usage", "input_tokens", 3, "output_tokens", 1, "cost_usd", 0.000123);
	struct object_parts p = { .key = key,
				  .index = index,
				  .created_real_ns = SAMPLE_CREATED,
				  .ttl_s = ttl_s,
				  .request = request,
				  .request_len = strlen(request),
				  .sample = s,
				  .raw = "{\"a\":\"\\\"\"}\n",
				  .raw_len = 11 };

	assert_non_null(s);
	assert_int_equal(object_encode(&p, out), 0);
	json_decref(s);
}

/* full_disk - a file system with room for almost nothing, mounted at dir; false: not allowed here */
static inline bool full_disk_mount(const char *dir, const char *size)
{
	AUTO_FREE char *options = str_printf("size=%s,mode=700", size);

	if (geteuid() != 0 || mount("tmpfs", dir, "tmpfs", 0, options) != 0) {
		(void)fprintf(stderr, "SKIPPED: a small tmpfs cannot be mounted here (%s)\n",
			      strerror(errno));
		return false;
	}
	return true;
}

static inline void full_disk_unmount(const char *dir)
{
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
}

#endif
