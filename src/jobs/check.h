/*
 * jobs/check.h - the request of a text, routed, checked and keyed; for files, their lines and asks
 *
 *   1. request_parse into checked.request
 *   2. image_learn when image_unknown; that waits for the disk
 *   3. check_request
 *   4. check_done
 *
 * Private to jobs/. Threads: any. Blocks: as said.
 */
#ifndef JOBS_CHECK_H
#define JOBS_CHECK_H

#include "jobs/inside.h"

struct checked {
	struct request *request;
	struct job_terms terms;
	struct job_body body;
	struct job_ask ask;
};
/* check_request - the request is freed; history: what broker_ask_history gave; name: of the prompt, NULL for
 * an ask */
int check_request(struct broker *b, const struct broker_name *name, const json_t *history,
		  struct checked *c, struct err *e);
void check_done(struct checked *c);
/* check_same_sampling - would they be handed out the same samples of one key? */
bool check_same_sampling(const struct job_terms *a, const struct job_terms *b);
/* check_same_row - is the row the answer to this request? */
bool check_same_row(const struct ledger_row *row, const struct checked *k);
/* check_target - backend, model, address and the default max_tokens into an effective request */
int check_target(struct broker *b, const struct route *route, json_t *effective);
/* check_key - what the backend says to it, its canonical bytes and its key; body->request is there */
int check_key(struct broker *b, const struct route *route, struct job_body *body, json_t *dropped,
	      struct err *e);
/* check_is_embedding - an effective request for vectors */
bool check_is_embedding(const json_t *effective);

#endif
