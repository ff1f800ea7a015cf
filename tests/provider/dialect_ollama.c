/* Ollama; see dialect_ollama.h. */
#include "dialect_ollama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openread.h"
#include "script.h"

static const struct route routes[] = {
	{ "POST", "/api/chat", KIND_CHAT },   { "POST", "/api/generate", KIND_TEXT },
	{ "POST", "/api/embed", KIND_EMBED }, { "GET", "/api/tags", KIND_MODELS },
	{ "POST", "/api/show", KIND_MODEL },  { "GET", "/api/version", KIND_HEALTH },
	{ "POST", "/api/pull", KIND_PULL },   { "DELETE", "/api/delete", KIND_DELETE },
	{ "GET", "/api/ps", KIND_LOADED },    { NULL, NULL, KIND_NONE },
};

static int refuse_value(struct refusal *why, const char *field, const char *text)
{
	*why = (struct refusal){ 400, WHY_VALUE, field, text, NULL, 0 };
	return -1;
}

/* ---- what the real server's types refuse ---- */

static int check_images(const json_t *images, struct refusal *why)
{
	size_t i;
	json_t *v;

	json_array_foreach(images, i, v) {
		const char *s = json_string_value(v);

		if (!s || strchr(s, ':'))
			return refuse_value(why, "images", "illegal base64 data");
	}
	return 0;
}

static int check_message(const json_t *m, struct refusal *why)
{
	const json_t *content = json_object_get(m, "content");
	size_t i;
	json_t *call;

	if (content && !json_is_string(content))
		return refuse_value(why, "content", "cannot unmarshal into a string");
	json_array_foreach(json_object_get(m, "tool_calls"), i, call) {
		const json_t *args =
			json_object_get(json_object_get(call, "function"), "arguments");

		if (!json_is_object(args))
			return refuse_value(why, "arguments", "cannot unmarshal into an object");
	}
	return check_images(json_object_get(m, "images"), why);
}

static int check_think(const json_t *think, struct refusal *why)
{
	static const char *const levels[] = { "low", "medium", "high", "max" };
	const char *s = json_string_value(think);

	if (!think || json_is_boolean(think))
		return 0;
	for (size_t i = 0; s && i < sizeof(levels) / sizeof(levels[0]); i++)
		if (!strcmp(levels[i], s))
			return 0;
	return refuse_value(why, "think", "must be a boolean or low, medium, high, max");
}

static int check(const struct ask *ask, struct refusal *why)
{
	size_t i;
	json_t *m;

	json_array_foreach(json_object_get(ask->root, "messages"), i, m) {
		if (check_message(m, why))
			return -1;
	}
	if (json_is_true(json_object_get(ask->root, "raw")) &&
	    (json_object_get(ask->root, "system") || json_object_get(ask->root, "template")))
		return refuse_value(why, "raw", "does not support template, system, or context");
	return check_think(json_object_get(ask->root, "think"), why);
}

static int read_ollama(struct ask *ask, struct refusal *why)
{
	const char *model = json_string_value(json_object_get(ask->root, "model"));

	if (ask->kind == KIND_MODEL || ask->kind == KIND_PULL || ask->kind == KIND_DELETE) {
		ask->model = model ? model : "";
		if (strcmp(ask->model, DIALECT_NO_MODEL) != 0)
			return 0;
		*why = (struct refusal){ 404, WHY_MODEL, "model", ask->model, NULL, 0 };
		return -1;
	}
	if (check(ask, why) || openread_ask(ask, why))
		return -1;
	ask->stream = ask->kind != KIND_EMBED &&
		      !json_is_false(json_object_get(ask->root, "stream"));
	return 0;
}

static void refuse(struct buf *b, const struct refusal *r)
{
	struct buf text = { 0 };

	switch (r->why) {
	case WHY_MODEL:
		buf_fmt(&text, "model '%s' not found", r->text);
		break;
	case WHY_MISSING:
		buf_fmt(&text, "%s is required", r->field);
		break;
	case WHY_VALUE:
		buf_fmt(&text, "%s: %s", r->field, r->text);
		break;
	case WHY_KEY:
		buf_str(&text, "unauthorized");
		break;
	case WHY_PATH:
		buf_str(b, "404 page not found");
		return;
	default:
		buf_str(&text, r->status == 503 ? "server busy, please try again.  maximum pending "
						  "requests exceeded"
						: "the request failed");
	}
	buf_str(b, "{\"error\":");
	buf_json(b, text.p, text.len);
	buf_str(b, "}");
	buf_free(&text);
}

/* ---- answers ---- */

static void add_dump(struct buf *b, const json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	buf_str(b, text ? text : "null");
	free(text);
}

static void add_head(struct buf *b, const struct ask *ask)
{
	buf_str(b, "{\"model\":");
	buf_jstr(b, ask->model);
	buf_str(b, ",\"created_at\":\"2026-11-21T00:00:00.1Z\"");
}

/* One or both of thinking and text, in the place that the call has for them. */
static void add_said(struct buf *b, const struct ask *ask, const char *thinking, const char *s,
		     size_t n)
{
	buf_str(b, ask->kind == KIND_CHAT ? ",\"message\":{\"role\":\"assistant\",\"content\":"
					  : ",\"response\":");
	buf_json(b, s, n);
	if (thinking) {
		buf_str(b, ",\"thinking\":");
		buf_jstr(b, thinking);
	}
}

static void close_said(struct buf *b, const struct ask *ask)
{
	buf_str(b, ask->kind == KIND_CHAT ? "}" : "");
}

static void add_call(struct buf *b, const struct ask *ask, size_t k)
{
	const json_t *call = json_array_get(plan_tools(ask->plan), k);
	const json_t *args = json_object_get(call, "arguments"), *id = json_object_get(call, "id");
	const char *name = json_string_value(json_object_get(call, "name"));

	buf_str(b, "{");
	if (id) {
		buf_str(b, "\"id\":");
		buf_jstr(b, json_string_value(id));
		buf_str(b, ",");
	}
	buf_fmt(b, "\"function\":{\"index\":%zu,\"name\":", k);
	buf_jstr(b, name ? name : "");
	buf_str(b, ",\"arguments\":");
	if (json_is_object(args))
		add_dump(b, args);
	else
		buf_str(b, "{}");
	buf_str(b, "}}");
}

/* The counts may be scripted under the names that they have on the wire. */
static void add_counts(struct buf *b, const struct ask *ask)
{
	const json_t *own = plan_usage(ask->plan);
	const char *reason = ask->plan->finish;

	buf_str(b, ",\"done\":true,\"done_reason\":");
	buf_jstr(b, !strcmp(reason, "tool_calls") ? "stop" : reason);
	buf_str(b, ",\"total_duration\":3,\"load_duration\":1");
	if (json_is_null(own))
		return;
	if (own) {
		const char *name;
		json_t *v;

		json_object_foreach((json_t *)own, name, v) {
			buf_fmt(b, ",\"%s\":", name);
			add_dump(b, v);
		}
		return;
	}
	buf_fmt(b,
		",\"prompt_eval_count\":%llu,\"prompt_eval_duration\":1,\"eval_count\":%llu,"
		"\"eval_duration\":1",
		(unsigned long long)ask->plan->words_in, (unsigned long long)ask->plan->words_out);
}

static void add_calls(struct buf *b, const struct ask *ask)
{
	size_t count = ask->kind == KIND_CHAT ? json_array_size(plan_tools(ask->plan)) : 0;

	for (size_t k = 0; k < count; k++) {
		buf_str(b, k ? "," : ",\"tool_calls\":[");
		add_call(b, ask, k);
	}
	buf_str(b, count ? "]" : "");
}

static void whole(struct buf *b, const struct ask *ask)
{
	const struct text *t = plan_choice(ask->plan, 0);

	add_head(b, ask);
	add_said(b, ask, plan_reasoning(ask->plan), plan_at(ask->plan, t->all), t->all.len);
	add_calls(b, ask);
	close_said(b, ask);
	add_counts(b, ask);
	buf_str(b, "}");
}

static void line(struct events *ev, const struct ask *ask, const char *thinking, struct span s,
		 long piece)
{
	events_begin(ev, NULL);
	add_head(&ev->b, ask);
	add_said(&ev->b, ask, thinking, plan_at(ask->plan, s), s.len);
	close_said(&ev->b, ask);
	buf_str(&ev->b, ",\"done\":false}");
	events_end(ev, piece);
}

static void call_line(struct events *ev, const struct ask *ask, size_t k, long piece)
{
	events_begin(ev, NULL);
	add_head(&ev->b, ask);
	add_said(&ev->b, ask, NULL, "", 0);
	buf_str(&ev->b, ",\"tool_calls\":[");
	add_call(&ev->b, ask, k);
	buf_str(&ev->b, "]");
	close_said(&ev->b, ask);
	buf_str(&ev->b, ",\"done\":false}");
	events_end(ev, piece);
}

static void last_line(struct events *ev, const struct ask *ask, long piece)
{
	events_begin(ev, NULL);
	add_head(&ev->b, ask);
	add_said(&ev->b, ask, NULL, "", 0);
	close_said(&ev->b, ask);
	add_counts(&ev->b, ask);
	buf_str(&ev->b, "}");
	events_end(ev, piece);
}

static bool error_line(struct events *ev, const struct ask *ask, size_t step)
{
	const struct rule *r = ask->plan->rule;

	if (!r || !r->flow.error_event || r->flow.error_at != (long)step)
		return false;
	events_begin(ev, NULL);
	add_dump(&ev->b, r->flow.error_event);
	events_end(ev, (long)step);
	return true;
}

/* The line with "done":true is finish chunk and end mark in one. */
static void stream(struct events *ev, const struct ask *ask)
{
	const struct plan *p = ask->plan;
	const struct text *t = plan_choice(p, 0);
	size_t step = 0, calls = ask->kind == KIND_CHAT ? json_array_size(plan_tools(p)) : 0;

	if (plan_reasoning(p))
		line(ev, ask, plan_reasoning(p), (struct span){ 0 }, EVENTS_FOLLOWS);
	for (; step < t->count; step++) {
		if (error_line(ev, ask, step))
			return;
		line(ev, ask, NULL, p->pieces[t->first + step], (long)step);
	}
	for (size_t k = 0; k < calls; k++, step++)
		call_line(ev, ask, k, (long)step);
	if (error_line(ev, ask, step) || (p->rule && p->rule->flow.no_done))
		return;
	last_line(ev, ask, (long)step);
}

/* ---- the rest ---- */

static void add_details(struct buf *b)
{
	buf_str(b,
		"\"details\":{\"format\":\"gguf\",\"family\":\"echo\",\"parameter_size\":\"1.0M\","
		"\"quantization_level\":\"Q4_0\",\"context_length\":32768}");
}

static void add_card(struct buf *b, const char *id)
{
	buf_str(b, "{\"name\":");
	buf_jstr(b, id);
	buf_str(b, ",\"model\":");
	buf_jstr(b, id);
	buf_str(b, ",\"modified_at\":\"2026-11-21T00:00:00Z\",\"size\":1000000,\"digest\":\"00\",");
	add_details(b);
	buf_str(b, strstr(id, "embed")
			   ? ",\"capabilities\":[\"embedding\"]}"
			   : ",\"capabilities\":[\"completion\",\"tools\",\"vision\",\"insert\"]}");
}

static void embed(struct buf *b, const struct ask *ask)
{
	buf_str(b, "{\"model\":");
	buf_jstr(b, ask->model);
	buf_str(b, ",\"embeddings\":[");
	for (size_t i = 0; i < ask->plan->nprompts; i++) {
		buf_str(b, i ? "," : "");
		openread_vector(b, ask, i);
	}
	buf_fmt(b, "],\"total_duration\":1,\"load_duration\":1,\"prompt_eval_count\":%llu}",
		(unsigned long long)ask->plan->words_in);
}

static void other(struct buf *b, const struct ask *ask)
{
	switch (ask->kind) {
	case KIND_EMBED:
		embed(b, ask);
		break;
	case KIND_MODEL:
		buf_str(b, "{");
		add_details(b);
		buf_str(b,
			",\"model_info\":{\"general.architecture\":\"echo\",\"echo.context_length\":32768},"
			"\"parameters\":\"num_ctx 8192\\nstop \\\"<|end|>\\\"\\nstop \\\"<|user|>\\\"\\n\","
			"\"capabilities\":[\"completion\",\"tools\"]}");
		break;
	case KIND_MODELS:
		buf_str(b, "{\"models\":[");
		for (size_t i = 0; dialect_models[i]; i++) {
			buf_str(b, i ? "," : "");
			add_card(b, dialect_models[i]);
		}
		buf_str(b, "]}");
		break;
	case KIND_PULL:
		buf_str(b,
			"{\"status\":\"pulling manifest\"}\n"
			"{\"status\":\"pulling 0123456789ab\",\"digest\":\"sha256:0123456789ab\","
			"\"total\":4000000000,\"completed\":1000000000}\n"
			"{\"status\":\"verifying sha256 digest\"}\n{\"status\":\"success\"}\n");
		break;
	case KIND_DELETE:
		break;
	case KIND_LOADED:
		buf_str(b, "{\"models\":[{\"name\":\"echo-small\",\"model\":\"echo-small\","
			   "\"size\":1000000,\"size_vram\":0,\"context_length\":4096}]}");
		break;
	default:
		buf_str(b, "{\"version\":\"0.33.0\"}");
	}
}

static void call_id(char *out, uint64_t id, size_t k)
{
	snprintf(out, 32, "call_%llu_%zu", (unsigned long long)id, k);
}

const struct dialect dialect_ollama = {
	.name = "ollama",
	.prefix = "/ollama",
	.routes = routes,
	.framing = FRAMING_NDJSON,
	.stream_type = "application/x-ndjson",
	.read = read_ollama,
	.refuse = refuse,
	.whole = whole,
	.stream = stream,
	.other = other,
	.call_id = call_id,
};
