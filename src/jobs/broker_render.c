/* broker_render.c - the files of a request, made when they are read */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "core/response.h"
#include "core/vectors.h"
#include "jobs/bulk.h"

#include "base/banned.h"

/* a request as rendering sees it: its row, and its object when the file needs it */
struct render {
	struct broker *b;
	struct ledger_row row;
	struct job_terms terms;
	json_t *facts;
	struct ledger_handout *h;
	size_t n;
	struct object object;
	struct response_sample sample;
};

static void render_done(struct render *r)
{
	ledger_row_done(&r->row);
	terms_done(&r->terms);
	json_decref(r->facts);
	free(r->h);
	object_done(&r->object);
}

static int load_object(const struct render *r, unsigned pos, bool nowait, struct object *out)
{
	struct buf bytes = BUF_INIT(OBJECT_MAX);
	struct answers_id id;
	struct err e = { 0 };
	int k;

	if (r->row.state != LEDGER_DONE || pos >= r->n)
		return -ENOENT;
	id = (struct answers_id){ .key = r->h[pos].key,
				  .index = r->h[pos].index,
				  .variant = r->h[pos].variant };
	k = nowait ? answers_read_nowait(r->b->o.answers, &id, &bytes)
		   : answers_read(r->b->o.answers, &id, &bytes);
	if (k == 0)
		k = object_decode(bytes.data, bytes.len, &id.key, id.index, out, &e);
	buf_done(&bytes);
	return k == 0 || k == -EAGAIN || k == -ENOMEM ? k : -EIO;
}

static struct response_sample sample_of(const struct render *r, unsigned pos,
					const struct object *o)
{
	return (struct response_sample){ .sample = o->sample,
					 .created = o->created,
					 .index = r->h[pos].index,
					 .cached = r->h[pos].cached,
					 .duplicated = r->h[pos].duplicated };
}

static int render_object(struct render *r, unsigned pos, bool nowait)
{
	int k = load_object(r, pos, nowait, &r->object);

	if (k == 0)
		r->sample = sample_of(r, pos, &r->object);
	return k;
}

static double number_or(const json_t *o, const char *name, double otherwise)
{
	const json_t *v = json_object_get(o, name);

	return json_is_number(v) ? json_number_value(v) : otherwise;
}

static void render_facts(struct render *r, struct response_facts *f)
{
	const json_t *tokens;
	const char *key; /* of another model than the first */

	if (!r->facts && r->row.facts)
		r->facts = json_loads(r->row.facts, 0, NULL);
	if (!r->terms.backend && r->row.envelope)
		(void)terms_read(r->row.envelope,
				 &r->terms); /* our own text; empty members at worst */
	if (!r->terms.request_id && bulk_line_is(r->row.root))
		r->terms.request_id = bulk_line_id(r->b, &r->row);
	key = json_string_value(json_object_get(r->facts, "key"));
	*f = (struct response_facts){
		.request_id = r->terms.request_id ? r->terms.request_id : r->row.path,
		.ns = r->terms.ns,
		.backend = r->terms.backend,
		.route = key ? "fallback" : "explicit",
		.model = r->terms.model,
		.key = r->row.key,
		.created_real_ns = r->row.final_ns,
		.queue_ms = number_or(r->facts, "queue_ms", -1),
		.first_token_ms = number_or(r->facts, "first_token_ms", -1),
		.total_ms = number_or(r->facts, "total_ms", -1),
		.attempts = (unsigned)json_integer_value(json_object_get(r->facts, "attempts")),
		.cost_usd = number_or(r->facts, "cost_usd", -1),
		.saved_usd = number_or(r->facts, "saved_usd", -1),
		.dropped = r->terms.dropped,
	};
	if (key && key_parse(key, &f->key) == 0) {
		f->backend = json_string_value(json_object_get(r->facts, "backend"));
		f->model = json_string_value(json_object_get(r->facts, "model"));
		f->dropped = json_object_get(r->facts, "dropped");
	}
	tokens = json_object_get(r->facts, "tokens");
	for (size_t i = 0; i < ARRAY_LEN(f->tokens); i++) {
		const json_t *t = json_array_get(tokens, i);

		f->tokens[i] = json_is_integer(t) ? json_integer_value(t) : -1;
	}
}

static const char *state_word(enum ledger_state s)
{
	return s == LEDGER_DONE ? "done" : s == LEDGER_CANCELLED ? "cancelled" : "failed";
}

static int add_optional(const json_t *v, struct buf *out)
{
	char *text;
	int r;

	if (json_is_string(v))
		return json_string_length(v) ? buf_adds(out, json_string_value(v)) : -ENOENT;
	if (!json_array_size(v))
		return -ENOENT;
	text = json_dumps(v, JSON_COMPACT);
	r = text ? buf_adds(out, text) : -ENOMEM;
	free(text);
	return r == 0 ? buf_addc(out, '\n') : r;
}

static int render_request(struct render *r, bool nowait, struct buf *out)
{
	char *text = NULL;
	size_t n = 0;
	int k;

	if (r->row.state == LEDGER_DONE) {
		k = render_object(r, 0, nowait);
		return k < 0 ? k : object_request(&r->object, out);
	}
	k = ledger_request(r->b->o.ledger, r->row.id, &text, &n);
	if (k == 0)
		k = buf_add(out, text, n);
	free(text);
	return k;
}

static int render_whole(struct render *r, const struct broker_file_id *f, struct buf *out)
{
	struct response_facts facts;

	switch (f->file) {
	case BROKER_REQUEST:
		return r->row.has_key ? render_request(r, f->nowait, out) : -ENOENT;
	case BROKER_USAGE:
		if (r->row.state == LEDGER_REFUSED)
			return -ENOENT;
		render_facts(r, &facts);
		return response_usage_json(&facts, state_word(r->row.state), out);
	case BROKER_ERROR:
		return r->row.error ? buf_adds(out, r->row.error) : -ENOENT;
	default:
		return -ENOENT;
	}
}

/* response.json, with all samples */
static int render_response(struct render *r, bool nowait, struct buf *out)
{
	struct response_sample *samples = calloc(r->n + 1, sizeof(*samples));
	struct object *objects = calloc(r->n + 1, sizeof(*objects));
	struct response_facts facts;
	int k = samples && objects ? 0 : -ENOMEM;

	if (k == 0 && (r->row.state != LEDGER_DONE || !r->n))
		k = -ENOENT;
	for (unsigned i = 0; i < r->n && k == 0; i++) {
		k = load_object(r, i, nowait, &objects[i]);
		if (k == 0)
			samples[i] = sample_of(r, i, &objects[i]);
	}
	if (k == 0) {
		render_facts(r, &facts);
		k = response_json(&facts, samples, r->n, out);
	}
	for (unsigned i = 0; i < r->n && objects; i++)
		object_done(&objects[i]);
	free(objects);
	free(samples);
	return k;
}

static int render_sample(struct render *r, const struct broker_file_id *f, struct buf *out)
{
	int k;

	if (f->file == BROKER_RESPONSE)
		return render_response(r, f->nowait, out);
	k = render_object(r, f->sample, f->nowait);

	if (k < 0)
		return k;
	switch (f->file) {
	case BROKER_SAMPLE_RESPONSE:
		return response_sample_json(&r->sample, &r->object.key, out);
	case BROKER_SAMPLE_META:
		return response_meta_json(&r->sample, &r->object.key, out);
	case BROKER_SAMPLE_RAW:
		return buf_add(out, r->object.raw, r->object.raw_len);
	case BROKER_REASONING:
		return add_optional(json_object_get(r->object.sample, "reasoning"), out);
	case BROKER_TOOL_CALLS:
		return add_optional(json_object_get(r->object.sample, "tool_calls"), out);
	case BROKER_EMBEDDING_JSON:
		return vectors_json(r->object.sample, out);
	case BROKER_EMBEDDING_NPY:
		return vectors_npy(r->object.sample, out);
	default:
		if (json_object_get(r->object.sample, "embedding"))
			return -ENOENT;
		return response_text(r->object.sample, out);
	}
}

/* a request that is not in the ledger as final yet: what memory knows of it */
static int render_job(struct broker *b, const struct broker_file_id *f, struct buf *out)
{
	struct job *j;
	int r = -ENOENT;

	LOCK_SCOPE(&b->lock);
	j = job_by_id_locked(b, f->id);
	if (!j)
		return -ESRCH;
	if (j->bulk)
		return bulk_show_job_locked(j, f, out);
	if (f->file == BROKER_REQUEST)
		r = buf_add(out, j->body.canon, j->body.canon_len);
	else if (f->file == BROKER_ERROR && j->error)
		r = response_error_json(j->error,
					j->terms.request_id ? j->terms.request_id : j->path, out);
	else if (f->file == BROKER_USAGE && broker_is_final(j->state))
		r = buf_addf(out, "{\"status\":\"%s\"}\n",
			     j->state == BROKER_CANCELLED ? "cancelled" : "failed");
	return r;
}

int broker_render(struct broker *b, const struct broker_file_id *f, struct buf *out)
{
	struct render r = { .b = b };
	int k = render_job(b, f, out);

	if (k != -ESRCH)
		return k;
	if (f->file == BROKER_TEXT && f->sample == 0 && recent_text(b->recent, f->id, out) == 0)
		return 0;
	k = broker_hold_row(b, f->id, &r.row, &r.h, &r.n);
	if (k < 0)
		return k;
	if (bulk_is(r.row.suffix))
		k = bulk_show_row(&r.row, f, out);
	else if (f->file == BROKER_REQUEST || f->file == BROKER_USAGE || f->file == BROKER_ERROR)
		k = render_whole(&r, f, out);
	else
		k = render_sample(&r, f, out);
	render_done(&r);
	return k;
}

/* ---- extended attributes ---- */

static int xattr_facts(struct render *r, const char *name, struct buf *out)
{
	struct response_facts f;

	render_facts(r, &f);
	if (strcmp(name, "request_id") == 0)
		return buf_adds(out, f.request_id);
	if (strcmp(name, "route") == 0)
		return buf_adds(out, f.route);
	if (strcmp(name, "namespace") == 0)
		return f.ns ? buf_adds(out, f.ns) : -ENODATA;
	if (strcmp(name, "cost_usd") == 0)
		return f.cost_usd < 0 ? -ENODATA : buf_addf(out, "%.9g", f.cost_usd);
	if (strcmp(name, "input_tokens") == 0)
		return f.tokens[0] < 0 ? -ENODATA : buf_addf(out, "%lld", (long long)f.tokens[0]);
	if (strcmp(name, "output_tokens") == 0)
		return f.tokens[3] < 0 ? -ENODATA : buf_addf(out, "%lld", (long long)f.tokens[3]);
	if (strcmp(name, "cached") == 0 || strcmp(name, "duplicated") == 0) {
		bool cached = name[0] == 'c', all = r->n > 0;

		for (size_t i = 0; i < r->n; i++)
			all &= cached ? r->h[i].cached : r->h[i].duplicated;
		return buf_adds(out, all ? "true" : "false");
	}
	return -ENODATA;
}

static int xattr_sample(struct render *r, const char *name, struct buf *out)
{
	const json_t *v;

	if (render_object(r, 0, false) < 0)
		return -ENODATA;
	v = json_object_get(r->object.sample, name);
	return json_is_string(v) ? buf_adds(out, json_string_value(v)) : -ENODATA;
}

int broker_render_xattr(struct broker *b, int64_t id, const char *name, struct buf *out)
{
	struct render r = { .b = b };
	char hex[KEY_HEX + 1];
	int k = broker_hold_row(b, id, &r.row, &r.h, &r.n);

	if (k < 0)
		return -ENODATA;
	if (strcmp(name, "key") == 0) {
		key_hex(&r.row.key, hex);
		k = r.row.has_key ? buf_adds(out, hex) : -ENODATA;
	} else if (r.row.state != LEDGER_DONE) {
		k = strcmp(name, "request_id") == 0 || strcmp(name, "route") == 0
			    ? xattr_facts(&r, name, out)
			    : -ENODATA;
	} else if (strcmp(name, "model") == 0 || strcmp(name, "finish_reason") == 0) {
		k = xattr_sample(&r, name, out);
	} else {
		k = xattr_facts(&r, name, out);
	}
	render_done(&r);
	return k;
}
