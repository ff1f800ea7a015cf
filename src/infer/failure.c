/*
 * infer/failure.c - what an error reply means
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strcasestr */
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/str.h"
#include "infer/failure.h"

#include "base/banned.h"

enum { BODY_LOOKED_AT = 64 << 10, MESSAGE_MAX = 320 };

/* what a body says of itself; "" where it says nothing */
struct facts {
	char message[MESSAGE_MAX];
	char type[ERR_NAME_MAX];
	char code[ERR_NAME_MAX];
	int status;			     /* code as a number 400..599; 0 none */
	const struct failure_advice *advice; /* the provider's own; NULL none */
	double retry_after_s;		     /* asked for in the body; 0 none */
	bool limits;			     /* it lists the limits that were passed */
	bool daily;			     /* one of them is of the day */
};

/* ---- text from elsewhere ---- */

static size_t clean(char *dst, size_t cap, const char *src, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n && out + 1 < cap;) {
		int len = str_utf8_next(src + i, n - i, NULL);
		bool space = len == 1 && ((unsigned char)src[i] <= 0x20 || src[i] == 0x7f);

		if (len <= 0) {
			dst[out++] = '?';
			i++;
			continue;
		}
		if (out + (size_t)len >= cap)
			break;
		if (space) {
			if (out && dst[out - 1] != ' ')
				dst[out++] = ' ';
		} else {
			memcpy(dst + out, src + i, (size_t)len);
			out += (size_t)len;
		}
		i += (size_t)len;
	}
	while (out && dst[out - 1] == ' ')
		out--;
	dst[out] = '\0';
	return out;
}

/* Masked before it is cut: a cut in the middle of a key would leave its beginning readable. */
void failure_text(char *dst, size_t cap, const char *src, size_t n)
{
	size_t room = n < BODY_LOOKED_AT ? n : BODY_LOOKED_AT;
	AUTO_FREE char *whole = malloc(room + 1);

	dst[0] = '\0';
	if (!whole)
		return; /* the sentence goes without it */
	(void)clean(whole, room + 1, src, room);
	log_mask(whole);
	(void)clean(dst, cap, whole, strlen(whole));
}

static void take_text(char *dst, size_t cap, const json_t *v)
{
	if (json_is_string(v) && json_string_length(v) && !dst[0])
		failure_text(dst, cap, json_string_value(v), json_string_length(v));
}

static void take_status(struct facts *f, const json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (n >= 400 && n < 600)
		f->status = (int)n;
}

/* vLLM and llama.cpp put the HTTP status there as a number, OpenAI and Mistral a word. */
static void take_code(struct facts *f, const json_t *v)
{
	if (json_is_integer(v)) {
		(void)snprintf(f->code, sizeof(f->code), "%" JSON_INTEGER_FORMAT,
			       json_integer_value(v));
		take_status(f, v);
	} else {
		take_text(f->code, sizeof(f->code), v);
	}
}

/* [{"loc":["body","messages"],"msg":"Field required","type":"missing"}] */
static void take_detail(struct facts *f, const json_t *detail)
{
	const json_t *first = json_array_get(detail, 0), *loc = json_object_get(first, "loc"), *at;
	const char *msg = json_string_value(json_object_get(first, "msg"));
	AUTO_BUF struct buf text = BUF_INIT(4096);
	size_t i;

	take_text(f->message, sizeof(f->message), detail);
	if (!json_is_object(first) || f->message[0])
		return;
	json_array_foreach(loc, i, at) {
		if (json_is_string(at))
			(void)buf_addf(&text, "%s%s", text.len ? "." : "", json_string_value(at));
	}
	(void)buf_addf(&text, "%s%s", text.len ? ": " : "", msg ? msg : "refused");
	failure_text(f->message, sizeof(f->message), buf_str(&text), text.len);
	take_text(f->type, sizeof(f->type), json_object_get(first, "type"));
}

/* Google's list: {"reason"}, {"retryDelay": "55s"}, {"violations": [{"quotaId"}]} */
static void take_google(struct facts *f, const json_t *item)
{
	const json_t *reason = json_object_get(item, "reason"), *violation;
	const char *delay = json_string_value(json_object_get(item, "retryDelay")), *id;
	size_t i;

	if (json_string_length(reason)) {
		f->code[0] = '\0'; /* a number, which the status says as well */
		take_text(f->code, sizeof(f->code), reason);
	}
	if (delay && strtod(delay, NULL) > 0 && strtod(delay, NULL) < 1e9)
		f->retry_after_s = strtod(delay, NULL);
	json_array_foreach(json_object_get(item, "violations"), i, violation) {
		id = json_string_value(json_object_get(violation, "quotaId"));
		f->limits = f->limits || id;
		f->daily = f->daily || (id && strcasestr(id, "PerDay"));
	}
}

/* A list at Google, an object with a code at Anthropic. */
static void take_details(struct facts *f, const json_t *details)
{
	const json_t *item;
	size_t i;

	take_text(f->code, sizeof(f->code), json_object_get(details, "error_code"));
	json_array_foreach(details, i, item) {
		take_google(f, item);
	}
}

static void take_object(struct facts *f, const json_t *o)
{
	const json_t *message = json_object_get(o, "message");

	take_text(f->message, sizeof(f->message), message);
	take_detail(f, json_object_get(message, "detail"));
	take_detail(f, json_object_get(o, "detail"));
	take_text(f->type, sizeof(f->type), json_object_get(o, "type"));
	take_text(f->type, sizeof(f->type), json_object_get(o, "status"));
	take_code(f, json_object_get(o, "code"));
	if (!f->status)
		take_status(f, json_object_get(o, "raw_status_code"));
	take_details(f, json_object_get(o, "details"));
}

static void read_object(struct facts *f, const json_t *o)
{
	const json_t *error = json_object_get(o, "error");

	if (json_is_object(error))
		take_object(f, error);
	else
		take_text(f->message, sizeof(f->message), error);
	take_object(f, o);
}

static const char *skip_blank(const char *p, const char *end)
{
	while (p < end && strchr(" \t\r\n", *p) && *p)
		p++;
	return p;
}

/* Proxies answer in HTML or not at all, or put a list around an error; what begins like JSON is parsed. */
static void read_body(struct facts *f, const char *body, size_t len)
{
	const char *p = body ? skip_blank(body, body + len) : NULL;
	json_t *o = NULL;
	const json_t *first;

	memset(f, 0, sizeof(*f));
	if (!body || p == body + len)
		return;
	if (*p == '{' || *p == '[')
		o = json_loadb(body, len, JSON_ALLOW_NUL, NULL);
	first = json_is_array(o) ? json_array_get(o, 0) : o;
	if (json_is_object(first))
		read_object(f, first);
	else if (*p == '<')
		(void)str_copy(f->message, sizeof(f->message), "a web page instead of JSON");
	else
		failure_text(f->message, sizeof(f->message), body, len);
	json_decref(o);
}

/* ---- what it means ---- */

static bool has_any(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcasestr(text, *words))
			return true;
	return false;
}

/* Few providers have a code for it, so the usual words are looked for as well. */
static bool says_context(const struct facts *f)
{
	static const char *const names[] = { "context_length_exceeded", "exceed_context_size",
					     "context_window_exceeded", "prompt_too_long", NULL };
	static const char *const words[] = { "maximum context length",
					     "context size",
					     "context window",
					     "context length exceeded",
					     "exceeds the context",
					     "longer than the context",
					     "exceed context limit",
					     "prompt is too long",
					     "prompt too long",
					     "input length exceeds",
					     "too large for model with",
					     "maximum prompt length",
					     NULL };

	return has_any(f->code, names) || has_any(f->type, names) || has_any(f->message, words);
}

static bool says_key(const struct facts *f)
{
	static const char *const names[] = { "invalid_api_key", "authentication_error",
					     "api_key_invalid", NULL };
	static const char *const key[] = { "api key", "api-key", "apikey", "api_key", NULL };
	static const char *const bad[] = { "invalid", "incorrect", "not valid", "expired",
					   "revoked", "missing",   "wrong",	NULL };

	return has_any(f->code, names) || has_any(f->type, names) ||
	       (has_any(f->message, key) && has_any(f->message, bad));
}

/* A 400 at Mistral, a 403 at OpenAI when the account may not use it, mostly a 404. */
static bool says_model(const struct facts *f)
{
	static const char *const names[] = { "model_not_found", "invalid_model", NULL };

	return has_any(f->code, names) || has_any(f->type, names);
}

/* An empty account is a 400 at some providers. */
static bool says_money(const struct facts *f)
{
	static const char *const words[] = { "credit balance", "spend limit", "spending limit",
					     "out of credits", NULL };

	return has_any(f->code, (const char *const[]){ "spend_limit", "billing",
						       "insufficient_quota", NULL }) ||
	       has_any(f->message, words);
}

/* Money and daily limits do not come back within a retry. Google has one sentence for all limits, and
 * tells them apart in its list. */
static bool says_quota(const struct facts *f)
{
	static const char *const names[] = { "insufficient_quota", "billing", "quota_exceeded",
					     "spend_limit", NULL };
	static const char *const words[] = { "exceeded your current quota",
					     "insufficient quota",
					     "spend limit",
					     "spending limit",
					     "spending cap",
					     "credit balance",
					     "out of credits",
					     "daily quota",
					     "daily limit",
					     "per day",
					     NULL };

	if (f->limits || f->retry_after_s > 0)
		return f->daily;
	return has_any(f->code, names) || has_any(f->type, names) || has_any(f->message, words);
}

static enum err_kind kind_of(int status, const struct facts *f)
{
	switch (status) {
	case 400:
	case 422:
		return says_key(f)	 ? ERR_KEY_REJECTED
		       : says_context(f) ? ERR_CONTEXT
		       : says_model(f)	 ? ERR_NOT_FOUND
		       : says_money(f)	 ? ERR_QUOTA
					 : ERR_REQUEST;
	case 401:
	case 403:
		return ERR_KEY_REJECTED;
	case 402:
		return ERR_QUOTA;
	case 404:
		return ERR_NOT_FOUND;
	case 408:
		return ERR_TIMEOUT;
	case 409:
	case 425:
		return ERR_PROVIDER;
	case 413:
		return ERR_CONTEXT;
	case 429:
		return says_quota(f) ? ERR_QUOTA : ERR_RATE_LIMIT;
	default:
		return status >= 500 ? ERR_PROVIDER : status >= 400 ? ERR_REQUEST : ERR_PROTOCOL;
	}
}

/* The server's own wish beats the table, but not the account's balance. */
static bool may_retry(int status, enum err_kind kind, int wish)
{
	if (kind == ERR_QUOTA || kind == ERR_PROTOCOL)
		return false;
	if (wish >= 0)
		return wish == 1;
	return status == 408 || status == 409 || status == 425 || status == 429 || status >= 500;
}

static const char *advice(const struct backend_config *c, enum err_kind kind, int status)
{
	switch (kind) {
	case ERR_KEY_REJECTED:
		return c->at.key_hint ? c->at.key_hint : "check the key of this backend";
	case ERR_NOT_FOUND:
		return "check the model's name and the backend's url";
	case ERR_CONTEXT:
		return "shorten the request, or choose a model with a longer context";
	case ERR_QUOTA:
		return "check the account's balance and limits at the provider";
	case ERR_RATE_LIMIT:
		return "wait, or lower `concurrency` of this backend";
	case ERR_PROVIDER:
		return "the provider's side failed; try again later";
	case ERR_TIMEOUT:
		return "the server gave up waiting; try again later";
	case ERR_PROTOCOL:
		return status < 400 ? "redirects are not followed: set `url` to the final address"
				    : "is `url` the address of an API?";
	default:
		return "correct the request";
	}
}

static const char *advice_of(const struct backend_config *c, const struct facts *f,
			     enum err_kind kind, int status)
{
	for (const struct failure_advice *a = f->advice; a && a->text; a++)
		if (a->kind == kind)
			return a->text;
	return advice(c, kind, status);
}

static void fill(const struct backend_config *c, const struct facts *f, enum err_kind kind,
		 int status, struct err *e)
{
	const char *what = f->message[0] ? f->message : "no explanation";
	size_t len = strlen(what);
	const char *stop = len && strchr(".!?", what[len - 1]) ? "" : ".";

	if (status)
		(void)err_set(e, kind, "%s answered %d: %s%s (%s)", c->name, status, what, stop,
			      advice_of(c, f, kind, status));
	else
		(void)err_set(e, kind, "%s broke its answer off: %s%s (%s)", c->name, what, stop,
			      advice_of(c, f, kind, 500));
	if (!e)
		return;
	e->http_status = status;
	(void)str_copy(e->backend, sizeof(e->backend),
		       c->name); /* these three are cut when too long */
	(void)str_copy(e->provider_type, sizeof(e->provider_type), f->type[0] ? f->type : f->code);
	(void)str_copy(e->provider_message, sizeof(e->provider_message), f->message);
}

/* A spend limit that says when to come again is one that will be lifted. */
static bool lifted_later(const struct facts *f, double retry_after_s)
{
	return retry_after_s > 0 && strcasestr(f->code, "spend_limit");
}

bool failure_reply_advised(const struct backend_config *c, const struct backend_failure *f,
			   const struct failure_advice *list, struct err *e)
{
	struct facts facts;
	enum err_kind kind;

	read_body(&facts, f->body, f->len < BODY_LOOKED_AT ? f->len : BODY_LOOKED_AT);
	facts.advice = list;
	kind = kind_of(f->status, &facts);
	if (f->status == 429 && kind == ERR_QUOTA && lifted_later(&facts, f->retry_after_s))
		kind = ERR_RATE_LIMIT;
	fill(c, &facts, kind, f->status, e);
	if (e)
		e->retry_after_s = f->retry_after_s > 0 ? f->retry_after_s : facts.retry_after_s;
	return may_retry(f->status, kind, f->should_retry);
}

bool failure_reply(const struct backend_config *c, const struct backend_failure *f, struct err *e)
{
	return failure_reply_advised(c, f, NULL, e);
}

/* Inside an answer there is no status to go by but what the words stand for elsewhere. */
static int status_of(const struct facts *f)
{
	static const struct {
		const char *word;
		int status;
	} words[] = { { "rate_limit", 429 },	    { "authentication_error", 401 },
		      { "permission_error", 403 },  { "not_found_error", 404 },
		      { "request_too_large", 413 }, { "billing_error", 402 },
		      { "timeout_error", 408 },	    { "overloaded_error", 529 },
		      { "invalid_request", 400 } };

	if (f->status)
		return f->status;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasestr(f->code, words[i].word) || strcasestr(f->type, words[i].word))
			return words[i].status;
	return 0;
}

int failure_event(const struct backend_config *c, const json_t *object, struct err *e)
{
	enum err_kind kind = ERR_PROVIDER;
	struct facts f;
	int status;

	memset(&f, 0, sizeof(f));
	read_object(&f, object);
	status = status_of(&f);
	if (status)
		kind = kind_of(status, &f);
	else if (says_quota(&f))
		kind = ERR_QUOTA;
	else if (says_key(&f))
		kind = ERR_KEY_REJECTED;
	else if (says_context(&f))
		kind = ERR_CONTEXT;
	else if (says_model(&f))
		kind = ERR_NOT_FOUND;
	fill(c, &f, kind, 0, e);
	if (e)
		e->retry_after_s = f.retry_after_s;
	return -err_errno(kind);
}

int failure_cut(const struct backend_config *c, bool began, struct err *e)
{
	return err_set(e, ERR_PROVIDER, "%s ended the connection before the end of its answer%s",
		       c->name, began ? "" : " and had given nothing of it");
}
