/* bulk_item.c - a line as custom_id and request; the batch-line form is unwrapped */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/str.h"
#include "core/canon.h"
#include "infer/failure.h"
#include "jobs/bulk_item.h"

#include "base/banned.h"

void bulk_item_done(struct bulk_item *i)
{
	free(i->custom_id);
	free(i->name);
	json_decref(i->request);
	*i = (struct bulk_item){ 0 };
}

char *bulk_item_name(const char *custom_id)
{
	struct buf b = BUF_INIT((size_t)1 << 26);

	for (const char *p = custom_id; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '/' || c == '%' || c < 0x20 || c == 0x7f || (c == '.' && p == custom_id))
			(void)buf_addf(&b, "%%%02X", c);
		else
			(void)buf_addc(&b, (char)c);
	}
	if (b.failed) {
		buf_done(&b);
		return NULL;
	}
	return buf_steal(&b, NULL);
}

/* ---- what it asks ---- */

/* A line's own words go into a sentence that is printed: without control characters, and cut between characters. */
enum { SHOWN_MAX = 101 };

static void show(char shown[SHOWN_MAX], const char *text)
{
	failure_text(shown, SHOWN_MAX, text, strlen(text));
}

static int want_url(const char *url, const char **endpoint, struct err *e)
{
	static const struct {
		const char *end, *endpoint;
	} known[] = {
		{ "/chat/completions", NULL }, /* chat is the default */
		{ "/fim/completions", "fim" },
		{ "/completions", "completion" },
		{ "/embeddings", "embedding" },
	};
	char shown[SHOWN_MAX];

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!str_ends(url, known[i].end))
			continue;
		*endpoint = known[i].endpoint;
		return 0;
	}
	show(shown, url);
	return err_field(e, ERR_REQUEST, "url",
			 "url \"%s\" is none that lines may have; give /v1/chat/completions, "
			 "/v1/completions, /v1/fim/completions or /v1/embeddings, or the request's "
			 "own fields instead of a body",
			 shown);
}

static int stray(const char *name, struct err *e)
{
	char shown[SHOWN_MAX];

	show(shown, name);
	return err_field(e, ERR_REQUEST, name,
			 "a line with \"body\" has only custom_id, method and url beside it; move "
			 "\"%s\" into the body",
			 shown);
}

/* {"custom_id","method","url","body":{...}}: the body is the request */
static int unwrap(json_t *o, json_t **out, struct err *e)
{
	const json_t *method = json_object_get(o, "method"), *url = json_object_get(o, "url"), *v;
	json_t *body = json_object_get(o, "body");
	const char *endpoint = NULL, *name;
	int r = 0;

	json_object_foreach(o, name, v)
		if (strcmp(name, "method") != 0 && strcmp(name, "url") != 0 &&
		    strcmp(name, "body") != 0)
			return stray(name, e);
	if (!json_is_object(body))
		return err_field(e, ERR_REQUEST, "body", "body must be a JSON object");
	if (method && (!json_is_string(method) || strcmp(json_string_value(method), "POST") != 0))
		return err_field(e, ERR_REQUEST, "method", "method must be \"POST\"");
	if (url && !json_is_string(url))
		return err_field(e, ERR_REQUEST, "url", "url must be a string");
	if (url)
		r = want_url(json_string_value(url), &endpoint, e);
	if (r == 0 && endpoint && !json_object_get(body, "endpoint") &&
	    json_object_set_new(body, "endpoint", json_string(endpoint)))
		r = -ENOMEM;
	if (r == 0)
		*out = json_incref(body);
	return r;
}

static int take_request(json_t *o, json_t **out, struct err *e)
{
	bool wrapped = json_object_get(o, "body") || json_object_get(o, "method") ||
		       json_object_get(o, "url");

	(void)json_object_del(o, "custom_id"); /* absent: the same */
	if (wrapped)
		return unwrap(o, out, e);
	*out = json_incref(o);
	return 0;
}

/* ---- who it is ---- */

static int known_by_number(struct bulk_item *i, const char *suffix)
{
	free(i->custom_id);
	free(i->name);
	i->own_id = false;
	i->custom_id = str_printf("%llu", (unsigned long long)i->no);
	i->name = str_printf("%llu%s", (unsigned long long)i->no, suffix);
	return i->custom_id && i->name ? 0 : -ENOMEM;
}

static int take_id(const json_t *o, struct bulk_item *i)
{
	const json_t *id = json_object_get(o, "custom_id");

	if (!id || json_is_null(id))
		return known_by_number(i, "");
	if (!json_is_string(id) || !json_string_length(id)) {
		(void)err_field(
			&i->e, ERR_REQUEST, "custom_id",
			"custom_id must be a string that is not empty; leave it out and the "
			"line is known by its number");
		return known_by_number(i, "");
	}
	i->custom_id = strdup(json_string_value(id));
	i->name = i->custom_id ? bulk_item_name(i->custom_id) : NULL;
	i->own_id = true;
	if (!i->name)
		return -ENOMEM;
	if (strlen(i->name) <= NAME_MAX)
		return 0;
	(void)err_field(&i->e, ERR_REQUEST, "custom_id",
			"custom_id is longer than a file's name may be (%d bytes); shorten it",
			NAME_MAX);
	return known_by_number(i, "");
}

/* A number that an earlier line has as its custom_id is followed by a %, which no escaped name ends in. */
static int be_alone(struct bulk_item *i, struct bulk_set *seen)
{
	int r = bulk_set_add(seen, bulk_set_hash(i->name, strlen(i->name)));
	char shown[SHOWN_MAX];

	if (r == 0 && i->own_id) {
		show(shown, i->custom_id);
		(void)err_field(&i->e, ERR_REQUEST, "custom_id",
				"an earlier line has the custom_id \"%s\", too; give each line its "
				"own",
				shown);
		r = known_by_number(i, "");
		if (r == 0)
			r = bulk_set_add(seen, bulk_set_hash(i->name, strlen(i->name)));
	}
	if (r == 0) {
		r = known_by_number(i, "%");
		if (r == 0)
			r = bulk_set_add(seen, bulk_set_hash(i->name, strlen(i->name)));
	}
	return r < 0 ? r : 0;
}

void bulk_item_renumber(struct err *e, uint64_t no)
{
	static const char first[] = "line 1, ";
	char rest[ERR_MESSAGE_MAX];

	if (!e->code)
		return;
	e->line = no > UINT_MAX ? 0 : (unsigned)no;
	if (!str_starts(e->message, first))
		return;
	(void)str_copy(rest, sizeof(rest), e->message + sizeof(first) - 1); /* it fits */
	(void)str_copy(e->message, sizeof(e->message), rest);
	err_prefix(e, "line %llu, ", (unsigned long long)no);
}

static int parse(const struct bulk_text *t, json_t **out, struct err *e)
{
	int r;

	if (t->too_long)
		return err_set(e, ERR_FILE_SIZE,
			       "the line is longer than max_request_bytes (%zu); shorten it or "
			       "raise max_request_bytes",
			       t->n);
	r = canon_parse(t->p, t->n, out, NULL, e);
	if (r < 0)
		return r;
	if (json_is_object(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return err_set(e, ERR_REQUEST, "a line must be a JSON object");
}

int bulk_item_read(const struct bulk_text *t, struct bulk_set *seen, struct bulk_item *out)
{
	struct bulk_item i = { .no = t->no };
	json_t *o = NULL;
	int r = parse(t, &o, &i.e);

	if (r == -ENOMEM)
		return r;
	r = o ? take_id(o, &i) : known_by_number(&i, "");
	if (r == 0 && seen)
		r = be_alone(&i, seen);
	if (r == 0 && o && !i.e.code) {
		r = take_request(o, &i.request, &i.e);
		r = r == -ENOMEM ? r : 0;
	}
	json_decref(o);
	if (r < 0) {
		bulk_item_done(&i);
		return r;
	}
	bulk_item_renumber(&i.e, t->no);
	*out = i;
	return 0;
}
