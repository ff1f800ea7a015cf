/*
 * infer/backend.h - the contract of a provider: one file exports one const table
 *
 * The life of one call, all on the net thread but check and build:
 *   1. check     effective request -> can this backend express it? any thread, pure
 *   2. build     effective request -> path, headers, body; any thread, pure
 *   3. reply_new a fresh parser for one attempt
 *      event     each SSE or NDJSON event, or the whole plain body
 *      end       the body ended: was the end mark seen?
 *      reply_free
 *   4. error     a reply that is no success: what does it mean, may it be retried
 *
 * One call may bring several samples where the provider's API has a parameter for it: samples_max says how
 * many, build is told the number, and the choices of the reply are routed by their index, each to its own
 * answer. The number is no part of the effective request.
 *
 * What differs between servers of one dialect is data in `variant`.
 * Blocks: never. Errors: negative errno with a sentence.
 */
#ifndef INFER_BACKEND_H
#define INFER_BACKEND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/answer.h"

#define BACKEND_API	   1u
#define BACKEND_PATH_MAX   1536
#define BACKEND_NEXT_MAX   512
#define BACKEND_HEADER_MAX 256
/* of one call; the largest that any provider names */
#define BACKEND_SAMPLES_MAX 128

enum backend_dialect { BACKEND_OPENAI, BACKEND_VLLM, BACKEND_LLAMACPP };
enum backend_framing { BACKEND_SSE, BACKEND_NDJSON };

struct backend_type;

/* where and who: of one [backend NAME] section, with its type's defaults applied */
struct backend_endpoint {
	char *url;	/* base, without a slash at its end */
	char *key;	/* secret; NULL: none */
	char *key_from; /* variable the key came from; NULL: none, or from elsewhere */
	char *key_hint; /* how to give one: "set MISTRAL_API_KEY, or key_file in ..."; NULL: needs none */
	char **headers; /* "Name: value", NULL-terminated; NULL: none */
	char *proxy, *ca_file, *client_cert, *client_key, *unix_socket; /* NULL: none */
	char *identity; /* replaces url in the key; NULL */
	char *api_version;
	bool http2;	  /* auto */
	bool default_url; /* url is the type's default */
};

/* patience and limits */
struct backend_limits {
	unsigned concurrency; /* calls at once */
	double timeout_s;     /* whole request from the first sending, retries included */
	double connect_timeout_s, stall_timeout_s;
	unsigned retries;
	double backoff_ms, backoff_max_ms;
	unsigned rpm;		   /* requests that may begin in a minute; 0 no limit */
	uint64_t tpm;		   /* tokens in a minute, in and out; 0 no limit */
	unsigned breaker_failures; /* requests in a row that finally failed; 0 never */
	double breaker_seconds;
	unsigned models_ttl_s;
};

struct backend_config {
	char *name; /* of the section */
	const struct backend_type *type;
	enum backend_dialect dialect;
	struct backend_endpoint at;
	struct backend_limits limits;
	int64_t max_tokens; /* default where the provider requires one; 0 none */
	bool free_of_charge;
	char *provider; /* whose price list; NULL */
};

/* what a body is made from */
struct backend_ask {
	const json_t *effective;
	/* images - object, SHA-256 in hex -> base64 text of every image the messages name by sha256; NULL: they
	 * name none */
	const json_t *images;
	unsigned
		n; /* samples of this call, at most samples_max; 0 is 1, and 1 is not said in the body */
};

struct backend_body {
	char path[BACKEND_PATH_MAX]; /* below the base URL, "/chat/completions"; may have a query */
	char header[BACKEND_HEADER_MAX]; /* one more header line of this request; "" none */
	struct buf body;
	bool stream; /* the reply is expected as events */
};

/* what the first bytes past the delta mean to the caller */
struct backend_sink {
	/* text - more of the text of this choice; may be NULL */
	void (*text)(void *arg, unsigned choice, const char *p, size_t n);
	void *arg;
};

struct backend_failure {
	int status; /* HTTP status */
	const char *body;
	size_t len;
	double retry_after_s; /* from the headers; < 0 none */
	int should_retry;     /* x-should-retry: 1, 0; -1 none */
};

/* how fast an in-process answer is handed out */
struct backend_pace {
	double delay_ms;     /* before the first token, or before the failure */
	double tokens_per_s; /* 0: all at once */
};

/* an in-process backend computes the whole answer at once; the front (local.c) paces it on loop timers */
struct backend_local {
	/* answer - fill a from the effective request; index: of the sample. 0, or -errno with e: the request
	 * fails so after the delay, and is not retried. out is set in both cases */
	int (*answer)(const struct backend_config *c, const json_t *effective, uint32_t index,
		      struct answer *a, struct backend_pace *out, struct err *e);
	/* token - length of the first token of n > 0 bytes of text */
	size_t (*token)(const char *text, size_t n);
};

/* a server that keeps models on its own machine: paths below the base URL. POST pull {"model"} answers lines
 * {"status","completed","total"} or {"error"}; DELETE remove {"model"}; GET loaded {"models":[..]} */
struct backend_manage {
	const char *pull, *remove, *loaded;
};

/* what the list does not tell: POST path {"model"} is asked of one model, when somebody looks at it */
struct backend_detail {
	const char *path;
	/* read - set members of the model's card, as backend_models.read names them, and "defaults" (object: what the
	 * model is asked with where a request says nothing); what is not told is not set */
	void (*read)(const json_t *answer, json_t *card);
};

/* the model list */
struct backend_models {
	const char *path; /* below the base URL; NULL: there is no list */
	/* read - one page: append {"id", ...} of each model to out, with of these what the page tells:
	 * "context_tokens", "max_output_tokens", "created", "owned_by", "capabilities" (list of words: chat,
	 * completion, fim, embedding, tools, images, reasoning, batch), "size_bytes", "quantization",
	 * "parameters", "family", "deprecated". next: what to append to path, with its ? or &, for the next
	 * page, "" when this is the last. 0 or negative errno with e */
	int (*read)(const struct backend_config *c, const json_t *page, json_t *out,
		    char next[BACKEND_NEXT_MAX], struct err *e);
	/* header - one more header line that the list needs; NULL: none */
	void (*header)(const struct backend_config *c, char out[BACKEND_HEADER_MAX]);
	const struct backend_manage *manage; /* its own machine keeps models; NULL: it does not */
	const struct backend_detail *detail; /* NULL: the list is all there is */
};

/* what a provider's API counts; any thread, pure */
struct backend_numbers {
	/* samples_max - how many samples one call for this may bring, 1 to BACKEND_SAMPLES_MAX.
	 * NULL: 1. 1 too when extra_body sets the number itself: the other choices are then let go.
	 * With a `seed` the choices of one call still differ (vLLM and llama.cpp add the choice's index to it), but
	 * a second call with the same seed brings the same ones again */
	unsigned (*samples_max)(const struct backend_config *c, const json_t *effective);
	/* default_max_tokens - where the provider requires max_tokens; NULL or 0: none is needed */
	int64_t (*default_max_tokens)(const char *model);
};

struct backend_type {
	size_t size;
	unsigned api;
	const char *name;
	const char *url;	    /* default base URL; NULL: in-process or must be set */
	const char *const *key_env; /* variables in order, NULL-terminated; NULL: none */
	const char *const *url_env;
	bool names_with_slash; /* model names may have slashes or be bare: "Qwen/Qwen3-0.6B" */
	bool free_by_default;
	enum backend_framing framing;

	/* check - drop or refuse what it cannot express: with lossy, removed from effective and its name
	 * appended to dropped; else ERR_UNSUPPORTED naming backend and field. effective is the caller's. */
	int (*check)(const struct backend_config *c, json_t *effective, json_t *dropped, bool lossy,
		     struct err *e);
	/* build - the body of one call */
	int (*build)(const struct backend_config *c, const struct backend_ask *ask,
		     struct backend_body *out, struct err *e);
	/* reply_new - fills a[0] to a[n - 1], by the choices' indices, as events come; s may be NULL; NULL: out of
	 * memory. After the end an answer without a finish reason is a choice that did not come; what the whole
	 * call used is in a[0] then, whether that one came or not */
	void *(*reply_new)(const struct backend_config *c, struct answer *const *a, unsigned n,
			   const struct backend_sink *s);
	/* event - name "" or the SSE event's name; whole: a plain JSON body instead of events.
	 * 1: the end mark was seen, 0: go on, negative: failed with e; of these ERR_PROVIDER, ERR_RATE_LIMIT and
	 * ERR_TIMEOUT are tried once more. An answer whose finish_reason is "error" is failed by the front; one of
	 * several is missing then */
	int (*event)(void *reply, const char *name, const char *data, size_t len, bool whole,
		     struct err *e);
	/* end - the body ended before an end mark was returned: 0 that is an end here, else -errno */
	int (*end)(void *reply, struct err *e);
	void (*reply_free)(void *reply);
	/* error - fill e from a reply with an error status; true: may be retried. e->retry_after_s: the wait
	 * the headers or the body ask for; 0 none */
	bool (*error)(const struct backend_config *c, const struct backend_failure *f,
		      struct err *e);
	/* auth - the header line that carries the key; NULL: "Authorization: Bearer KEY" */
	int (*auth)(const struct backend_endpoint *at, struct buf *out);
	struct backend_numbers numbers;
	struct backend_models models;
	/* local - instead of HTTP (echo); NULL for all others: then build to error are
	 * there; auth and what is in models and numbers may be NULL always */
	const struct backend_local *local;
};

#endif
