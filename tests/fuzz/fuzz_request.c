/*
 * fuzz_request.c - any bytes as a request, as plain text, and as defaults
 *
 * Before the first NUL: defaults; after it, or all when there is none: the request, JSON when it
 * begins with {, else plain text.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/str.h"
#include "core/canon.h"
#include "core/request.h"
#include "core/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check_error(int rc, const struct err *e)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 16);
	json_t *v;

	must(rc == -EINVAL || rc == -EOPNOTSUPP);
	must(e->code == -rc && *e->message);
	must(response_error_json(e, "fuzz", &b) == 0);
	v = json_loadb(b.data, b.len, 0, NULL);
	must(v != NULL);
	json_decref(v);
}

/* What was taken once is taken again: the body is a request, and the same one. */
static void check_again(const struct request *r)
{
	AUTO_BUF struct buf one = BUF_INIT(64 << 20), two = BUF_INIT(64 << 20);
	struct request_source src = { NULL, 0, REQUEST_JSON, NULL };
	struct request *again = NULL;

	must(canon_write(r->body, &one) == 0);
	src.text = one.data;
	src.len = one.len;
	if (r->endpoint != REQUEST_CHAT)
		return;
	must(request_parse(&src, &again, NULL, NULL) == 0);
	must(canon_write(again->body, &two) == 0);
	must(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
	request_free(again);
}

static void check_good(struct request *r)
{
	struct request_target t = { "b", "m", NULL, NULL, 16 };
	AUTO_BUF struct buf b = BUF_INIT(64 << 20);
	json_t *o = NULL, *history = json_pack("[{s:s,s:s}]", "role", "user", "content", "q");

	must(r->n >= 1 && r->n <= 1000 && r->priority >= -20 && r->priority <= 19);
	must(r->timeout_s >= 0 && r->ttl_s >= 0);
	check_again(r);
	must(request_effective(r, &t, &o) == 0);
	must(canon_write(o, &b) == 0);
	must(json_object_get(o, "max_tokens") != NULL);
	json_decref(o);
	must(request_prepend(r, history) == 0);
	json_decref(history);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
	size_t first = nul ? (size_t)(nul - data) : 0;
	AUTO_FREE char *defaults = str_dup_n((const char *)data, first);
	AUTO_FREE char *text = str_dup_n((const char *)data + first, size - first);
	struct request_source src = { text, size - first, REQUEST_JSON, NULL };
	struct request *r = NULL;
	struct err e = { 0 };
	json_t *layer = NULL, *layers = json_array();
	bool unfinished;
	int rc;

	must(defaults && text && layers);
	if (nul) {
		src.text++;
		src.len--;
		rc = request_check_defaults(defaults, first, &layer, &e);
		if (rc)
			check_error(rc, &e);
		else
			must(json_array_append_new(layers, layer) == 0);
	}
	src.defaults = layers;
	src.form = src.len && src.text[0] != '{' ? REQUEST_TEXT : REQUEST_JSON;
	rc = request_parse(&src, &r, &unfinished, &e);
	if (rc)
		check_error(rc, &e);
	else
		check_good(r);
	request_free(r);
	json_decref(layers);
	return 0;
}
