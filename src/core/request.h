/*
 * request.h - what a user wrote, checked, and what of it reaches a provider
 *
 *   1. request_parse      text + defaults -> struct request; every field's name, type and range is
 *                         checked here, and only here
 *      request_image_set  the bytes of every image that was named by path
 *   2. request_effective  + the chosen backend and model -> the effective request: one JSON object
 *                         with every member that can change the answer; its canonical form is
 *                         request.json and its SHA-256 the key
 *   3. request_free
 *
 * Backends read only the effective request, so what is sent is what was hashed.
 * Threads: one owner. Blocks: never. Source: the request format page.
 */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/key.h"

#define REQUEST_IMAGES	  1000	      /* in one request */
#define REQUEST_IMAGE_MAX (32u << 20) /* bytes of one */
#define REQUEST_IMAGE_SUM (40u << 20) /* of all together: as base64 they fit into what is sent */

enum request_form {
	REQUEST_JSON, /* .json, or ask text that begins with { */
	REQUEST_TEXT  /* .txt, .md: the text is the prompt, less one final LF or CRLF */
};

enum request_cache {
	REQUEST_CACHE_USE,
	REQUEST_CACHE_BYPASS,
	REQUEST_CACHE_REFRESH,
	REQUEST_CACHE_ONLY
};

enum request_endpoint {
	REQUEST_CHAT,
	REQUEST_COMPLETION,
	REQUEST_FIM,
	REQUEST_EMBEDDING,
	REQUEST_RESPONSES
};

/* one image whose bytes a message names by hash: where they are */
struct request_image {
	json_t *path; /* string, relative to the request's directory; NULL: inline */
	json_t *data; /* string, base64 as written; NULL: a file */
	json_t *part; /* of body.messages; completed when the hash is known */
	struct key sha;
	bool known;
	char field[64]; /* "messages[1].content[0]", for sentences */
};

struct request {
	char *model;	  /* as written or defaulted, NULL: none chosen */
	char *request_id; /* NULL: the default, the path */
	char *ns;	  /* sampling namespace; NULL: none */
	enum request_endpoint endpoint;
	enum request_cache cache;
	bool has_cache;	   /* cache or use_cache was given; else the mount's cache_mode applies */
	bool own_messages; /* it came with `messages`, not with a prompt */
	bool user_max_tokens; /* max_tokens came from the user or defaults: then length is stored */
	int n;		      /* 1..1000 */
	int priority;	      /* -20..19, lower first */
	double timeout_s;     /* 0: the mount's */
	double ttl_s;	      /* 0: the engine's default */
	double max_cost_usd;  /* < 0: none */
	json_t *metadata;     /* object of strings or NULL */
	json_t *fallback;     /* array of models as written, or NULL */
	json_t *body; /* object: messages (prompt, system expanded) or prompt/suffix/input, and every
			   * field that is sent, validated, in the OpenAI spelling; max_tokens always so
			   * named; stop always a list; no nulls at top level */
	struct request_image *images; /* files and inline ones, in order; addresses are not here */
	size_t n_images, image_bytes;
};

/* request_parse - read and check one request
 *
 *   src->defaults  array of objects, the nearest directory first; NULL or empty: none. Fields in them
 *                  are checked like the request's own; null removes what a farther one set
 *   out_unfinished may be NULL; set for a JSON text that only ends too early, and for empty text
 *
 * Fields of later versions (model "auto", auto_route true ...) are
 * ERR_UNSUPPORTED naming the field. Images named by path are not known yet: request_image_set.
 * Errors: negative errno of e's kind; -ENOMEM
 */
struct request_source {
	const char *text; /* not NUL-terminated */
	size_t len;
	enum request_form form;
	const json_t *defaults;
};
int request_parse(const struct request_source *src, struct request **out, bool *out_unfinished,
		  struct err *e);
/* request_parse_value - as request_parse for a JSON text that has been parsed already, perhaps as a part of
 * another; src->text is then only where places are looked up; value is borrowed */
int request_parse_value(const json_t *value, const struct request_source *src, struct request **out,
			struct err *e);
struct request *request_free(struct request *r);

/* request_image_set - the bytes of images[i]: its part gets their hash and type
 * Errors: -EINVAL no PNG, JPEG, GIF or WebP, or not what media_type says; -EFBIG more than
 * REQUEST_IMAGE_SUM with the others; -ENOMEM */
int request_image_set(struct request *r, size_t i, const void *p, size_t n, struct err *e);
/* request_image_inline - the inline images of a request's text: object of hash in hex -> base64 text
 * Errors: -EINVAL, -ENOMEM */
int request_image_inline(const char *text, size_t len, json_t **out);
/* request_image_type - the media type that the first bytes tell; NULL: none that models take */
const char *request_image_type(const void *p, size_t n);

/* request_check_defaults - is this a good .defaults.json? */
int request_check_defaults(const char *text, size_t len, json_t **out, struct err *e);

/* request_prepend - ask: body's messages become history + this request's own last turn
 *   history  array of messages, earlier turns; not consumed. A request with own `messages` is left alone */
int request_prepend(struct request *r, const json_t *history);

struct request_target {
	const char *backend; /* the section's name */
	const char *model;   /* as sent */
	const char *url;     /* only when not the type's default, without user info; else NULL */
	const char *scope;   /* "" or NULL: none */
	int64_t default_max_tokens; /* 0: none */
};

/* request_effective - new reference in out: {"format":1,"backend","endpoint","model",...body...}
 *   extra_body stays a member of its own; every image is known
 * Errors: -ENOMEM, -EINVAL an image is not known */
int request_effective(const struct request *r, const struct request_target *t, json_t **out);

/* request_endpoint_name - "chat", "completion", "fim", "embedding", "responses" */
const char *request_endpoint_name(enum request_endpoint e);
/* request_cache_name / request_cache_parse - "use", "bypass", "refresh", "only" */
const char *request_cache_name(enum request_cache c);
int request_cache_parse(const char *name, enum request_cache *out);

#define REQUEST_FORMAT 1

#endif
