/*
 * infer/batch_reader.c - the lines that a batch brought back
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "core/canon.h"
#include "infer/batch_api.h"
#include "infer/failure.h"

#include "base/banned.h"

struct batch_reader {
	const struct backend_config *config;
	const struct batch_api *api;
	char tag[BATCH_TAG_MAX], model[BATCH_NAME_MAX];
	uint64_t requests;
	uint8_t *seen; /* a bit for each request */
};

struct batch_reader *batch_reader_new(const struct backend_config *c, const struct batch_job *job)
{
	const struct batch_api *api = batch_api_of(c);
	struct batch_reader *r = api ? calloc(1, sizeof(*r)) : NULL;

	if (!r)
		return NULL;
	r->config = c;
	r->api = api;
	r->requests = job->requests;
	(void)str_copy(r->tag, sizeof(r->tag), job->tag);	      /* same size */
	(void)str_copy(r->model, sizeof(r->model), job->group.model); /* same size */
	r->seen = job->requests < SIZE_MAX / 2 ? calloc((size_t)(job->requests / 8 + 1), 1) : NULL;
	return r->seen ? r : batch_reader_free(r);
}

struct batch_reader *batch_reader_free(struct batch_reader *r)
{
	if (r)
		free(r->seen);
	free(r);
	return NULL;
}

static bool is_seen(const struct batch_reader *r, uint64_t index)
{
	return r->seen[index / 8] & (1u << index % 8);
}

uint64_t batch_reader_missing(const struct batch_reader *r, uint64_t from)
{
	while (from < r->requests && is_seen(r, from))
		from++;
	return from < r->requests ? from : r->requests;
}

/* TAG-INDEX, as batch_draft_line wrote it */
static bool index_of(const struct batch_reader *r, const char *custom_id, uint64_t *out)
{
	size_t n = strlen(r->tag);
	const char *digits = custom_id + n + 1;
	uint64_t index;

	if (strncmp(custom_id, r->tag, n) != 0 || custom_id[n] != '-')
		return false;
	if (digits[0] < '0' || digits[0] > '9' || (digits[0] == '0' && digits[1]))
		return false;
	if (str_parse_u64(digits, &index) || index >= r->requests)
		return false;
	*out = index;
	return true;
}

/* ---- what a line brought ---- */

static int parse(const struct batch_reader *r, const char *text, size_t n, struct answer *a,
		 struct err *e)
{
	const struct backend_type *type = r->config->type;
	void *reply = type->reply_new(r->config, &a, 1, NULL);
	int rc;

	if (!reply)
		return err_set(e, ERR_INTERNAL, "out of memory");
	rc = type->event(reply, "", text, n, true, e);
	type->reply_free(reply);
	if (rc < 0)
		return rc;
	if (rc != 1)
		return err_set(e, ERR_PROTOCOL, "%s: the answer in a batch is not whole",
			       r->config->name);
	if (!a->finish_reason)
		return err_set(e, ERR_PROTOCOL, "%s: there is no answer in a result of the batch",
			       r->config->name);
	if (strcmp(a->finish_reason, "error") == 0)
		return err_set(e, ERR_PROVIDER,
			       "%s ended its answer with the finish reason \"error\"%s%s%s",
			       r->config->name, a->refusal ? " (" : "",
			       a->refusal ? a->refusal : "", a->refusal ? ")" : "");
	if (!a->model && r->model[0])
		a->model = strdup(r->model); /* without memory it stays unknown */
	return 0;
}

/* An answer that cannot be understood is that line's failure. */
static int take_body(const struct batch_reader *r, const json_t *body, struct batch_line *out)
{
	struct answer *a = answer_new();

	if (!a || canon_write_ordered(body, &a->raw)) {
		answer_free(a);
		return -ENOMEM;
	}
	if (parse(r, a->raw.data, a->raw.len, a, &out->err) == 0) {
		out->take_answer = a;
		return 0;
	}
	answer_free(a);
	if (out->err.kind == ERR_INTERNAL)
		return -ENOMEM;
	out->kind = BATCH_LINE_ERROR;
	out->retryable = out->err.kind == ERR_PROVIDER || out->err.kind == ERR_PROTOCOL;
	return 0;
}

static bool may_pass(enum err_kind kind)
{
	return kind == ERR_PROVIDER || kind == ERR_RATE_LIMIT || kind == ERR_TIMEOUT;
}

static void take_error(const struct batch_reader *r, const struct batch_found *f,
		       struct batch_line *out)
{
	AUTO_FREE char *text = f->error ? json_dumps(f->error, JSON_COMPACT | JSON_ENCODE_ANY)
					: NULL;
	const struct backend_failure failure = { .status = f->status,
						 .body = text ? text : "",
						 .len = text ? strlen(text) : 0,
						 .retry_after_s = -1,
						 .should_retry = -1 };
	struct err e;

	if (f->status) {
		out->retryable = r->config->type->error(r->config, &failure, &out->err);
	} else {
		(void)failure_event(r->config, f->error, &e);
		(void)err_set(&out->err, e.kind, "%s failed this request of the batch: %s",
			      r->config->name,
			      e.provider_message[0] ? e.provider_message : "no explanation");
		(void)str_copy(out->err.provider_type, sizeof(e.provider_type), e.provider_type);
		(void)str_copy(out->err.provider_message, sizeof(e.provider_message),
			       e.provider_message);
		out->retryable = may_pass(e.kind);
	}
}

static int take(const struct batch_reader *r, const struct batch_found *f, struct batch_line *out)
{
	const char *name = r->config->name;

	out->kind = f->kind;
	out->retryable = true;
	if (f->kind == BATCH_LINE_EXPIRED)
		(void)err_set(&out->err, ERR_TIMEOUT,
			      "%s did not come to this request before the batch's time was over",
			      name);
	else if (f->kind == BATCH_LINE_CANCELLED)
		(void)err_set(&out->err, ERR_CANCELLED,
			      "the batch at %s was cancelled before this request was run", name);
	else if (f->kind == BATCH_LINE_ERROR)
		take_error(r, f, out);
	else
		return take_body(r, f->body, out);
	return 0;
}

static int identify(const struct batch_reader *r, const struct batch_found *f, uint64_t *out,
		    struct err *e)
{
	char shown[BATCH_CUSTOM_MAX];

	if (index_of(r, f->custom_id, out)) {
		if (!is_seen(r, *out))
			return 0;
		(void)err_set(e, ERR_PROTOCOL, "%s gave two results for %s", r->config->name,
			      f->custom_id);
		return -EEXIST;
	}
	failure_text(shown, sizeof(shown), f->custom_id, strlen(f->custom_id));
	(void)err_set(e, ERR_PROTOCOL, "%s gave a result for `%s`, which is none of this batch",
		      r->config->name, shown);
	return -ENOENT;
}

int batch_reader_line(struct batch_reader *r, const char *text, size_t n, struct batch_line *out,
		      struct err *e)
{
	json_t *line = json_loadb(text, n, JSON_ALLOW_NUL, NULL);
	struct batch_line result = { .kind = BATCH_LINE_ERROR };
	struct batch_found found = { .kind = BATCH_LINE_ERROR };
	int rc = -EBADMSG;

	if (json_is_object(line))
		rc = r->api->read(line, &found);
	if (rc)
		(void)err_set(e, ERR_PROTOCOL, "%s gave a line that is no result of a batch",
			      r->config->name);
	else
		rc = identify(r, &found, &result.index, e);
	if (!rc) {
		rc = take(r, &found, &result);
		if (rc)
			(void)err_set(e, ERR_INTERNAL, "no memory for a result of %s",
				      r->config->name);
	}
	json_decref(line);
	if (rc)
		return rc;
	r->seen[result.index / 8] |= (uint8_t)(1u << result.index % 8);
	(void)str_copy(result.err.backend, sizeof(result.err.backend), r->config->name);
	*out = result;
	return 0;
}
