/*
 * infer/embedding.c - vectors of an answer
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "infer/embedding.h"

#include "base/banned.h"

enum { INPUTS_MAX = 1 << 16, NUMBERS_MAX = 1 << 16 };

static int wrong(const struct reading *r, const char *what, struct err *e)
{
	return err_set(e, ERR_PROTOCOL, "%s answered an embedding that cannot be read: %s",
		       r->config->name, what);
}

/* ---- base64 ---- */

static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Four bytes of a float, least significant first, whatever this machine's order is. */
static int add_float(json_t *row, const unsigned char b[4])
{
	uint32_t bits = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
			(uint32_t)b[3] << 24;
	float f;

	memcpy(&f, &bits, sizeof(f));
	if (!isfinite(f) || json_array_size(row) >= NUMBERS_MAX)
		return -EINVAL;
	return json_array_append_new(row, json_real((double)f)) ? -ENOMEM : 0;
}

static int decode(const char *text, size_t n, json_t *row)
{
	unsigned char four[4];
	unsigned bits = 0, have = 0, at = 0;
	int rc = 0;

	while (n && text[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n && !rc; i++) {
		int d = digit(text[i]);

		if (d < 0)
			return -EINVAL;
		bits = bits << 6 | (unsigned)d;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		four[at++] = (unsigned char)(bits >> have & 0xff);
		if (at == 4) {
			rc = add_float(row, four);
			at = 0;
		}
	}
	return rc ? rc : at ? -EINVAL : 0;
}

/* ---- one vector ---- */

static bool all_numbers(const json_t *row)
{
	const json_t *v;
	size_t i;

	json_array_foreach(row, i, v) {
		if (!json_is_number(v))
			return false;
	}
	return json_array_size(row) > 0 && json_array_size(row) <= NUMBERS_MAX;
}

/* New reference; NULL: it is none (or no memory, which is as rare as it is fatal). */
static json_t *vector(json_t *value)
{
	json_t *row;

	if (json_is_array(value))
		return all_numbers(value) ? json_incref(value) : NULL;
	row = json_is_string(value) ? json_array() : NULL;
	if (row && (decode(json_string_value(value), json_string_length(value), row) ||
		    !json_array_size(row))) {
		json_decref(row);
		row = NULL;
	}
	return row;
}

static int take(struct reading *r, json_t *take_all)
{
	free(r->answer->finish_reason);
	r->answer->finish_reason = strdup("stop");
	reading_note(r, r->answer->finish_reason ? 0 : -ENOMEM);
	json_decref(r->answer->embedding);
	r->answer->embedding = take_all;
	r->began = true;
	return 0;
}

/* ---- all of them ---- */

static json_t *nulls(size_t n)
{
	json_t *all = json_array();

	for (size_t i = 0; all && i < n; i++)
		if (json_array_append_new(all, json_null())) {
			json_decref(all);
			all = NULL;
		}
	return all;
}

/* Each index once: a vector at the wrong place would be a wrong answer that looks right. */
static const char *put(json_t *all, const json_t *item, size_t place)
{
	const json_t *index = json_object_get(item, "index");
	json_t *row;

	if (json_is_integer(index)) {
		if (json_integer_value(index) < 0)
			return "an index below 0";
		place = (size_t)json_integer_value(index);
	}
	if (!json_is_null(json_array_get(all, place)))
		return "an index that is there twice, or too large";
	row = vector(json_object_get(item, "embedding"));
	if (!row)
		return "a vector that is no list of numbers";
	return json_array_set_new(all, place, row) ? "no memory" : NULL;
}

int embedding_items(struct reading *r, const json_t *items, struct err *e)
{
	size_t n = json_array_size(items), i;
	json_t *all = n && n <= INPUTS_MAX ? nulls(n) : NULL;
	const char *why = all ? NULL : "no vector, or too many";
	const json_t *item;

	json_array_foreach(items, i, item) {
		if (!why)
			why = put(all, item, i);
	}
	if (why) {
		json_decref(all);
		return wrong(r, why, e);
	}
	return take(r, all);
}

int embedding_rows(struct reading *r, const json_t *rows, struct err *e)
{
	size_t n = json_array_size(rows), i;
	const json_t *row;

	if (n == 0 || n > INPUTS_MAX)
		return wrong(r, "no vector, or too many", e);
	json_array_foreach(rows, i, row) {
		if (!all_numbers(row))
			return wrong(r, "a vector that is no list of numbers", e);
	}
	return take(r, json_incref((json_t *)(uintptr_t)rows));
}
