/*
 * infer/batch_api.c - which backend has batches, and what several providers' APIs have in common
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/canon.h"
#include "infer/batch_api.h"
#include "infer/content.h"
#include "infer/failure.h"

#include "base/banned.h"

/* No raw CR can be in a file of JSON lines, so what follows one ends nothing there by chance. */
#define BOUNDARY "inferfs-batch-file"

enum { CLOCKS_APART_S = 3600 };

const struct batch_api *batch_api_of(const struct backend_config *c)
{
	static const struct {
		const char *type;
		const struct batch_api *api;
	} types[] = { { "openai", &batch_openai },
		      { "mistral", &batch_mistral },
		      { "gemini", &batch_gemini },
		      { "anthropic", &batch_anthropic } };

	if (c->dialect != BACKEND_OPENAI) /* its imitators have none */
		return NULL;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].type, c->type->name) == 0)
			return types[i].api;
	return NULL;
}

enum batch_state batch_api_state(const struct batch_word *list, const json_t *word,
				 enum batch_state otherwise)
{
	const char *theirs = json_string_value(word);

	for (; theirs && list->theirs; list++)
		if (strcmp(list->theirs, theirs) == 0)
			return list->ours;
	return otherwise;
}

/* It goes into paths and into records: visible ASCII only. */
bool batch_api_id(char dst[BATCH_NAME_MAX], const json_t *id)
{
	const char *text = json_string_value(id);
	size_t n = text ? strlen(text) : 0;

	if (!n || n >= BATCH_NAME_MAX || n != json_string_length(id))
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] > 0x7e)
			return false;
	return str_copy(dst, BATCH_NAME_MAX, text);
}

void batch_api_take(char dst[BATCH_NAME_MAX], const json_t *o, const char *name)
{
	if (!batch_api_id(dst, json_object_get(o, name)))
		dst[0] = '\0';
}

int64_t batch_api_count(const json_t *v)
{
	uint64_t n;

	if (json_is_integer(v) && json_integer_value(v) >= 0)
		return json_integer_value(v);
	if (json_is_string(v) && str_parse_u64(json_string_value(v), &n) == 0 && n <= INT64_MAX)
		return (int64_t)n;
	return -1;
}

enum batch_next batch_api_protocol(const struct batch_walk *w, const char *what, struct err *e)
{
	(void)err_set(e, ERR_PROTOCOL, "%s answered without %s: is `url` the address of an API?",
		      w->config->name, what);
	return BATCH_NEXT_FAILED;
}

void batch_api_path(struct batch_ask *out, const char *before, const char *id, const char *after)
{
	struct buf path = BUF_INIT(sizeof(out->path) - 1);

	(void)buf_adds(&path, before); /* path.failed tells */
	content_escape(&path, id);
	(void)buf_adds(&path, after);
	if (path.failed)
		out->text.failed = path.failed;
	else
		(void)str_copy(out->path, sizeof(out->path), buf_str(&path)); /* fits */
	buf_done(&path);
}

void batch_api_header(struct batch_ask *out, const char *line)
{
	size_t i = 0;

	while (i + 1 < BATCH_ASK_HEADERS && out->header[i][0])
		i++;
	(void)str_copy(out->header[i], sizeof(out->header[i]), line); /* fits */
}

/* libcurl would name a form's type where none is said. */
void batch_api_nothing(struct batch_ask *out)
{
	out->method = "POST";
	out->body = BATCH_BODY_TEXT;
	batch_api_header(out, "Content-Type:");
}

void batch_api_why(struct batch_result *r, const json_t *message)
{
	if (json_is_string(message))
		failure_text(r->why, sizeof(r->why), json_string_value(message),
			     json_string_length(message));
}

int64_t batch_api_since(const struct batch_walk *w)
{
	return (int64_t)(w->result->job.begun_real_ns / 1000000000u) - CLOCKS_APART_S;
}

/* An id is visible ASCII, so each can have a space after it. */
void batch_api_found_add(struct batch_walk *w, const char *id)
{
	size_t at = strlen(w->found), n = strlen(id);

	if (!n || at + n + 2 > sizeof(w->found))
		return;
	memcpy(w->found + at, id, n);
	memcpy(w->found + at + n, " ", 2);
}

bool batch_api_found_first(const struct batch_walk *w, char out[BATCH_NAME_MAX])
{
	size_t n = strcspn(w->found, " ");

	if (!n || n >= BATCH_NAME_MAX)
		return false;
	memcpy(out, w->found, n);
	out[n] = '\0';
	return true;
}

void batch_api_found_drop(struct batch_walk *w)
{
	size_t n = strcspn(w->found, " ");

	if (w->found[n])
		memmove(w->found, w->found + n + 1, strlen(w->found + n));
}

void batch_api_json(struct batch_ask *out, json_t *take_body)
{
	if (!take_body || canon_write(take_body, &out->text))
		out->text.failed = out->text.failed ? out->text.failed : -ENOMEM;
	json_decref(take_body);
	out->body = BATCH_BODY_TEXT;
	batch_api_header(out, "Content-Type: application/json");
}

void batch_api_form(const struct batch_walk *w, const char *const *fields, struct batch_ask *out)
{
	for (; fields[0]; fields += 2)
		(void)buf_addf(&out->text,
			       "--" BOUNDARY
			       "\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n"
			       "%s\r\n",
			       fields[0], fields[1]);
	(void)buf_addf(&out->text,
		       "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"file\"; "
		       "filename=\"%s.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n",
		       w->result->job.tag);
	(void)buf_adds(&out->tail, "\r\n--" BOUNDARY "--\r\n"); /* failed tells */
	out->body = BATCH_BODY_FILE;
	batch_api_header(out, "Content-Type: multipart/form-data; boundary=" BOUNDARY);
}

static enum batch_line_kind kind_of(const json_t *error)
{
	const char *code = json_string_value(json_object_get(error, "code"));

	if (code && strcmp(code, "batch_expired") == 0)
		return BATCH_LINE_EXPIRED;
	return code && strcmp(code, "batch_cancelled") == 0 ? BATCH_LINE_CANCELLED
							    : BATCH_LINE_ERROR;
}

static bool is_error(const json_t *error)
{
	return json_is_object(error) || json_string_length(error) > 0;
}

/* A status of an error inside counts more than the absence of an `error` beside it. */
int batch_api_read(json_t *line, struct batch_found *out)
{
	json_t *response = json_object_get(line, "response");
	json_t *error = json_object_get(line, "error");
	json_t *body = json_object_get(response, "body");
	int64_t status = batch_api_count(json_object_get(response, "status_code"));

	*out = (struct batch_found){ .custom_id = json_string_value(
					     json_object_get(line, "custom_id")) };
	if (!out->custom_id || (!json_is_object(response) && !json_object_get(line, "error")))
		return -EBADMSG;
	if (status >= 400 && status <= 599)
		out->status = (int)status;
	if (json_is_object(body) && !out->status && !is_error(error)) {
		out->body = body;
		return 0;
	}
	out->kind = kind_of(error);
	out->error = is_error(error) ? error : body;
	return 0;
}
