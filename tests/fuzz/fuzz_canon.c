/*
 * fuzz_canon.c - any bytes: refused with a place, or a value whose canonical text is a fixed point
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "core/canon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

/* canon(parse(canon(x))) == canon(x): otherwise a stored request would not hash to its own key */
static void check_fixed_point(const json_t *v)
{
	AUTO_BUF struct buf one = BUF_INIT(64 << 20), two = BUF_INIT(64 << 20);
	json_t *again = NULL;

	must(canon_write(v, &one) == 0);
	must(canon_parse(one.data, one.len, &again, NULL, NULL) == 0);
	must(canon_write(again, &two) == 0);
	must(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
	json_decref(again);
}

static void check_number(const uint8_t *data, size_t size)
{
	char text[32];
	double d;

	if (size < sizeof(d))
		return;
	memcpy(&d, data, sizeof(d));
	if (canon_number(d, text) == 0)
		must(strlen(text) < 26 && strtod(text, NULL) == d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a copy of exactly this size, so that reading past its end is seen */
	AUTO_FREE char *text = malloc(size ? size : 1);
	struct err e = { 0 };
	bool unfinished = false;
	unsigned line, column;
	json_t *v = NULL;
	int rc;

	must(text != NULL);
	if (size)
		memcpy(text, data, size);
	rc = canon_parse(text, size, &v, &unfinished, &e);
	must(rc == 0 || rc == -EINVAL);
	if (rc) {
		must(!v && e.line > 0 && e.column > 0 && *e.message);
	} else {
		must(!unfinished);
		check_fixed_point(v);
		if (canon_parse_locate(text, size, "a", &line, &column))
			must(json_object_get(v, "a") != NULL);
	}
	json_decref(v);
	check_number(data, size);
	return 0;
}
