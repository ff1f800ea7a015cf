/*
 * infer/modelcard.h - the entries of a model list, for the `models` callbacks of backend.h
 *
 * Threads: any; pure. Blocks: never.
 */
#ifndef INFER_MODELCARD_H
#define INFER_MODELCARD_H

#include <jansson.h>

#include "infer/backend.h"

/* modelcard_list - the list of that name in the page; ERR_PROTOCOL when the page has none. A list that is
 * null is empty, as some servers say it */
int modelcard_list(const struct backend_config *c, const json_t *page, const char *name,
		   const json_t **out, struct err *e);
/* modelcard_add - append {"id"} and return it, borrowed; NULL: id is no text, or no memory */
json_t *modelcard_add(json_t *out, const json_t *id);
/* modelcard_set - card[name] = value, when it tells something: NULL and null are nothing */
void modelcard_set(json_t *card, const char *name, const json_t *value);
/* modelcard_can - add a word to card's capabilities, once */
void modelcard_can(json_t *card, const char *word);

#endif
