/*
 * broker_fixture.h - a real broker over a real ledger, a memory store and the echo backend
 *
 * Everything lies in a temporary directory that fixture_close removes; fixture_reopen is what a kill -9
 * and a new mount are to the broker.
 */
#ifndef TESTS_BROKER_FIXTURE_H
#define TESTS_BROKER_FIXTURE_H

#include "infer/infer.h"
#include "jobs/broker_start.h"
#include "ledger/answers.h"
#include "ledger/ledger.h"
#include "store/store.h"

struct fixture {
	char dir[64];
	struct ledger *ledger;
	struct answers *answers;
	struct store *store;
	struct infer *infer;
	struct broker *broker;
	struct backend_config backends[2];
	const char *names[3];
	struct broker_options options;
	struct broker_files
		files; /* set before fixture_open: how images are read; empty: not at all */
};

int fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
/* fixture_reopen - stop everything but the store, start it again, recover; sha is what every file has */
void fixture_reopen(struct fixture *f, const struct key *sha);

/* write_prompt - check, durable, and (send) bought: what close(2) would return, and the id */
int fixture_check(struct fixture *f, const char *path, const char *json, bool send,
		  int64_t *out_id);
/* fixture_final - wait (10 s at most) until it is final; its state */
enum broker_state fixture_final(struct fixture *f, int64_t id);
/* fixture_render - text of a file into a static buffer; NULL and *out_err on failure */
const char *fixture_render(struct fixture *f, int64_t id, enum broker_file file, int *out_err);
/* fixture_drop - the prompt went; waits for the commit */
int fixture_drop(struct fixture *f, const char *path);
int fixture_move(struct fixture *f, const struct broker_move *m);
int fixture_dismiss(struct fixture *f, const char *path);
int64_t fixture_counter(struct fixture *f, enum ledger_counter c);

#endif
