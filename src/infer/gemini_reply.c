/*
 * infer/gemini_reply.c - reading Gemini's answers
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/failure.h"
#include "infer/gemini_reply.h"
#include "infer/reading.h"
#include "infer/toolcall.h"

#include "base/banned.h"

enum { WORD_MAX = 160 };

/* one candidate */
struct part {
	bool finished;	     /* a finish reason, a block or embeddings were seen */
	bool stopped;	     /* the reason was STOP */
	char note[WORD_MAX]; /* what the provider says about an end in error; "" nothing */
};

struct gemini_reply {
	struct reading_set set;
	struct part *parts; /* one for each of the set */
};

void *gemini_reply_new(const struct backend_config *c, struct answer *const *a, unsigned n,
		       const struct backend_sink *s)
{
	struct gemini_reply *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->parts = calloc(n, sizeof(*g->parts));
	if (!g->parts || reading_set_init(&g->set, c, a, n, s)) {
		gemini_reply_free(g);
		return NULL;
	}
	return g;
}

void gemini_reply_free(void *reply)
{
	struct gemini_reply *g = reply;

	if (!g)
		return;
	reading_set_done(&g->set);
	free(g->parts);
	free(g);
}

/* ---- parts ---- */

/* A signature has no place in an OpenAI-like call but this one, and must come back with it. */
static void add_call(struct reading *r, const json_t *part, const json_t *call)
{
	const json_t *signature = json_object_get(part, "thoughtSignature");
	const json_t *args = json_object_get(call, "args");
	json_t *piece, *list;

	piece = json_pack("{s:O*, s:{s:O*, s:o}}", "id", json_object_get(call, "id"), "function",
			  "name", json_object_get(call, "name"), "arguments",
			  json_is_object(args) ? json_incref((json_t *)(uintptr_t)args)
					       : json_object());
	if (piece && json_is_string(signature) &&
	    json_object_set_new(piece, "extra_content",
				json_pack("{s:{s:O}}", "google", "thought_signature", signature))) {
		json_decref(piece);
		piece = NULL;
	}
	list = json_pack("[o]", piece);
	reading_note(r, list ? toolcall_merge(&r->answer->tool_calls, list) : -ENOMEM);
	json_decref(list);
}

static void read_part(struct reading *r, const json_t *part)
{
	const json_t *text = json_object_get(part, "text");
	const json_t *call = json_object_get(part, "functionCall");

	if (json_is_object(call))
		add_call(r, part, call);
	if (!json_is_string(text))
		return;
	if (json_is_true(json_object_get(part, "thought")))
		reading_add(r, &r->answer->reasoning, text);
	else
		reading_text(r, json_string_value(text), json_string_length(text));
}

/* ---- logprobs ---- */

static json_t *logprob_of(const json_t *candidate)
{
	const json_t *token = json_object_get(candidate, "token");
	const json_t *logprob = json_object_get(candidate, "logProbability");

	if (!json_is_string(token))
		return NULL;
	/* a member that is zero is left out there */
	return json_pack("{s:O, s:f, s:n}", "token", token, "logprob", json_number_value(logprob),
			 "bytes");
}

static json_t *one_logprob(const json_t *chosen, const json_t *others)
{
	json_t *o = logprob_of(chosen), *top = json_array();
	const json_t *candidate;
	size_t i;

	json_array_foreach(json_object_get(others, "candidates"), i, candidate) {
		json_t *one = logprob_of(candidate);

		if (one && json_array_append_new(top, one))
			break;
	}
	if (!o || json_object_set(o, "top_logprobs", top)) {
		json_decref(o);
		o = NULL;
	}
	json_decref(top);
	return o;
}

static void read_logprobs(struct reading *r, const json_t *result)
{
	const json_t *chosen = json_object_get(result, "chosenCandidates"), *c;
	const json_t *top = json_object_get(result, "topCandidates");
	json_t **all = &r->answer->logprobs, *content;
	size_t i;

	if (!json_array_size(chosen))
		return;
	if (!*all)
		*all = json_pack("{s:[]}", "content");
	content = json_object_get(*all, "content");
	reading_note(r, content ? 0 : -ENOMEM);
	json_array_foreach(chosen, i, c) {
		json_t *one = one_logprob(c, json_array_get(top, i));

		if (one)
			reading_note(r, json_array_append_new(content, one) ? -ENOMEM : 0);
	}
}

/* ---- how it ended ---- */

static const struct reading_word reasons[] = {
	{ "STOP", "stop" },
	{ "MAX_TOKENS", "length" },
	{ "SAFETY", "content_filter" },
	{ "RECITATION", "content_filter" },
	{ "BLOCKLIST", "content_filter" },
	{ "PROHIBITED_CONTENT", "content_filter" },
	{ "SPII", "content_filter" },
	{ "CONTINUATION", "pause" },
	{ "UNEXPECTED_TOOL_CALL", "error" },
	{ "TOO_MANY_TOOL_CALLS", "error" },
	{ "MISSING_THOUGHT_SIGNATURE", "error" },
	{ "LANGUAGE", "error" },
	{ "OTHER", "error" },
	{ "ESCALATION", "error" },
	{ NULL, NULL },
};
static const struct reading_word image_reasons[] = { { "IMAGE", "content_filter" },
						     { NULL, NULL } };
static const struct reading_word broken_reasons[] = { { "MALFORMED", "error" }, { NULL, NULL } };

/* Two families of words grow with every version. */
static void read_reason(struct reading *r, struct part *p, const json_t *v)
{
	const char *word = json_string_value(v);
	json_t *family = NULL;

	if (!word || strcmp(word, "FINISH_REASON_UNSPECIFIED") == 0)
		return;
	p->finished = true;
	p->stopped = strcmp(word, "STOP") == 0;
	if (str_starts(word, "IMAGE_"))
		family = json_string("IMAGE");
	else if (str_starts(word, "MALFORMED_"))
		family = json_string("MALFORMED");
	if (family)
		reading_reason(r, *word == 'I' ? image_reasons : broken_reasons, family);
	else
		reading_reason(r, reasons, v);
	json_decref(family);
}

static void note(struct part *p, const json_t *word, const json_t *message)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);

	(void)buf_add(&text, json_string_value(word), json_string_length(word)); /* cut is fine */
	if (json_string_length(message))
		(void)buf_addf(&text, "%s%s", text.len ? ": " : "", json_string_value(message));
	failure_text(p->note, sizeof(p->note), buf_str(&text), text.len);
}

/* A zero index may be left out. */
static void read_candidate(struct gemini_reply *g, const json_t *candidate)
{
	const json_t *parts = json_object_get(json_object_get(candidate, "content"), "parts");
	const json_t *reason = json_object_get(candidate, "finishReason"), *part;
	struct reading *r = NULL;
	struct part *p;
	size_t i;

	if (json_is_object(candidate))
		r = reading_set_route(&g->set, json_object_get(candidate, "index"));
	if (!r)
		return;
	p = &g->parts[r->choice];
	r->began = true;
	json_array_foreach(parts, i, part) {
		read_part(r, part);
	}
	read_logprobs(r, json_object_get(candidate, "logprobsResult"));
	read_reason(r, p, reason);
	if (json_is_string(reason))
		note(p, reason, json_object_get(candidate, "finishMessage"));
}

static void add_block(struct reading *r, const char *reason, const json_t *message)
{
	r->began = true;
	if (json_string_length(message))
		reading_add(r, &r->refusal, message);
	else
		reading_note(r, buf_addf(&r->refusal, "The prompt was blocked: %s", reason));
}

/* No candidate at all: the service refuses the question, not the model, and would for each sample. */
static void read_block(struct gemini_reply *g, const json_t *feedback)
{
	const json_t *reason = json_object_get(feedback, "blockReason");
	char word[WORD_MAX];

	if (!json_string_length(reason))
		return;
	failure_text(word, sizeof(word), json_string_value(reason), json_string_length(reason));
	for (unsigned i = 0; i < g->set.n; i++) {
		if (g->parts[i].finished)
			continue;
		g->parts[i].finished = true;
		add_block(&g->set.v[i], word, json_object_get(feedback, "blockReasonMessage"));
	}
}

/* ---- numbers ---- */

/* A zero is left out there, so an absent count is one. */
static int64_t count(const json_t *usage, const char *name)
{
	int64_t n = 0;

	reading_number(&n, json_object_get(usage, name));
	return n < INT64_MAX / 4 ? n : INT64_MAX / 4;
}

/* Running totals in every chunk: the last one counts. */
static void read_usage(struct answer_usage *u, const json_t *usage)
{
	if (!json_object_get(usage, "promptTokenCount") &&
	    !json_object_get(usage, "totalTokenCount"))
		return;
	u->input = count(usage, "promptTokenCount") + count(usage, "toolUsePromptTokenCount");
	u->cached_input = count(usage, "cachedContentTokenCount");
	u->reasoning = count(usage, "thoughtsTokenCount");
	u->output = count(usage, "candidatesTokenCount") + u->reasoning;
}

/* ---- embeddings ---- */

static double length_of(const json_t *values)
{
	const json_t *v;
	double sum = 0;
	size_t i;

	json_array_foreach(values, i, v) {
		if (!json_is_number(v))
			return -1;
		sum += json_number_value(v) * json_number_value(v);
	}
	return sqrt(sum);
}

/* Shortened vectors of older models are not of length 1; all others stay as they came. */
static json_t *unit_vector(const json_t *values)
{
	double length = length_of(values);
	const json_t *v;
	json_t *out;
	size_t i;

	if (length < 0 || !json_array_size(values))
		return NULL;
	if (fabs(length - 1) < 1e-3 || length <= 0 || !isfinite(length))
		return json_incref((json_t *)(uintptr_t)values);
	out = json_array();
	json_array_foreach(values, i, v) {
		if (json_array_append_new(out, json_real(json_number_value(v) / length))) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

static int read_embeddings(struct gemini_reply *g, const json_t *list, struct err *e)
{
	struct reading *r = &g->set.v[0]; /* there is no number of them to ask for */
	json_t *all = json_array();
	const json_t *one;
	size_t i;

	if (!json_array_size(list)) {
		json_decref(all);
		return err_set(e, ERR_PROTOCOL, "%s answered no embedding at all", r->config->name);
	}
	json_array_foreach(list, i, one) {
		json_t *vector = unit_vector(json_object_get(one, "values"));

		if (!vector || json_array_append_new(all, vector)) {
			json_decref(all);
			return err_set(e, ERR_PROTOCOL, "embedding %zu of %s is no list of numbers",
				       i, r->config->name);
		}
	}
	json_decref(r->answer->embedding);
	r->answer->embedding = all;
	r->began = g->parts[0].finished = g->parts[0].stopped = true;
	free(r->answer->finish_reason);
	r->answer->finish_reason = strdup("stop");
	reading_note(r, all && r->answer->finish_reason ? 0 : -ENOMEM);
	return 0;
}

/* ---- the whole ---- */

/* The front fails an answer that ends in error; refusal is where it finds why. */
static int explain(struct answer *a, const struct part *p)
{
	if (!a->finish_reason || a->refusal || !p->note[0] ||
	    strcmp(a->finish_reason, "error") != 0)
		return 0;
	a->refusal = strdup(p->note);
	return a->refusal ? 0 : -ENOMEM;
}

/* there is no finish reason for tool calls */
static void end_calls(struct reading *r, const struct part *p)
{
	struct answer *a = r->answer;

	if (!p->stopped || !json_array_size(a->tool_calls))
		return;
	free(a->finish_reason);
	a->finish_reason = strdup("tool_calls");
	reading_note(r, a->finish_reason ? 0 : -ENOMEM);
}

static int finish(struct gemini_reply *g, struct err *e)
{
	int rc;

	for (unsigned i = 0; i < g->set.n; i++)
		end_calls(&g->set.v[i], &g->parts[i]);
	rc = reading_set_end(&g->set, e);
	for (unsigned i = 0; i < g->set.n; i++) {
		struct reading *r = &g->set.v[i];

		reading_note(r, toolcall_finish(r->answer->tool_calls));
		reading_note(r, explain(r->answer, &g->parts[i]));
	}
	return rc ? rc : reading_set_sizes(&g->set, e);
}

static int read_chunk(struct gemini_reply *g, const json_t *o, struct err *e)
{
	const json_t *list = json_object_get(o, "embeddings"), *candidate;
	const json_t *error = json_object_get(o, "error");
	struct reading *first = &g->set.v[0];
	size_t i;
	int rc = 0;

	if (error && !json_is_null(error))
		return failure_event(first->config, o, e);
	reading_set_next(&g->set);
	reading_once(first, &first->answer->model, json_object_get(o, "modelVersion"));
	reading_once(first, &first->answer->provider_request_id, json_object_get(o, "responseId"));
	json_array_foreach(json_object_get(o, "candidates"), i, candidate) {
		read_candidate(g, candidate);
	}
	read_block(g, json_object_get(o, "promptFeedback"));
	read_usage(&first->answer->usage, json_object_get(o, "usageMetadata"));
	if (json_is_array(list))
		rc = read_embeddings(g, list, e);
	return rc ? rc : reading_set_sizes(&g->set, e);
}

/* Each through the same door as a chunk of its own: that is where depth and form are looked at. */
static int read_list(struct gemini_reply *g, const json_t *list, struct err *e)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		AUTO_FREE char *text = json_dumps(one, JSON_COMPACT | JSON_ENCODE_ANY);
		int rc = gemini_reply_event(g, "", text ? text : "", text ? strlen(text) : 0, false,
					    e);

		if (rc)
			return rc;
	}
	return 0;
}

/* A service or proxy that does not stream gives the chunks as one JSON array. */
static int read_whole(struct gemini_reply *g, const char *data, size_t len, struct err *e)
{
	size_t blank = 0;
	json_t *list;
	int rc;

	while (blank < len && isspace((unsigned char)data[blank]))
		blank++;
	if (blank == len || data[blank] != '[')
		return gemini_reply_event(g, "", data, len, false, e);
	list = json_loadb(data, len, JSON_ALLOW_NUL, NULL);
	rc = list ? read_list(g, list, e)
		  : err_set(e, ERR_PROTOCOL, "%s answered something that is no JSON",
			    g->set.v[0].config->name);
	json_decref(list);
	return rc;
}

int gemini_reply_event(void *reply, const char *name, const char *data, size_t len, bool whole,
		       struct err *e)
{
	struct gemini_reply *g = reply;
	json_t *o;
	int rc;

	(void)name;
	if (whole) {
		rc = read_whole(g, data, len, e);
		if (!rc)
			rc = finish(g, e);
		return rc ? rc : 1;
	}
	o = reading_object(&g->set.v[0], data, len, e);
	if (!o)
		return -err_errno(ERR_PROTOCOL);
	rc = read_chunk(g, o, e);
	json_decref(o);
	return rc;
}

int gemini_reply_end(void *reply, struct err *e)
{
	struct gemini_reply *g = reply;
	bool began = false, finished = false, open = false;

	for (unsigned i = 0; i < g->set.n; i++) {
		began |= g->set.v[i].began;
		finished |= g->parts[i].finished;
		open |= g->set.v[i].began && !g->parts[i].finished;
	}
	return finished && !open ? finish(g, e) : failure_cut(g->set.v[0].config, began, e);
}
