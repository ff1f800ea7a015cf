/* The common wire format, reading side and embeddings; see openread.h. */
#include <openssl/evp.h>
#include <string.h>

#include "openread.h"

#define MAX_CHOICES    128
#define MAX_DIMENSIONS 4096

static int refuse(struct refusal *why, enum why reason, const char *field, const char *text)
{
	why->status = reason == WHY_MODEL ? 404 : 400;
	why->why = reason;
	why->field = field;
	why->text = text;
	return -1;
}

/* A message's text, a string or the text parts of an array, in wire order. */
static void add_content(struct ask *ask, const json_t *content)
{
	size_t i;
	json_t *part;

	if (json_is_string(content))
		plan_text(ask->plan, json_string_value(content), json_string_length(content));
	json_array_foreach(content, i, part) {
		const json_t *text = json_object_get(part, "text");

		if (json_is_string(text))
			plan_text(ask->plan, json_string_value(text), json_string_length(text));
	}
}

static void count_words(struct ask *ask)
{
	const struct plan *p = ask->plan;

	for (size_t i = 0; i < p->nprompts; i++)
		ask->plan->words_in += plan_words(plan_at(p, p->prompts[i]), p->prompts[i].len);
}

/*
 * Every message is counted, the last user message is the prompt: the texts are collected as
 * prompts first and the others dropped once they are counted. Items of /responses that are no
 * messages have a type instead of a role.
 */
static int read_messages(struct ask *ask, const char *field, struct refusal *why)
{
	const json_t *messages = json_object_get(ask->root, field);
	struct plan *p = ask->plan;
	struct span chosen = { 0 };
	size_t i;
	json_t *m;

	if (!messages)
		return refuse(why, WHY_MISSING, field, NULL);
	if (!json_array_size(messages))
		return refuse(why, WHY_VALUE, field, "must be a non-empty array");
	json_array_foreach(messages, i, m) {
		const char *role = json_string_value(json_object_get(m, "role"));
		bool item = ask->kind == KIND_RESPONSES && json_object_get(m, "type");

		if (!role && !item)
			return refuse(why, WHY_VALUE, field, "a message has no role");
		plan_prompt(p);
		add_content(ask, json_object_get(m, "content"));
		add_content(ask, json_object_get(m, "output"));
		if (role && !strcmp(role, "user"))
			chosen = p->prompts[p->nprompts - 1];
	}
	count_words(ask);
	p->nprompts = 1;
	p->prompts[0] = chosen;
	return 0;
}

/* A string or an array of strings; arrays of token ids count as empty texts. */
static int read_texts(struct ask *ask, const char *field, struct refusal *why)
{
	const json_t *v = json_object_get(ask->root, field);
	const json_t *suffix = json_object_get(ask->root, "suffix");
	size_t i;
	json_t *item;

	if (!v)
		return refuse(why, WHY_MISSING, field, NULL);
	if (!json_is_string(v) && !json_array_size(v))
		return refuse(why, WHY_VALUE, field, "must be a string or an array");
	if (json_is_string(v)) {
		plan_prompt(ask->plan);
		add_content(ask, v);
	}
	json_array_foreach(v, i, item) {
		plan_prompt(ask->plan);
		add_content(ask, item);
	}
	if (json_is_string(suffix) && *json_string_value(suffix)) {
		plan_text(ask->plan, "|", 1);
		add_content(ask, suffix);
	}
	count_words(ask);
	return 0;
}

static int read_infill(struct ask *ask, struct refusal *why)
{
	const json_t *before = json_object_get(ask->root, "input_prefix");

	if (!json_is_string(before))
		return refuse(why, WHY_MISSING, "input_prefix", NULL);
	if (!json_is_string(json_object_get(ask->root, "input_suffix")))
		return refuse(why, WHY_MISSING, "input_suffix", NULL);
	plan_prompt(ask->plan);
	add_content(ask, before);
	plan_text(ask->plan, "|", 1);
	add_content(ask, json_object_get(ask->root, "input_suffix"));
	count_words(ask);
	return 0;
}

static int read_model(struct ask *ask, struct refusal *why)
{
	const json_t *model = json_object_get(ask->root, "model");

	if (!model && (ask->dialect->traits & TRAIT_MODEL_OPTIONAL))
		ask->model = dialect_models[0];
	else if (!model)
		return refuse(why, WHY_MISSING, "model", NULL);
	else
		ask->model = json_string_value(model);
	if (!ask->model)
		return refuse(why, WHY_VALUE, "model", "must be a string");
	if (!strcmp(ask->model, DIALECT_NO_MODEL))
		return refuse(why, WHY_MODEL, "model", ask->model);
	return 0;
}

static int read_options(struct ask *ask, struct refusal *why)
{
	const json_t *n = json_object_get(ask->root, "n");
	const json_t *options = json_object_get(ask->root, "stream_options");

	ask->n = 1;
	if (json_is_integer(n)) {
		if (json_integer_value(n) < 1 || json_integer_value(n) > MAX_CHOICES)
			return refuse(why, WHY_VALUE, "n", "must be between 1 and 128");
		ask->n = (unsigned)json_integer_value(n);
	}
	ask->stream = json_is_true(json_object_get(ask->root, "stream"));
	ask->usage = json_is_true(json_object_get(options, "include_usage"));
	if (json_is_object(options) && !ask->stream)
		return refuse(why, WHY_VALUE, "stream_options", "is only allowed with stream");
	return 0;
}

int openread_ask(struct ask *ask, struct refusal *why)
{
	if (read_model(ask, why) || read_options(ask, why))
		return -1;
	switch (ask->kind) {
	case KIND_CHAT:
	case KIND_COUNT:
		return read_messages(ask, "messages", why);
	case KIND_RESPONSES:
		if (json_is_array(json_object_get(ask->root, "input")))
			return read_messages(ask, "input", why);
		return read_texts(ask, "input", why);
	case KIND_INFILL:
		return read_infill(ask, why);
	case KIND_EMBED:
		ask->stream = false;
		return read_texts(ask, "input", why);
	default:
		return read_texts(ask, "prompt", why);
	}
}

static uint64_t hash_text(const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
	return h;
}

/* Thousandths in -1..1: short in JSON, and the same text always gets the same vector. */
static double component(uint64_t seed, size_t i)
{
	uint64_t x = (seed + i) * 0x9e3779b97f4a7c15u;

	x ^= x >> 29;
	return ((double)(x % 2001) - 1000.0) / 1000.0;
}

static void add_floats(struct buf *b, uint64_t seed, size_t dims)
{
	buf_str(b, "[");
	for (size_t i = 0; i < dims; i++)
		buf_fmt(b, "%s%.3f", i ? "," : "", component(seed, i));
	buf_str(b, "]");
}

static void add_base64(struct buf *b, uint64_t seed, size_t dims)
{
	struct buf raw = { 0 };

	for (size_t i = 0; i < dims; i++) {
		float f = (float)component(seed, i);

		buf_add(&raw, &f, sizeof(f));
	}
	buf_str(b, "\"");
	buf_reserve(b, raw.len * 2 + 4);
	b->len += (size_t)EVP_EncodeBlock((unsigned char *)b->p + b->len,
					  (const unsigned char *)raw.p, (int)raw.len);
	buf_str(b, "\"");
	buf_free(&raw);
}

static size_t dimensions_of(const json_t *v)
{
	if (!json_is_integer(v) || json_integer_value(v) < 1)
		return 8;
	if (json_integer_value(v) > MAX_DIMENSIONS)
		return MAX_DIMENSIONS;
	return (size_t)json_integer_value(v);
}

static size_t wanted_dimensions(const struct ask *ask)
{
	const json_t *v = json_object_get(ask->root, "dimensions");

	return dimensions_of(v ? v : json_object_get(ask->root, "output_dimension"));
}

void openread_floats(struct buf *b, const char *text, size_t n, const json_t *dimensions)
{
	add_floats(b, hash_text(text, n), dimensions_of(dimensions));
}

void openread_vector(struct buf *b, const struct ask *ask, size_t i)
{
	const struct plan *p = ask->plan;

	add_floats(b, hash_text(plan_at(p, p->prompts[i]), p->prompts[i].len),
		   wanted_dimensions(ask));
}

void openread_embed(struct buf *b, const struct ask *ask)
{
	const char *enc = json_string_value(json_object_get(ask->root, "encoding_format"));
	const struct plan *p = ask->plan;
	size_t dims = wanted_dimensions(ask);

	buf_fmt(b, "{\"id\":\"embd-%llu\",\"object\":\"list\",\"model\":",
		(unsigned long long)ask->id);
	buf_jstr(b, ask->model);
	buf_str(b, ",\"data\":[");
	for (size_t i = 0; i < p->nprompts; i++) {
		uint64_t seed = hash_text(plan_at(p, p->prompts[i]), p->prompts[i].len);

		buf_fmt(b, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "",
			i);
		if (enc && !strcmp(enc, "base64"))
			add_base64(b, seed, dims);
		else
			add_floats(b, seed, dims);
		buf_str(b, "}");
	}
	buf_fmt(b,
		"],\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":0,"
		"\"total_tokens\":%llu}}",
		(unsigned long long)p->words_in, (unsigned long long)p->words_in);
}
