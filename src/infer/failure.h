/*
 * infer/failure.h - what an error reply means: kind, sentence, and whether to try again
 *
 * The shapes that OpenAI, Mistral, vLLM, llama.cpp, Gemini, Anthropic and the proxies before them use; nothing is required of
 * a body, it may be HTML, empty, huge or no text at all. Sentences hold no secret and no control character.
 * Threads: any. Blocks: never. Source: the sections "Errors" of the protocol reference.
 */
#ifndef INFER_FAILURE_H
#define INFER_FAILURE_H

#include <jansson.h>
#include <stdbool.h>

#include "infer/backend.h"

/* failure_reply - a reply with an error status; true: it may be tried again */
bool failure_reply(const struct backend_config *c, const struct backend_failure *f, struct err *e);

/* what to do at one provider about one kind; a list ends with text NULL */
struct failure_advice {
	enum err_kind kind;
	const char *text;
};

/* failure_reply_advised - as failure_reply; a kind that is in the list is told with its text */
bool failure_reply_advised(const struct backend_config *c, const struct backend_failure *f,
			   const struct failure_advice *list, struct err *e);
/* failure_event - an object with an error inside a reply of status 200; returns the negative errno */
int failure_event(const struct backend_config *c, const json_t *object, struct err *e);
/* failure_cut - the body ended, its end mark did not come; began: something of an answer did */
int failure_cut(const struct backend_config *c, bool began, struct err *e);
/* failure_text - copy n bytes of a provider's text for people: secrets masked, control characters and what
 * is not UTF-8 replaced, cut at cap between characters */
void failure_text(char *dst, size_t cap, const char *src, size_t n);

#endif
