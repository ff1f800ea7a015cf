/*
 * batchjob_fixture.h - a broker whose only backend is OpenAI's batch API on a scripted wire, and batches of it
 *
 * The file that owns the batches is a struct bulk that never runs; it is in the list of live ones, so what the
 * batches bring stays where a test can look at it.
 */
#ifndef TESTS_BATCHJOB_FIXTURE_H
#define TESTS_BATCHJOB_FIXTURE_H

#include "broker_fixture.h"
#include "jobs/batchjob_stage.h"
#include "wire.h"

enum { BATCHY_LINES = 7, BATCHY_JOB = 70 };

struct batchy {
	struct fixture f;
	struct backend_config config;
	struct wire *wire;
	struct bulk owner;
	bool owned;
};

int batchy_setup(void **state);
int batchy_teardown(void **state);
/* batchy_own, batchy_disown - is there a job that wants what the batches bring? */
void batchy_own(struct batchy *t);
void batchy_disown(struct batchy *t);
/* batchy_reopen - kill -9 and a new mount; the set is another one afterwards */
void batchy_reopen(struct batchy *t);
/* batchy_remount - the same, and there is a job that wants them */
void batchy_remount(struct batchy *t);
struct batchjob_set *batchy_set(struct batchy *t);
/* batchy_sample - number i; what it points to is static */
struct batchjob_sample batchy_sample(unsigned i);
/* batchy_gather - a batch of samples 0 to n - 1, with its files; its tag is "tag" */
struct batchjob *batchy_gather(struct batchy *t, unsigned n);
/* batchy_row - of sample i in set BATCHY_LINES: its state; 0 none. Free out with ledger_row_done */
enum ledger_state batchy_row(struct batchy *t, unsigned i, struct ledger_row *out);
enum ledger_state batchy_state(struct batchy *t, unsigned i);
/* batchy_put - a row "~ID" (or another path) with this envelope, recorded when it returns */
void batchy_put(struct batchy *t, const char *path, const char *envelope);
/* batchy_await_none - until every batch has gone its way; false after 20 s */
bool batchy_await_none(struct batchy *t);

#endif
