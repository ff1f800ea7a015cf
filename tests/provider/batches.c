/* Files and batches; see batches.h. */
#define _GNU_SOURCE 1
#include "batches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct batch *batches;
static struct batch_file *files;
static unsigned last_id;
static json_t *settings;

static const char *const state_words[STATE_COUNT] = { "waiting",    "running",	"finalizing",
						      "cancelling", "done",	"failed",
						      "expired",    "cancelled" };
static const char *const end_words[LINE_ENDS] = { "answered",  "refused", "expired",
						  "cancelled", "missing", "duplicate",
						  "garbled",   "unknown", "huge" };

/* ---- settings ---- */

static int word_at(const char *const *words, int n, const json_t *v)
{
	const char *word = json_string_value(v);

	for (int i = 0; word && i < n; i++)
		if (!strcmp(words[i], word))
			return i;
	return -1;
}

int batches_script(const json_t *o, const char **out_why)
{
	const json_t *v;
	size_t i;

	*out_why = "an object with states, hold, lines, why, processing or lag";
	if (!json_is_object(o))
		return -1;
	*out_why = "states: waiting running finalizing cancelling done failed expired cancelled";
	json_array_foreach(json_object_get(o, "states"), i, v) {
		if (word_at(state_words, STATE_COUNT, v) < 0)
			return -1;
	}
	*out_why = "lines: [{match, as: answered refused expired cancelled missing duplicate "
		   "garbled unknown huge}]";
	json_array_foreach(json_object_get(o, "lines"), i, v) {
		if (word_at(end_words, LINE_ENDS, json_object_get(v, "as")) < 0)
			return -1;
	}
	json_decref(settings);
	settings = json_deep_copy(o);
	return 0;
}

long batches_processing(void)
{
	return (long)json_integer_value(json_object_get(settings, "processing"));
}

enum line_end batches_line_end(const char *line, size_t n)
{
	const json_t *rule;
	size_t i;

	json_array_foreach(json_object_get(settings, "lines"), i, rule) {
		const char *match = json_string_value(json_object_get(rule, "match"));

		if (!match || memmem(line, n, match, strlen(match)))
			return (enum line_end)word_at(end_words, LINE_ENDS,
						      json_object_get(rule, "as"));
	}
	return LINE_ANSWERED;
}

void batches_reset(void)
{
	struct batch *b;
	struct batch_file *f;

	while ((b = batches)) {
		batches = b->next;
		buf_free(&b->lines);
		free(b);
	}
	while ((f = files)) {
		files = f->next;
		buf_free(&f->data);
		free(f);
	}
	json_decref(settings);
	settings = NULL;
	last_id = 0;
}

/* ---- files ---- */

struct batch_file *batches_add_file(const char *prefix, const char *data, size_t n)
{
	struct batch_file *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	if (prefix)
		snprintf(f->id, sizeof(f->id), "%s%u", prefix, ++last_id);
	else
		snprintf(f->id, sizeof(f->id), "00000000-0000-4000-8000-%012u", ++last_id);
	buf_add(&f->data, data, n);
	f->looks = batches_processing();
	f->next = files;
	files = f;
	return f;
}

struct batch_file *batches_file(const char *id)
{
	struct batch_file *f = files;

	while (f && (f->deleted || strcmp(f->id, id)))
		f = f->next;
	return f;
}

struct batch_file *batches_uploads(const struct dialect *d, struct batch_file *after)
{
	struct batch_file *f = after ? after->next : files;

	while (f && (f->deleted || !f->name[0] || f->dialect != d))
		f = f->next;
	return f;
}

/* ---- batches ---- */

struct batch *batches_new(const char *prefix, const struct dialect *d, const struct batch_wire *w,
			  struct batch_file *input)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	snprintf(b->id, sizeof(b->id), "%s%u", prefix, ++last_id);
	b->dialect = d;
	b->wire = w;
	b->input = input;
	if (input)
		buf_add(&b->lines, input->data.p, input->data.len);
	b->created = time(NULL);
	b->next = batches;
	batches = b;
	return b;
}

struct batch *batches_find(const char *id)
{
	struct batch *b = batches;

	while (b && (b->deleted || strcmp(b->id, id)))
		b = b->next;
	return b;
}

/* `lag` newest ones are not in any list yet: services need a moment. */
struct batch *batches_list(const struct dialect *d, struct batch *after)
{
	struct batch *b = after ? after->next : batches;
	json_int_t lag = json_integer_value(json_object_get(settings, "lag"));

	for (; !after && b && lag > 0; lag--)
		b = b->next;
	while (b && (b->deleted || b->dialect != d))
		b = b->next;
	return b;
}

static bool is_end(enum batch_state s)
{
	return s >= STATE_DONE;
}

static enum batch_state listed_state(const struct batch *b)
{
	static const enum batch_state usual[] = { STATE_WAITING, STATE_RUNNING, STATE_DONE };
	const json_t *list = json_object_get(settings, "states");
	size_t n = json_array_size(list);

	if (!n)
		return usual[b->at < 2 ? b->at : 2];
	return (enum batch_state)word_at(state_words, STATE_COUNT,
					 json_array_get(list, b->at < n ? b->at : n - 1));
}

static void step(struct batch *b)
{
	const char *why = json_string_value(json_object_get(settings, "why"));

	if (b->over)
		return;
	if (b->why[0]) /* its file was bad */
		b->state = STATE_FAILED;
	else if (b->cancelled)
		b->state = b->state == STATE_CANCELLING ? STATE_CANCELLED : STATE_CANCELLING;
	else
		b->at++, b->state = listed_state(b);
	if (!is_end(b->state))
		return;
	b->over = true;
	if (b->state == STATE_FAILED && !b->why[0])
		snprintf(b->why, sizeof(b->why), "%s", why ? why : "the batch failed");
	if (b->state != STATE_FAILED)
		batches_run(b);
}

void batches_look(struct batch *b)
{
	if (!json_is_true(json_object_get(settings, "hold")))
		step(b);
}

void batches_advance(void)
{
	for (struct batch *b = batches; b; b = b->next)
		step(b);
}

void batches_cancel(struct batch *b)
{
	if (b->over)
		return;
	b->cancelled = true;
	b->state = STATE_CANCELLING;
}

void batches_show(struct buf *out)
{
	const char *comma = "";

	buf_str(out, "{\"files\":[");
	for (const struct batch_file *f = files; f; f = f->next, comma = ",")
		buf_fmt(out, "%s{\"id\":\"%s\",\"deleted\":%s}", comma, f->id,
			f->deleted ? "true" : "false");
	buf_str(out, "],\"batches\":[");
	comma = "";
	for (const struct batch *x = batches; x; x = x->next, comma = ",")
		buf_fmt(out,
			"%s{\"id\":\"%s\",\"at\":\"%s\",\"state\":\"%s\",\"requests\":%zu,\"deleted\":%s}",
			comma, x->id, x->dialect->name, state_words[x->state], x->total,
			x->deleted ? "true" : "false");
	buf_str(out, "]}");
}

/* ---- what the four ways share ---- */

int batches_refuse(const struct dialect *d, struct buf *out, int status, const char *field,
		   const char *text)
{
	const struct refusal why = { .status = status,
				     .why = field ? WHY_VALUE : WHY_STATUS,
				     .field = field,
				     .text = text };

	d->refuse(out, &why);
	return status;
}

bool batches_path(const char *path, const char *prefix, const char *rest, char id[64])
{
	size_t n = strlen(prefix), all = strlen(path), tail = strlen(rest);

	if (strncmp(path, prefix, n) || all <= n + tail || strcmp(path + all - tail, rest) ||
	    all - n - tail >= 64 || memchr(path + n, '/', all - n - tail))
		return false;
	memcpy(id, path + n, all - n - tail);
	id[all - n - tail] = '\0';
	return true;
}

/* The part whose disposition has this name. Parts are divided by CR LF "--" boundary. */
const char *batches_form(const struct batch_ask *ask, const char *name, size_t *out_len)
{
	const char *type = ask->header(ask->arg, "Content-Type");
	const char *at = type ? strstr(type, "boundary=") : NULL, *end, *head, *stop;
	char mark[120], want[80];

	if (!at || strncmp(type, "multipart/form-data", 19) || !ask->body->len)
		return NULL;
	snprintf(mark, sizeof(mark), "\r\n--%s", at + 9);
	snprintf(want, sizeof(want), "form-data; name=\"%s\"", name);
	end = ask->body->p + ask->body->len;
	for (at = ask->body->p; at; at = stop + strlen(mark)) {
		head = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
		if (!head)
			return NULL;
		stop = memmem(head + 4, (size_t)(end - head) - 4, mark, strlen(mark));
		if (!stop)
			return NULL;
		if (memmem(at, (size_t)(head - at), want, strlen(want))) {
			*out_len = (size_t)(stop - head) - 4;
			return head + 4;
		}
	}
	return NULL;
}

/* NULL: there is no such part, or its purpose is not batch */
struct batch_file *batches_add_form(const struct dialect *d, const struct batch_ask *ask,
				    const char *prefix)
{
	static const char mark[] = "filename=\"";
	size_t n = 0, len = 0, name_len;
	const char *purpose = batches_form(ask, "purpose", &n);
	const char *data = batches_form(ask, "file", &len), *name, *end;
	struct batch_file *f;

	if (!data || !purpose || n != 5 || memcmp(purpose, "batch", 5))
		return NULL;
	f = batches_add_file(prefix, data, len);
	f->dialect = d;
	name = memmem(ask->body->p, ask->body->len, mark, sizeof(mark) - 1);
	name = name ? name + sizeof(mark) - 1 : "file";
	end = memchr(name, '"', sizeof(f->name) - 1);
	name_len = end ? (size_t)(end - name) : strlen("file");
	snprintf(f->name, sizeof(f->name), "%.*s", (int)name_len, name);
	return f;
}

int batches_serve(const struct dialect *d, struct batch_ask *ask, struct buf *out)
{
	static const struct {
		const char *name;
		int (*serve)(const struct dialect *d, struct batch_ask *ask, struct buf *out);
	} wires[] = { { "openai", batchwire_openai },
		      { "mistral", batchwire_mistral },
		      { "gemini", batchwire_gemini },
		      { "anthropic", batchwire_anthropic } };

	for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++)
		if (!strcmp(d->name, wires[i].name))
			return wires[i].serve(d, ask, out);
	return 0;
}
