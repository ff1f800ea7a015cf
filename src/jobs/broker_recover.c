/* broker_recover.c - after a mount: what had been accepted is finished, what was not stored is offered */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "jobs/batchjob.h"
#include "jobs/bulk.h"
#include "jobs/flight.h"
#include "jobs/inside.h"
#include "jobs/sweep.h"

#include "base/banned.h"

struct recovery {
	struct broker *b;
	broker_file_sha_fn *file_sha;
	void *arg;
	unsigned resumed, failed;
};

/* the daemon may have died between keeping an answer and recording it: then it is paid for and lies in
 * answers/ without an owner; offered to the store, the look-up of the request finds it */
static bool readopt_one(struct broker *b, const struct answers_id *id)
{
	struct buf bytes = BUF_INIT(OBJECT_MAX);
	struct object o = { 0 };
	struct err e;
	bool there = answers_read(b->o.answers, id, &bytes) == 0;

	if (there && ledger_named(b->o.ledger, &id->key, id->index, 0) == 0 &&
	    object_decode(bytes.data, bytes.len, &id->key, id->index, &o, &e) == 0) {
		const char *why = json_string_value(json_object_get(o.sample, "finish_reason"));
		char name[ANSWERS_NAME_MAX];

		answers_name(id, name);
		if (why && (strcmp(why, "stop") == 0 || strcmp(why, "tool_calls") == 0))
			(void)store_put(b->o.store, /* failed: it is bought again */
					&(struct store_offer){ .key = &id->key,
							       .index = id->index,
							       .bytes = bytes.data,
							       .len = bytes.len,
							       .dirfd = answers_dirfd(b->o.answers),
							       .name = name });
	}
	object_done(&o);
	buf_done(&bytes);
	return there;
}

/* In a namespace the samples are anywhere behind those that were handed out; they were bought in order. */
static void readopt(struct broker *b, const struct job *j)
{
	struct answers_id id = { .key = j->body.key };
	uint32_t *used = NULL;
	bool there = false;
	size_t n = 0;

	if (j->terms.cache == REQUEST_CACHE_BYPASS || j->terms.cache == REQUEST_CACHE_REFRESH)
		return;
	if (j->terms.ns && ledger_given_used(b->o.ledger, j->terms.ns, &id.key, &used, &n) == 0 &&
	    n)
		id.index = used[n - 1] + 1;
	free(used);
	for (int i = 0; i < j->terms.n || there; i++, id.index++)
		there = readopt_one(b, &id) && j->terms.ns;
}

static int check_file(struct recovery *r, const struct job *j, struct err *e)
{
	struct broker_name name = { j->root, j->path, j->suffix };
	struct key sha;

	if (r->file_sha(r->arg, &name, &sha) < 0)
		return err_set(e, ERR_REQUEST,
			       "the prompt file is gone since the request was accepted; it was not "
			       "sent");
	if (!key_equal(&sha, &j->body.file_sha))
		return err_set(
			e, ERR_REQUEST,
			"the prompt file was changed while it was not mounted; write it again "
			"to send it");
	return 0;
}

/* The mount answers while this runs: a name may have been taken over or removed since the rows were read. */
static bool still_accepted(struct broker *b, int64_t id)
{
	struct ledger_row now;
	bool yes;

	if (ledger_get(b->o.ledger, id, &now) < 0)
		return false;
	yes = now.state == LEDGER_ACCEPTED;
	ledger_row_done(&now);
	return yes;
}

static void recover_one(struct ledger_row *row, void *arg)
{
	struct recovery *r = arg;
	struct broker *b = r->b;
	struct err e = { 0 };
	struct job *j = NULL;

	if (row->id >= b->first_id)
		return; /* accepted by this mount: it has its job */
	if (bulk_is(row->suffix)) {
		r->resumed++;
		bulk_recover(b, row, r->file_sha, r->arg);
		return;
	}
	if (job_row_load(b, row, &j) < 0) {
		log_msg(LOG_ERROR,
			"an accepted request could not be read from the ledger; it is left there");
		return;
	}
	if (!job_table_again(b, j)) {
		job_unref(b, j);
		return;
	}
	if (!still_accepted(b, j->id)) {
		lock_take(&b->lock);
		job_untable_locked(b, j);
		lock_drop(&b->lock);
	} else if (check_file(r, j, &e) < 0) {
		r->failed++;
		job_end(b, j, BROKER_FAILED, &e);
	} else {
		r->resumed++;
		readopt(b, j);
		job_send(b, j);
	}
	job_unref(b, j);
}

static void recover_unstored(const struct ledger_handout *h, void *arg)
{
	struct recovery *r = arg;

	unstored_add(r->b, &(struct answers_id){
				   .key = h->key, .index = h->index, .variant = h->variant });
}

/* rows are gathered first: sending writes to the ledger that is being read */
struct gathered {
	struct ledger_row *rows;
	size_t n, cap;
};

static void gather(struct ledger_row *row, void *arg)
{
	struct gathered *g = arg;

	if (g->n == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 64;
		struct ledger_row *rows = realloc(g->rows, cap * sizeof(*rows));

		if (!rows)
			return; /* left accepted: finished after the next mount */
		g->rows = rows;
		g->cap = cap;
	}
	g->rows[g->n++] = *row;
	*row = (struct ledger_row){ 0 };
}

void broker_recover(struct broker *b, broker_file_sha_fn *file_sha, void *arg)
{
	struct recovery r = { .b = b, .file_sha = file_sha, .arg = arg };
	struct gathered g = { 0 };

	if (ledger_each_unstored(b->o.ledger, recover_unstored, &r) < 0 ||
	    ledger_each_accepted(b->o.ledger, gather, &g) < 0)
		log_msg(LOG_ERROR, "the ledger could not be read for what was left unfinished");
	batchjob_recover(b);
	for (size_t i = 0; i < g.n; i++) {
		recover_one(&g.rows[i], &r);
		ledger_row_done(&g.rows[i]);
	}
	free(g.rows);
	batchjob_recovered(b);
	bulk_recover_spool(b);
	if (r.resumed || r.failed)
		log_msg(LOG_INFO,
			"finishing %u requests that had been accepted; %u can no longer be sent",
			r.resumed, r.failed);
	sweep_scan(b); /* now that what was paid for has been offered again */
}
