/*
 * The rules a test puts in place, in C form: parsed once, so that a request only compares.
 *
 * Strings and JSON values inside a rule belong to its source document and live as long as the
 * rule. Rules are counted: a call keeps its rule while the test already loads the next script.
 */
#ifndef PROVIDER_SCRIPT_H
#define PROVIDER_SCRIPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* What happens to the connection when `ending_at` pieces are sent. */
enum ending {
	ENDING_NORMAL,
	ENDING_CUT,   /* FIN without the end of the body */
	ENDING_RESET, /* RST */
	ENDING_STALL, /* silence */
	ENDING_CLEAN, /* well-formed end of the body, too early */
};

/* How the bytes of a body are cut into writes. */
enum split {
	SPLIT_EVENT,
	SPLIT_BYTE,
	SPLIT_RANDOM,
	SPLIT_COALESCE,
};

/* Up to and including the headers; `body` replaces the dialect's answer. */
struct rule_head {
	int status;
	const char *body;
	const char *content_type;
	json_t *headers;
	bool empty;
	bool no_answer;
	bool reset;
	bool lose; /* what was asked is done, and the connection reset instead of an answer */
	const char *barrier;
	long delay_ms;
};

/* What the model is made to say; NULL means the default. */
struct rule_text {
	const char *text;
	json_t *pieces;
	json_t *choices;
	long choices_max; /* no more than so many come; 0: all */
	bool number;	  /* every sample this server ever gives has its number behind the text */
	const char *finish;
	json_t *finishes; /* one of each choice, null the default */
	const char *reasoning;
	json_t *tool_calls;
	json_t *usage; /* JSON null: leave usage out */
};

/* How it is sent. */
struct rule_flow {
	long piece_delay_ms;
	json_t *piece_barriers;
	enum split split;
	bool crlf;
	bool no_done;
	enum ending ending;
	long ending_at;
	json_t *error_event;
	const char *error_name;
	long error_at;
};

struct rule {
	unsigned refs;
	long times; /* left; negative = without end */
	json_t *src;
	char *body_text; /* owns head.body when the script gave JSON instead of a string */
	const char *match;
	const char *path;
	const char *method;
	struct rule_head head;
	struct rule_text say;
	struct rule_flow flow;
};

/* Replaces (or extends) the script; on error returns -EINVAL and a text for the test's author. */
int script_load(const char *json, size_t len, bool append, char *out_why, size_t why_size);
void script_clear(void);
/* First rule that fits, one use taken, with a reference; NULL: default answer. */
struct rule *script_match(const char *method, const char *path, const struct buf *body);
void script_unref(struct rule *r);

#endif
