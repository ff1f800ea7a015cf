/*
 * infer/ollama_reply.c - answers of Ollama's own API
 *
 * A line of a stream and a whole body have one form; "done":true makes the difference.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "infer/dialect.h"
#include "infer/embedding.h"
#include "infer/failure.h"
#include "infer/ollama_reply.h"
#include "infer/toolcall.h"

#include "base/banned.h"

void *ollama_reply_new(const struct backend_config *c, struct answer *const *a, unsigned n,
		       const struct backend_sink *s)
{
	return dialect_new(c, a, n, s);
}

void ollama_reply_free(void *reply)
{
	dialect_free(reply);
}

/* [{"token","logprob",..}] is what OpenAI has in `content`. */
static void add_logprobs(struct reading *r, json_t *odds)
{
	json_t **all = &r->answer->logprobs;

	if (!json_array_size(odds))
		return;
	if (!*all)
		*all = json_pack("{s:[]}", "content");
	reading_note(r, json_array_extend(json_object_get(*all, "content"), odds) ? -ENOMEM : 0);
}

static void read_text(struct reading *r, const json_t *text)
{
	if (!json_is_string(text))
		return;
	r->began = true;
	reading_text(r, json_string_value(text), json_string_length(text));
}

static void read_line(struct reading *r, const json_t *o)
{
	const json_t *m = json_object_get(o, "message");
	struct answer_usage *u = &r->answer->usage;

	reading_once(r, &r->answer->model, json_object_get(o, "model"));
	if (json_is_object(m))
		r->began = true;
	read_text(r, json_object_get(m, "content"));
	read_text(r, json_object_get(o, "response"));
	reading_add(r, &r->answer->reasoning, json_object_get(m, "thinking"));
	reading_add(r, &r->answer->reasoning, json_object_get(o, "thinking"));
	reading_note(r, toolcall_merge(&r->answer->tool_calls, json_object_get(m, "tool_calls")));
	add_logprobs(r, json_object_get(o, "logprobs"));
	reading_number(&u->input, json_object_get(o, "prompt_eval_count"));
	reading_number(&u->output, json_object_get(o, "eval_count"));
}

static const struct reading_word reasons[] = {
	{ "stop", "stop" },
	{ "length", "length" },
	{ "", "error" }, /* the connection to the model was lost */
	{ NULL, NULL },
};

/* It says stop for tool calls too. */
static int finish(struct reading *r, const json_t *o, struct err *e)
{
	const json_t *why = json_object_get(o, "done_reason");
	json_t *word = json_string("");
	bool stop = json_is_string(why) && strcmp(json_string_value(why), "stop") == 0;
	int rc;

	if (stop && json_array_size(r->answer->tool_calls)) {
		free(r->answer->finish_reason);
		r->answer->finish_reason = strdup("tool_calls");
	} else {
		reading_reason(r, reasons, json_is_string(why) ? why : word);
	}
	json_decref(word);
	rc = dialect_finish_one(r, e);
	return rc ? rc : 1;
}

static int read_vectors(struct reading *r, const json_t *o, struct err *e)
{
	int rc = embedding_rows(r, json_object_get(o, "embeddings"), e);

	read_line(r, o);
	if (!rc)
		rc = reading_sizes(r, e);
	return rc ? rc : 1;
}

static int read_object(struct reading_set *s, const json_t *o, bool whole, struct err *e)
{
	struct reading *r = &s->v[0]; /* there are no others */

	if (json_object_get(o, "error"))
		return failure_event(r->config, o, e);
	if (json_object_get(o, "embeddings"))
		return read_vectors(r, o, e);
	read_line(r, o);
	if (json_is_true(json_object_get(o, "done")))
		return finish(r, o, e);
	return whole ? ollama_reply_end(s, e) : reading_sizes(r, e);
}

int ollama_reply_event(void *reply, const char *name, const char *data, size_t len, bool whole,
		       struct err *e)
{
	struct reading_set *s = reply;
	json_t *o = reading_object(&s->v[0], data, len, e);
	int rc;

	(void)name;
	if (!o)
		return -err_errno(ERR_PROTOCOL);
	rc = read_object(s, o, whole, e);
	json_decref(o);
	return rc;
}

int ollama_reply_end(void *reply, struct err *e)
{
	return dialect_end(reply, e);
}
