/*
 * What one API looks like on the wire. A dialect is one file that exports one or more const
 * tables of this type and is listed in dialect.c; nothing else knows its name.
 *
 * The order of calls for a request: route (by the table), read, then either refuse or one of
 * whole, stream and other. None of them sends anything: they write into buffers.
 */
#ifndef PROVIDER_DIALECT_H
#define PROVIDER_DIALECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "events.h"
#include "plan.h"

enum kind {
	KIND_NONE,
	KIND_CHAT,
	KIND_TEXT, /* legacy completions */
	KIND_FIM,
	KIND_INFILL,	/* llama.cpp's own fill-in-the-middle */
	KIND_RESPONSES, /* OpenAI's items */
	KIND_EMBED,
	KIND_MODELS, /* the list */
	KIND_MODEL,  /* one, its name is the rest of the path */
	KIND_HEALTH,
	KIND_COUNT, /* token counting */
	KIND_PULL,  /* a model to the server's own disk: lines of progress */
	KIND_DELETE,
	KIND_LOADED, /* models in memory */
};

/* A path ending in '/' matches by prefix and the rest names the model (and the method, at Gemini). */
struct route {
	const char *method;
	const char *path; /* below the dialect's prefix; NULL ends the table */
	enum kind kind;
};

/* Small differences between servers that share a wire format. */
enum trait {
	TRAIT_USAGE_ALWAYS = 1, /* usage in the finish chunk, without opt-in */
	TRAIT_PINGS = 2,	/* SSE comments between the events */
	TRAIT_TIMINGS = 4,
	TRAIT_MODEL_OPTIONAL = 8,
	TRAIT_WHOLE_CALLS = 16, /* tool calls are not streamed in fragments */
};

/* One request as far as the answer depends on it; strings belong to root or to the path. */
struct ask {
	const struct dialect *dialect;
	enum kind kind;
	uint64_t id;
	json_t *root; /* NULL for GET */
	const char *model;
	const char *version; /* header anthropic-version; NULL: none */
	const char *page;    /* which page of a list: pageToken, after_id; NULL: the first */
	bool stream;
	bool usage; /* wanted in the stream */
	unsigned n;
	struct plan *plan; /* read() puts the prompts in */
};

enum why {
	WHY_STATUS, /* the script wants this status */
	WHY_KEY,
	WHY_JSON,
	WHY_PATH,
	WHY_MODEL,
	WHY_MISSING, /* `field` */
	WHY_UNKNOWN, /* `field` */
	WHY_VALUE,   /* `field`, `text` */
};

struct refusal {
	int status;
	enum why why;
	const char *field;
	const char *text;
	const json_t *input; /* the refused value, for those who echo it */
	uint64_t id;
};

struct dialect {
	const char *name;
	const char *prefix; /* of the path, "" for the default dialect */
	const struct route *routes;
	enum framing framing;
	const char *stream_type; /* Content-Type of a stream */
	const char *key_header;	 /* NULL: Authorization: Bearer */
	unsigned traits;
	const char *reasoning_key; /* NULL: reasoning is counted but not shown */
	/* Fills ask and its plan's prompts. 0, or -1 with *why filled (id is set by the caller). */
	int (*read)(struct ask *ask, struct refusal *why);
	/* Any status >= 400, with whatever body the real service would send. */
	void (*refuse)(struct buf *out, const struct refusal *why);
	void (*whole)(struct buf *out, const struct ask *ask);
	void (*stream)(struct events *out, const struct ask *ask);
	/* Every kind that is not generation. */
	void (*other)(struct buf *out, const struct ask *ask);
	/* The id of tool call `k`; at least 32 bytes. */
	void (*call_id)(char *out, uint64_t id, size_t k);
};

/* Finds dialect and kind. KIND_NONE when the path is unknown; the dialect is always set. */
void dialect_route(struct ask *ask, const char *method, const char *path);

/* The models every dialect lists; NULL after the last. */
extern const char *const dialect_models[];

/* The name nobody serves. */
#define DIALECT_NO_MODEL "nope"

#endif
