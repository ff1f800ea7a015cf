/*
 * Files and batches, as all four services have them: what is kept between requests.
 *
 * A batch's state changes at each look at it (or when the test says so), along a list of states that
 * the test may give; at the first state that is an end its lines are answered, by the dialect, and put into
 * files of results in an order of their own. The four ways to ask for all this are in batchwire_*.c.
 */
#ifndef PROVIDER_BATCHES_H
#define PROVIDER_BATCHES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "buf.h"
#include "dialect.h"

enum batch_state {
	STATE_WAITING,
	STATE_RUNNING,
	STATE_FINALIZING, /* a word of its own at one service only */
	STATE_CANCELLING,
	STATE_DONE,
	STATE_FAILED,
	STATE_EXPIRED,
	STATE_CANCELLED,
	STATE_COUNT
};

/* What became of a line; the last ones are the test's mischief with its result. */
enum line_end {
	LINE_ANSWERED,
	LINE_REFUSED,
	LINE_EXPIRED,
	LINE_CANCELLED,
	LINE_MISSING,	/* no result at all */
	LINE_DUPLICATE, /* two */
	LINE_GARBLED,	/* cut in the middle */
	LINE_UNKNOWN,	/* under another id */
	LINE_HUGE,	/* 3 MiB of blanks in it */
	LINE_ENDS
};

struct batch_file {
	char id[40];
	char name[96]; /* "" where it was not uploaded */
	const struct dialect *dialect;
	struct buf data;
	long looks; /* a file that is processed first: so many looks still say so */
	bool deleted;
	struct batch_file *next;
};

struct batch {
	char id[40];
	char tag[96]; /* the service's own mark: metadata or name */
	char endpoint[64];
	char model[128];
	char version[32]; /* anthropic-version */
	const struct dialect *dialect;
	const struct batch_wire *wire;
	struct batch_file *input, *output, *errors;
	struct buf lines;
	size_t total;
	size_t ends[LINE_ENDS];
	size_t at; /* in the list of states */
	bool cancelled, over, deleted;
	enum batch_state state;
	time_t created;
	char why[128];
	struct batch *next; /* newest first */
};

/* What one service says differently about a line. */
struct batch_wire {
	const char *id_name; /* custom_id, key */
	const char *body_name;
	bool errors_apart;     /* lines that failed are in a file of their own */
	bool none_expired;     /* lines that were not run have no result */
	bool none_unless_done; /* only a batch that ended well has results */
	/* path of the line's request at the dialect, without its prefix */
	void (*path)(struct buf *out, const struct batch *b);
	/* a line's body as the dialect's call wants it, a new reference; NULL: as it is */
	json_t *(*wrap)(const struct batch *b, json_t *body);
	void (*result)(struct buf *out, const char *id, enum line_end end, int status,
		       const struct buf *body);
};

/* One request. */
struct batch_ask {
	const char *method;
	const char *path; /* below the dialect's prefix */
	const struct buf *body;
	/* header or argument by name; NULL: none */
	const char *(*header)(void *arg, const char *name);
	const char *(*argument)(void *arg, const char *name);
	void *arg;
	const char *type; /* of the answer; JSON unless set */
	char link[260];	  /* X-Goog-Upload-URL of the answer; "" none */
};

/* batches_serve: an answer's status, with its body in out; 0: that is no address of batches. */
int batches_serve(const struct dialect *d, struct batch_ask *ask, struct buf *out);
/* Settings, an object of states [words], hold, lines [{match, as}], why, processing, lag; 0 or -1 with a reason. */
int batches_script(const json_t *settings, const char **out_why);
void batches_reset(void);
/* What is there: {"files":[{id, deleted}], "batches":[{id, at, state, requests, deleted}]}, oldest last. */
void batches_show(struct buf *out);
/* One state on, for all of them. */
void batches_advance(void);

/* ---- for batchwire_*.c ---- */

/* prefix NULL: the id is a UUID */
struct batch_file *batches_add_file(const char *prefix, const char *data, size_t n);
struct batch_file *batches_file(const char *id);
/* The next one that was uploaded here, newest first, behind `after` (NULL: the first). */
struct batch_file *batches_uploads(const struct dialect *d, struct batch_file *after);
/* With the lines of `input`; NULL: the caller puts them into lines. */
struct batch *batches_new(const char *prefix, const struct dialect *d, const struct batch_wire *w,
			  struct batch_file *input);
struct batch *batches_find(const char *id);
/* The newest that this dialect's list shows; then ->next through this. */
struct batch *batches_list(const struct dialect *d, struct batch *after);
void batches_look(struct batch *b);
void batches_cancel(struct batch *b);
long batches_processing(void);
/* Answers all lines into the files of results. */
void batches_run(struct batch *b);
/* check may set b->why: such a batch fails. Returns the lines. */
size_t batches_each_line(struct batch *b,
			 void (*check)(struct batch *b, const char *text, size_t n));
enum line_end batches_line_end(const char *line, size_t n);

int batchwire_openai(const struct dialect *d, struct batch_ask *ask, struct buf *out);
int batchwire_mistral(const struct dialect *d, struct batch_ask *ask, struct buf *out);
int batchwire_gemini(const struct dialect *d, struct batch_ask *ask, struct buf *out);
int batchwire_anthropic(const struct dialect *d, struct batch_ask *ask, struct buf *out);

/* A part of a form; NULL: it has none of that name. */
const char *batches_form(const struct batch_ask *ask, const char *name, size_t *out_len);
/* The uploaded file with its file name. */
struct batch_file *batches_add_form(const struct dialect *d, const struct batch_ask *ask,
				    const char *prefix);
/* A refusal in the dialect's words. */
int batches_refuse(const struct dialect *d, struct buf *out, int status, const char *field,
		   const char *text);
/* "id" of "/v1/files/id/content" when path is prefix, id, rest. */
bool batches_path(const char *path, const char *prefix, const char *rest, char id[64]);

#endif
