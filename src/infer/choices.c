/*
 * infer/choices.c - the answers of one call
 *
 * Two lists of choices are known, OpenAI's and Gemini's; both number their members. What has neither belongs to
 * all answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "infer/choices.h"

#include "base/banned.h"

int choices_init(struct choices *c, unsigned n)
{
	memset(c, 0, sizeof(*c));
	buf_init(&c->bill, ANSWER_TEXT_MAX);
	c->v = calloc(n, sizeof(struct answer *));
	c->billed = calloc(n, sizeof(*c->billed));
	if (!c->v || !c->billed)
		return -ENOMEM;
	for (c->n = 0; c->n < n; c->n++) {
		c->v[c->n] = answer_new();
		if (!c->v[c->n])
			return -ENOMEM;
	}
	return 0;
}

void choices_done(struct choices *c)
{
	for (unsigned i = 0; i < c->n; i++)
		answer_free(c->v[i]);
	free(c->v);
	free(c->billed);
	buf_done(&c->bill);
	memset(c, 0, sizeof(*c));
}

/* ---- raw ---- */

/* raw is NDJSON: line breaks inside an event's JSON can only be white space. */
static int add_line(struct choices *c, struct answer *a, const char *data, size_t len)
{
	struct buf *raw = &a->raw;
	size_t at = raw->len;
	int rc;

	if (len >= ANSWER_TEXT_MAX - c->raw)
		return -EFBIG;
	(void)buf_add(raw, data, len); /* raw.failed stays set */
	rc = buf_addc(raw, '\n');
	if (rc)
		return rc;
	c->raw += len + 1;
	for (; at + 1 < raw->len; at++)
		if (raw->data[at] == '\n' || raw->data[at] == '\r')
			raw->data[at] = ' ';
	return 0;
}

static const char *list_name(const json_t *o)
{
	return json_is_array(json_object_get(o, "candidates")) ? "candidates" : "choices";
}

static bool has_usage(const json_t *o)
{
	return json_is_object(json_object_get(o, "usage")) ||
	       json_is_object(json_object_get(o, "usageMetadata"));
}

static json_int_t index_of(const json_t *choice)
{
	const json_t *index = json_object_get(choice, "index");

	return json_is_integer(index) ? json_integer_value(index) : 0;
}

/* A copy of o with the choices of this index only, of which there are *out_n; NULL: no memory. The copy is shallow
 * but for the list. */
static json_t *only(const json_t *o, json_int_t index, size_t *out_n)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)o), *list = json_array(), *choice;
	bool failed = false;
	size_t i;

	json_array_foreach(json_object_get(o, list_name(o)), i, choice) {
		if (index_of(choice) == index)
			failed |= json_array_append(list, choice) != 0;
	}
	*out_n = json_array_size(list);
	if (json_object_set_new(copy, list_name(o), list) || failed) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

/* Who pays is told once, in the reply's last event as a rule: it is kept aside until it is known that none comes
 * after it. */
static int keep_bill(struct choices *c, const json_t *o)
{
	size_t n;
	json_t *rest = only(o, -1, &n);
	AUTO_FREE char *text = NULL;
	int rc;

	json_array_clear(json_object_get(rest, list_name(o)));
	text = rest ? json_dumps(rest, JSON_COMPACT) : NULL;
	json_decref(rest);
	if (!text)
		return -ENOMEM;
	buf_clear(&c->bill);
	rc = buf_adds(&c->bill, text);
	for (unsigned i = 0; i < c->n; i++)
		c->billed[i] = false;
	return rc;
}

static int add_bill(struct choices *c)
{
	int rc = 0;

	for (unsigned i = 0; i < c->n && !rc && c->bill.len; i++)
		if (!c->billed[i])
			rc = add_line(c, c->v[i], c->bill.data, c->bill.len);
	buf_clear(&c->bill);
	return rc;
}

static int to_all(struct choices *c, const char *data, size_t len, bool bill)
{
	int rc = 0;

	if (bill)
		buf_clear(&c->bill);
	for (unsigned i = 0; i < c->n && !rc; i++)
		rc = add_line(c, c->v[i], data, len);
	return rc;
}

static int to_one(struct choices *c, unsigned choice, const json_t *o, const char *data, size_t len)
{
	size_t mine, all = json_array_size(json_object_get(o, list_name(o)));
	json_t *own = only(o, choice, &mine);
	AUTO_FREE char *text = NULL;
	int rc = own ? 0 : -ENOMEM;

	if (mine && mine == all) {
		rc = add_line(c, c->v[choice], data, len);
	} else if (mine && own) {
		text = json_dumps(own, JSON_COMPACT);
		rc = text ? add_line(c, c->v[choice], text, strlen(text)) : -ENOMEM;
	}
	c->billed[choice] |= mine > 0 && has_usage(o);
	json_decref(own);
	return rc;
}

static int split(struct choices *c, const json_t *o, const char *data, size_t len)
{
	int rc = 0;

	if (!json_array_size(json_object_get(o, list_name(o))))
		return to_all(c, data, len, has_usage(o));
	if (has_usage(o))
		rc = keep_bill(c, o);
	for (unsigned i = 0; i < c->n && !rc; i++)
		rc = to_one(c, i, o, data, len);
	return rc;
}

int choices_event(struct choices *c, const char *data, size_t len)
{
	json_t *o;
	int rc;

	if (c->n == 1)
		return add_line(c, c->v[0], data, len);
	o = json_loadb(data, len, JSON_ALLOW_NUL, NULL);
	rc = o ? split(c, o, data, len) : to_all(c, data, len, false);
	json_decref(o);
	return rc;
}

/* A list of events in one body (Gemini) becomes lines, too. */
static int split_whole(struct choices *c, json_t *whole, const struct buf *body)
{
	const json_t *one;
	size_t i;
	int rc = 0;

	if (!json_is_array(whole))
		return split(c, whole, body->data, body->len);
	json_array_foreach(whole, i, one) {
		AUTO_FREE char *text = json_dumps(one, JSON_COMPACT | JSON_ENCODE_ANY);

		if (!rc)
			rc = text ? split(c, one, text, strlen(text)) : -ENOMEM;
	}
	return rc;
}

int choices_whole(struct choices *c, struct buf *body)
{
	json_t *o;
	int rc;

	if (c->n == 1) {
		buf_done(&c->v[0]->raw);
		c->v[0]->raw = *body;
		buf_init(body, ANSWER_TEXT_MAX);
		return 0;
	}
	o = json_loadb(buf_str(body), body->len, JSON_ALLOW_NUL, NULL);
	rc = o ? split_whole(c, o, body) : to_all(c, buf_str(body), body->len, false);
	json_decref(o);
	return rc;
}

/* ---- the end ---- */

/* A choice that failed cost something too; those that came bear it. */
unsigned choices_end(struct choices *c, const char **out_why)
{
	unsigned good = 0;

	(void)add_bill(
		c); /* no memory or room for it: usage was read, this is its copy for people */
	c->usage = c->v[0]->usage;
	*out_why = NULL;
	for (unsigned i = 0; i < c->n; i++) {
		const char *reason = c->v[i]->finish_reason;

		c->came += reason != NULL;
		good += reason && strcmp(reason, "error") != 0;
		if (reason && !*out_why)
			*out_why = c->v[i]->refusal;
	}
	if (!good)
		return 0;
	*out_why = NULL;
	for (unsigned i = 0; i < c->n; i++) {
		const char *reason = c->v[i]->finish_reason;

		if (!reason || strcmp(reason, "error") == 0)
			c->v[i] = answer_free(c->v[i]);
	}
	if (c->n > 1)
		answer_share_usage(&c->usage, c->v, c->n);
	return good;
}

struct answer **choices_take(struct choices *c)
{
	struct answer **v = c->v;

	c->v = NULL;
	c->n = 0;
	return v;
}
