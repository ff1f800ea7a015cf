/*
 * infer/batch_api.h - the contract of one provider's batch API: each file exports one const table
 *
 * A step is a walk: `ask` writes the next HTTP request, `reply` reads its answer and says whether there is
 * another. What is learned goes into walk->result. Lines are written by `line` and taken apart by `read`.
 * Everything is pure but for the walk; the sending, trying again and reading of files is batch_step.c's.
 *
 * Threads: ask and reply the net thread, the others any. Blocks: never.
 */
#ifndef INFER_BATCH_API_H
#define INFER_BATCH_API_H

#include <jansson.h>

#include "infer/batch.h"

enum { BATCH_ASK_HEADERS = 6, BATCH_PAGES_MAX = 200 };

struct batch_files;

struct batch_walk {
	const struct backend_config *config;
	const struct batch_files *files; /* of its batch_api */
	enum batch_step step;
	uint64_t size;		     /* of the file */
	struct batch_result *result; /* in: the job; out: what is learned */
	unsigned phase;		     /* of this step, from 0; reply raises it */
	unsigned back;		     /* the phase where trying again begins; ask may lower it */
	unsigned pages;		     /* of a list, or looks at a file that is not ready */
	char cursor[HTTP_LINK_MAX];  /* where the next request goes on: page, address */
	char found[HTTP_LINK_MAX]; /* ids that wait to be looked at or deleted: batch_api_found_* */
	bool elsewhere;		   /* the file was not at its first place: ask for its second */
	bool (*known)(void *arg, const char *id);
	void *arg;
};

enum batch_body {
	BATCH_BODY_NONE,
	BATCH_BODY_TEXT, /* text */
	BATCH_BODY_FILE, /* text, the file, tail */
	BATCH_BODY_LIST	 /* text, the file with commas for its newlines (not the last), tail */
};

/* one HTTP request; zeroed but for the limits of text and tail */
struct batch_ask {
	const char *method;	  /* NULL: GET, or POST with a body */
	char path[HTTP_LINK_MAX]; /* below the base URL, or a whole address */
	char header[BATCH_ASK_HEADERS][BACKEND_HEADER_MAX]; /* "": no more */
	enum batch_body body;
	struct buf text, tail;
	bool lines; /* the answer is lines; they go to the caller, or the first one to reply (peek) */
	bool peek;
};

enum batch_next {
	BATCH_NEXT_DONE,  /* the step is over */
	BATCH_NEXT_ASK,	  /* ask again */
	BATCH_NEXT_LATER, /* ask again after a pause: it is not ready */
	BATCH_NEXT_FAILED /* e says why */
};

/* what a line of results says, borrowed from it */
struct batch_found {
	const char *custom_id;
	enum batch_line_kind kind;
	json_t *body;  /* of an answer: as the endpoint would have answered */
	json_t *error; /* of all others: an object with an error in it, or NULL */
	int status;    /* of an error: HTTP's; 0 unknown */
};

/* a provider's word for a state and ours; a list ends with NULL */
struct batch_word {
	const char *theirs;
	enum batch_state ours;
};

struct batch_api {
	struct batch_limits limits;
	const struct batch_files
		*files;	 /* made from a file that is uploaded (batch_files.h); NULL: not */
	int gone;	 /* a status that says the same as 404 of a file; 0 none */
	bool two_places; /* of a file: ask looks at walk->elsewhere */
	/* shape - what a request's body becomes in a batch: stream and the like are taken out of body, and
	 * out filled but for header. path: of the request, as build wrote it */
	int (*shape)(const struct backend_config *c, const char *path, json_t *body,
		     struct batch_group *out, struct err *e);
	/* line - the object of one line; NULL: out of memory. body is only lent */
	json_t *(*line)(const struct batch_group *g, json_t *body, const char *custom_id);
	/* ask - write the request of walk->step and walk->phase; out->text.failed and out->tail.failed are
	 * looked at afterwards. false: there is nothing to ask (any more), the step is over */
	bool (*ask)(struct batch_walk *w, struct batch_ask *out);
	/* reply - answer: the JSON of a success, NULL when it was no JSON text, or lines are over, or what was to
	 * be deleted is gone already */
	enum batch_next (*reply)(struct batch_walk *w, json_t *answer, const struct http_head *head,
				 struct err *e);
	/* read - 0, or -EBADMSG: this is no result */
	int (*read)(json_t *line, struct batch_found *out);
};

extern const struct batch_api batch_openai, batch_mistral, batch_gemini, batch_anthropic;

/* batch_api_of - NULL: it has none */
const struct batch_api *batch_api_of(const struct backend_config *c);

/* ---- what several of them do ---- */

/* batch_api_state - the state for a word; one that is not in the list is otherwise */
enum batch_state batch_api_state(const struct batch_word *list, const json_t *word,
				 enum batch_state otherwise);
/* batch_api_id - keep an id of the provider's; false: it is none, too long, or has odd bytes in it */
bool batch_api_id(char dst[BATCH_NAME_MAX], const json_t *id);
/* batch_api_count - a count, as a number or in a string; -1: none */
int64_t batch_api_count(const json_t *v);
/* batch_api_protocol - BATCH_NEXT_FAILED: its answer lacks what */
enum batch_next batch_api_protocol(const struct batch_walk *w, const char *what, struct err *e);
/* batch_api_path - the id goes percent-encoded between the two */
void batch_api_path(struct batch_ask *out, const char *before, const char *id, const char *after);
/* batch_api_form - the file and its fields (name, value, ..., NULL) as a form */
void batch_api_form(const struct batch_walk *w, const char *const *fields, struct batch_ask *out);
/* batch_api_take - o's member that holds an output file's id, or "" */
void batch_api_take(char dst[BATCH_NAME_MAX], const json_t *o, const char *name);
/* batch_api_read - a result line that holds an HTTP answer: {"custom_id","response":{"status_code","body"},"error"} */
int batch_api_read(json_t *line, struct batch_found *out);
/* batch_api_nothing - a POST without a body */
void batch_api_nothing(struct batch_ask *out);
/* batch_api_header - one more header line; "" none */
void batch_api_header(struct batch_ask *out, const char *line);
/* batch_api_why - the provider's words, for people; anything but a string is nothing */
void batch_api_why(struct batch_result *r, const json_t *message);
/* batch_api_since - a batch made before this second is not the one that FIND looks for; clocks may differ */
int64_t batch_api_since(const struct batch_walk *w);
/* batch_api_found_add - one more id behind the others; what finds no room is left out
 * batch_api_found_first - false: there is none; batch_api_found_drop - it was dealt with */
void batch_api_found_add(struct batch_walk *w, const char *id);
bool batch_api_found_first(const struct batch_walk *w, char out[BATCH_NAME_MAX]);
void batch_api_found_drop(struct batch_walk *w);
/* batch_api_json - take_body as the request's text; NULL: out of memory */
void batch_api_json(struct batch_ask *out, json_t *take_body);

#endif
