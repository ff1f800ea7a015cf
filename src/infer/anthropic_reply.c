/*
 * infer/anthropic_reply.c - reading Anthropic's answers
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/anthropic_reply.h"
#include "infer/failure.h"
#include "infer/reading.h"
#include "infer/toolcall.h"

#include "base/banned.h"

#define INPUT_MAX (64u << 20)

enum { WORD_MAX = 64 };

struct anthropic_reply {
	struct reading r;
	json_t *block;		    /* the open one, as its start event gave it; NULL none */
	struct buf input;	    /* of the open block: JSON of a call, words of a thought */
	struct buf signature;	    /* of the open block */
	json_t *thoughts;	    /* since the last tool call */
	struct answer_usage tokens; /* as they count: input without what came from the cache */
};

void *anthropic_reply_new(const struct backend_config *c, struct answer *const *a, unsigned n,
			  const struct backend_sink *s)
{
	struct anthropic_reply *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	(void)n; /* an answer has one message: the others do not come */
	reading_init(&p->r, c, a[0], s);
	buf_init(&p->input, INPUT_MAX);
	buf_init(&p->signature, INPUT_MAX);
	p->tokens = (struct answer_usage){ -1, -1, -1, -1, -1 };
	return p;
}

void anthropic_reply_free(void *reply)
{
	struct anthropic_reply *p = reply;

	if (!p)
		return;
	reading_done(&p->r);
	json_decref(p->block);
	json_decref(p->thoughts);
	buf_done(&p->input);
	buf_done(&p->signature);
	free(p);
}

static bool is_type(const json_t *o, const char *type)
{
	const char *t = json_string_value(json_object_get(o, "type"));

	return t && strcmp(t, type) == 0;
}

/* ---- blocks ---- */

static void keep_thought(struct anthropic_reply *p, json_t *take_block)
{
	if (!p->thoughts)
		p->thoughts = json_array();
	reading_note(&p->r, json_array_append_new(p->thoughts, take_block) ? -ENOMEM : 0);
}

/* Without its signature a thought is of no use to anybody but the reader. */
static void end_thought(struct anthropic_reply *p)
{
	json_t *signature = json_object_get(p->block, "signature"), *words;

	if (p->signature.len)
		reading_note(&p->r, json_object_set_new(p->block, "signature",
							json_stringn(p->signature.data,
								     p->signature.len)));
	else if (!json_string_length(signature))
		return;
	if (p->input.len) {
		words = json_stringn(p->input.data, p->input.len);
		reading_note(&p->r, json_object_set_new(p->block, "thinking", words) ? -ENOMEM : 0);
	}
	keep_thought(p, json_incref(p->block));
}

static json_t *arguments_of(const struct anthropic_reply *p)
{
	const json_t *input = json_object_get(p->block, "input");

	if (p->input.len)
		return json_stringn(p->input.data, p->input.len);
	return json_is_object(input) ? json_incref((json_t *)(uintptr_t)input) : json_object();
}

static void end_call(struct anthropic_reply *p)
{
	json_t *piece = json_pack("{s:O*, s:{s:O*, s:o}}", "id", json_object_get(p->block, "id"),
				  "function", "name", json_object_get(p->block, "name"),
				  "arguments", arguments_of(p));
	json_t *list = json_pack("[o]", piece);

	if (list && json_array_size(p->thoughts) &&
	    json_object_set_new(piece, "extra_content",
				json_pack("{s:{s:O}}", "anthropic", "thinking", p->thoughts)))
		reading_note(&p->r, -ENOMEM);
	json_decref(p->thoughts);
	p->thoughts = NULL;
	reading_note(&p->r, list ? toolcall_merge(&p->r.answer->tool_calls, list) : -ENOMEM);
	json_decref(list);
}

static void end_block(struct anthropic_reply *p)
{
	if (p->input.failed || p->signature.failed)
		reading_note(&p->r, p->input.failed ? p->input.failed : p->signature.failed);
	else if (is_type(p->block, "tool_use"))
		end_call(p);
	else if (is_type(p->block, "thinking"))
		end_thought(p);
	else if (is_type(p->block, "redacted_thinking"))
		keep_thought(p, json_incref(p->block));
	json_decref(p->block);
	p->block = NULL;
	buf_clear(&p->input);
	buf_clear(&p->signature);
}

static void add_text(struct anthropic_reply *p, const json_t *text)
{
	if (json_is_string(text))
		reading_text(&p->r, json_string_value(text), json_string_length(text));
}

/* A copy: the block is changed when it ends, and the event is not ours. */
static void begin_block(struct anthropic_reply *p, const json_t *block)
{
	end_block(p);
	p->block = json_copy((json_t *)(uintptr_t)block);
	reading_note(&p->r, p->block || !block ? 0 : -ENOMEM);
	if (is_type(block, "text"))
		add_text(p, json_object_get(block, "text"));
	if (is_type(block, "thinking")) {
		const json_t *words = json_object_get(block, "thinking");

		reading_add(&p->r, &p->r.answer->reasoning, words);
		(void)buf_add(&p->input, json_string_value(words),
			      json_string_length(words)); /* end_block looks */
	}
}

static void add_string(struct buf *b, const json_t *v)
{
	(void)buf_add(b, json_string_value(v), json_string_length(v)); /* end_block looks */
}

static void read_delta(struct anthropic_reply *p, const json_t *delta)
{
	const json_t *words = json_object_get(delta, "thinking");

	if (is_type(delta, "text_delta"))
		add_text(p, json_object_get(delta, "text"));
	else if (is_type(delta, "input_json_delta"))
		add_string(&p->input, json_object_get(delta, "partial_json"));
	else if (is_type(delta, "signature_delta"))
		add_string(&p->signature, json_object_get(delta, "signature"));
	if (!is_type(delta, "thinking_delta"))
		return;
	add_string(&p->input, words);
	reading_add(&p->r, &p->r.answer->reasoning, words);
}

/* ---- facts of the whole answer ---- */

static int64_t sum(int64_t a, int64_t b)
{
	if (b < 0)
		return a;
	return a < INT64_MAX / 4 && b < INT64_MAX / 4 ? a + b : INT64_MAX / 2;
}

/* Totals so far, not pieces: later ones replace earlier ones, null changes nothing. */
static void read_usage(struct anthropic_reply *p, const json_t *usage)
{
	const json_t *details = json_object_get(usage, "output_tokens_details");
	struct answer_usage *t = &p->tokens, *u = &p->r.answer->usage;

	reading_number(&t->input, json_object_get(usage, "input_tokens"));
	reading_number(&t->cached_input, json_object_get(usage, "cache_read_input_tokens"));
	reading_number(&t->cache_write, json_object_get(usage, "cache_creation_input_tokens"));
	reading_number(&t->output, json_object_get(usage, "output_tokens"));
	reading_number(&t->reasoning, json_object_get(details, "thinking_tokens"));
	*u = *t;
	if (t->input >= 0)
		u->input = sum(sum(t->input, t->cached_input), t->cache_write);
}

static const struct reading_word reasons[] = {
	{ "end_turn", "stop" },		 { "stop_sequence", "stop" },
	{ "max_tokens", "length" },	 { "model_context_window_exceeded", "length" },
	{ "tool_use", "tool_calls" },	 { "pause_turn", "pause" },
	{ "refusal", "content_filter" }, { NULL, NULL },
};

/* A refusal says why, or at least of what kind it is. */
static void read_stop(struct anthropic_reply *p, const json_t *o)
{
	const json_t *reason = json_object_get(o, "stop_reason");
	const json_t *details = json_object_get(o, "stop_details");
	const json_t *why = json_object_get(details, "explanation");
	const json_t *category = json_object_get(details, "category");
	char word[WORD_MAX];

	reading_reason(&p->r, reasons, reason);
	if (!json_is_string(reason) || strcmp(json_string_value(reason), "refusal") != 0 ||
	    p->r.refusal.len)
		return;
	if (json_string_length(why)) {
		reading_add(&p->r, &p->r.refusal, why);
		return;
	}
	(void)str_copy(word, sizeof(word), "no reason given"); /* fits */
	if (json_string_length(category))
		failure_text(word, sizeof(word), json_string_value(category),
			     json_string_length(category));
	reading_note(&p->r, buf_addf(&p->r.refusal, "The model refused to answer: %s", word));
}

static void read_message(struct anthropic_reply *p, const json_t *message)
{
	const json_t *block;
	size_t i;

	p->r.began = p->r.began || json_is_object(message);
	reading_once(&p->r, &p->r.answer->model, json_object_get(message, "model"));
	reading_once(&p->r, &p->r.answer->provider_request_id, json_object_get(message, "id"));
	json_array_foreach(json_object_get(message, "content"), i, block) {
		begin_block(p, block);
		end_block(p);
	}
	read_stop(p, message);
	read_usage(p, json_object_get(message, "usage"));
}

static int finish(struct anthropic_reply *p, struct err *e)
{
	int rc;

	end_block(p);
	rc = reading_end(&p->r, e);
	reading_note(&p->r, toolcall_finish(p->r.answer->tool_calls));
	return rc ? rc : reading_sizes(&p->r, e);
}

/* 1: the end mark */
static int read_event(struct anthropic_reply *p, const json_t *o, struct err *e)
{
	int rc;

	if (is_type(o, "message_start")) {
		read_message(p, json_object_get(o, "message"));
	} else if (is_type(o, "content_block_start")) {
		begin_block(p, json_object_get(o, "content_block"));
	} else if (is_type(o, "content_block_delta")) {
		read_delta(p, json_object_get(o, "delta"));
	} else if (is_type(o, "content_block_stop")) {
		end_block(p);
	} else if (is_type(o, "message_delta")) {
		read_stop(p, json_object_get(o, "delta"));
		read_usage(p, json_object_get(o, "usage"));
	} else if (is_type(o, "message_stop")) {
		rc = finish(p, e);
		return rc ? rc : 1;
	}
	return reading_sizes(&p->r, e);
}

static int read_whole(struct anthropic_reply *p, const json_t *message, struct err *e)
{
	int rc;

	if (!json_is_array(json_object_get(message, "content")))
		return err_set(e, ERR_PROTOCOL, "%s answered without giving a message",
			       p->r.config->name);
	read_message(p, message);
	rc = finish(p, e);
	return rc ? rc : 1;
}

int anthropic_reply_event(void *reply, const char *name, const char *data, size_t len, bool whole,
			  struct err *e)
{
	struct anthropic_reply *p = reply;
	json_t *o = reading_object(&p->r, data, len, e), *error;
	int rc;

	if (!o)
		return -err_errno(ERR_PROTOCOL);
	error = json_object_get(o, "error");
	if (is_type(o, "error") || strcmp(name, "error") == 0 || (error && !json_is_null(error)))
		rc = failure_event(p->r.config, o, e);
	else
		rc = whole ? read_whole(p, o, e) : read_event(p, o, e);
	json_decref(o);
	return rc;
}

int anthropic_reply_end(void *reply, struct err *e)
{
	const struct anthropic_reply *p = reply;

	return failure_cut(p->r.config, p->r.began, e);
}
