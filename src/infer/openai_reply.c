/*
 * infer/openai_reply.c - answers of OpenAI and its imitators
 *
 * Chat, completion and vectors are read by dialect.c, /responses by openai_items.c; what is left is
 * llama.cpp's /infill, whose events are {"content":"..","stop":false} and have no [DONE] after the last.
 */
#include <stdlib.h>
#include <string.h>

#include "infer/dialect.h"
#include "infer/openai_items.h"
#include "infer/openai_reply.h"

#include "base/banned.h"

struct openai_reply {
	struct reading_set choices;
	struct openai_items items;
};

void *openai_reply_new(const struct backend_config *c, struct answer *const *a, unsigned n,
		       const struct backend_sink *s)
{
	struct openai_reply *p = calloc(1, sizeof(*p));

	if (p && reading_set_init(&p->choices, c, a, n, s)) {
		free(p);
		p = NULL;
	}
	return p;
}

void openai_reply_free(void *reply)
{
	struct openai_reply *p = reply;

	if (!p)
		return;
	openai_items_done(&p->items);
	reading_set_done(&p->choices);
	free(p);
}

/* ---- llama.cpp's /infill ---- */

static const struct reading_word stops[] = { { "eos", "stop" },
					     { "word", "stop" },
					     { "limit", "length" },
					     { "none", "error" },
					     { NULL, NULL } };

static bool is_infill(const json_t *o)
{
	return json_is_string(json_object_get(o, "content")) &&
	       json_is_boolean(json_object_get(o, "stop"));
}

static int read_infill(struct reading *r, const json_t *o, struct err *e)
{
	const json_t *text = json_object_get(o, "content");
	struct answer_usage *u = &r->answer->usage;
	int rc;

	r->began = true;
	reading_text(r, json_string_value(text), json_string_length(text));
	reading_once(r, &r->answer->model, json_object_get(o, "model"));
	reading_number(&u->input, json_object_get(o, "tokens_evaluated"));
	reading_number(&u->output, json_object_get(o, "tokens_predicted"));
	if (!json_is_true(json_object_get(o, "stop")))
		return reading_sizes(r, e);
	reading_reason(r, stops, json_object_get(o, "stop_type"));
	rc = dialect_finish_one(r, e);
	return rc ? rc : 1;
}

/* ---- all of them ---- */

static int read_object(struct openai_reply *p, const char *name, const json_t *o, bool whole,
		       struct err *e)
{
	if (openai_items_is(o))
		return openai_items_event(&p->choices.v[0], &p->items, o, e);
	if (!dialect_is_error(name, o) && is_infill(o))
		return read_infill(&p->choices.v[0], o, e);
	return dialect_object(&p->choices, name, o, whole, e);
}

int openai_reply_event(void *reply, const char *name, const char *data, size_t len, bool whole,
		       struct err *e)
{
	struct openai_reply *p = reply;
	json_t *o;
	int rc;

	if (!whole && dialect_is_done(data, len)) {
		rc = p->items.seen ? openai_reply_end(reply, e) : dialect_finish(&p->choices, e);
		return rc ? rc : 1;
	}
	o = reading_object(&p->choices.v[0], data, len, e);
	if (!o)
		return -err_errno(ERR_PROTOCOL);
	rc = read_object(p, name, o, whole, e);
	json_decref(o);
	return rc;
}

int openai_reply_end(void *reply, struct err *e)
{
	struct openai_reply *p = reply;

	return dialect_end(&p->choices, e);
}
