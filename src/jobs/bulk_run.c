/* bulk_run.c - a turn: count, prune, run; what came meanwhile is counted first */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/batchjob.h"
#include "jobs/bulk.h"
#include "jobs/bulk_ask.h"
#include "jobs/bulk_hand.h"
#include "jobs/check.h"

#include "base/banned.h"

#define TURN_NS	     (10 * MONO_MS) /* so that other work on the pool has its turn, too */
#define LINES_MIN    64u
#define LINES_MAX    4096u
#define REQUESTS_MAX ((size_t)64 << 20) /* bytes of the requests under way */

void bulk_run_rewind(struct bulk *k)
{
	bulk_scan_begin(&k->pass.scan, k->input, bulk_ask_line_max(k->b));
	bulk_set_done(&k->pass.seen);
	k->pass.eof = false;
}

/* So many lines under way that no backend waits for one; they are what is in memory. */
static unsigned lines_at_once(struct broker *b)
{
	unsigned n = LINES_MIN;

	for (const char *const *name = b->o.backends; name && *name; name++) {
		struct infer_status s;

		if (infer_status(b->o.infer, *name, &s) == 0 && s.concurrency * 2 > n)
			n = s.concurrency * 2;
	}
	return n > LINES_MAX ? LINES_MAX : n;
}

/* ---- lines that are final ---- */

/* counted, and shown in the stream, where output.jsonl finds it; -errno: the disk is full, nothing was done */
static int add_final(struct bulk *k, uint64_t nth, const struct ledger_row *row)
{
	AUTO_BUF struct buf text = BUF_INIT((size_t)1 << 30);
	int r = bulk_write_line(k->b, row, &text);

	if (r == 0)
		r = bulk_spool_append(k->stream, k->stream_bytes, &text);
	if (r < 0)
		return r;
	k->pass.places[nth] = (k->stream_bytes + 1) |
			      (row->state == LEDGER_DONE ? 0 : BULK_PLACE_FAILED);
	lock_take(&k->b->lock);
	k->stream_bytes += text.len;
	lock_drop(&k->b->lock);
	bulk_count_row(k, row);
	broker_bulk_wake(k, BULK_STREAM);
	return 0;
}

static struct bulk_line *next_over(struct bulk *k)
{
	struct list *l;

	LOCK_SCOPE(&k->b->lock);
	l = k->over.next;
	return l == &k->over ? NULL : LIST_ENTRY(l, struct bulk_line, in_bulk);
}

static void count_over(struct bulk *k, struct bulk_line *line)
{
	struct broker *b = k->b;
	struct job *j = line->job;

	lock_take(&b->lock);
	list_del(&line->in_bulk);
	k->n_running--;
	k->pass.run_done++;
	lock_drop(&b->lock);
	ledger_count(b->o.ledger, LEDGER_C_REQUESTS, 1);
	job_unref(b, j);
}

/* the lines that ended since the last turn: 0, or -errno (they are still there) */
static int take_over(struct bulk *k, uint64_t until)
{
	struct bulk_line *line;

	while ((line = next_over(k)) != NULL && mono_ns() < until) {
		struct ledger_row row;
		int r = ledger_get(k->b->o.ledger, line->job->id, &row);

		if (r == 0) {
			r = add_final(k, line->nth, &row);
			if (r == 0)
				r = batchjob_pass_count(k->batch, line->no);
			ledger_row_done(&row);
		}
		if (r < 0 && r != -ENOENT) /* removed behind our back: not counted */
			return r;
		count_over(k, line);
	}
	return 0;
}

/* ---- one line ---- */

static int check(struct bulk *k, struct bulk_asked *a, struct checked *c)
{
	struct bulk_ask q = { .b = k->b, .defaults = k->defaults };
	char *root, *path;
	int r = -ENOMEM;

	lock_take(&k->b->lock);
	q.root = root = strdup(k->job->root);
	q.path = path = strdup(k->job->path);
	lock_drop(&k->b->lock);
	if (root && path)
		r = bulk_ask_check(&q, &a->text, &a->item, c);
	free(root);
	free(path);
	return r;
}

/* The row of an earlier run counts: an answer while the question is the same, a failure for this row of the
 * file only. c: NULL when it cannot be asked. */
static bool still_counts(const struct bulk *k, const struct ledger_row *row,
			 const struct checked *c)
{
	int64_t job = bulk_line_member(row, "job");
	enum request_cache mode = c ? c->terms.cache : REQUEST_CACHE_USE;
	bool again = mode == REQUEST_CACHE_BYPASS || mode == REQUEST_CACHE_REFRESH;

	if (row->state == LEDGER_FAILED || row->state == LEDGER_CANCELLED)
		return job == k->id;
	return c && check_same_row(row, c) && bulk_hand_same(row, c) && (!again || job >= k->since);
}

/* 1: the line has a final row, which was added; 0: it has none; -errno */
static int passed_over(struct bulk *k, const struct bulk_asked *a, const struct checked *c)
{
	struct ledger_row row;
	int r;

	if (k->pass.fresh)
		return 0;
	r = ledger_find(k->b->o.ledger, k->root, a->item.name, &row);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (still_counts(k, &row, c)) {
		r = add_final(k, a->text.nth, &row);
		if (r == 0)
			r = batchjob_pass_count(k->batch, a->item.no);
		r = r < 0 ? r : 1;
	}
	ledger_row_done(&row);
	return r;
}

static bool cancelled(struct bulk *k)
{
	LOCK_SCOPE(&k->b->lock);
	return k->cancel;
}

/* 0, or -errno: it is to be begun again later */
static int run_line(struct bulk *k, struct bulk_asked *a)
{
	enum request_cache mode;
	struct checked c = { 0 };
	int r = check(k, a, &c);
	bool good = r == 0;

	if (r < 0 && !a->item.e.code) /* no memory: not the line's fault */
		return r;
	mode = c.terms.cache;
	if (good && (mode == REQUEST_CACHE_BYPASS || mode == REQUEST_CACHE_REFRESH))
		k->pass.buys_again = true;
	r = good ? bulk_hand_name(k, a, &c) : 0;
	if (r == 0 && batchjob_pass_counted(k->batch, a->item.no))
		r = 1;
	if (r == 0)
		r = passed_over(k, a, good ? &c : NULL);
	if (r == 0 && good && k->batch)
		r = batchjob_line(k, a, &c, cancelled(k));
	else if (r == 0)
		r = bulk_line_start(k,
				    &(struct bulk_start){ .item = &a->item,
							  .text = &a->text,
							  .checked = good ? &c : NULL,
							  .state = cancelled(k) ? BROKER_CANCELLED
										: BROKER_QUEUED });
	check_done(&c);
	return r < 0 ? r : 0;
}

static void asked_done(struct bulk_asked *a)
{
	bulk_item_done(&a->item);
	free(a->hand_id);
	*a = (struct bulk_asked){ 0 };
}

/* the bytes of a line that was read before */
static int read_again(struct bulk *k, struct bulk_asked *a, struct buf *text)
{
	int r = bulk_scan_one(k->input, a->text.off, a->text.n, text);

	a->text.p = buf_str(text);
	return r;
}

/* 1 a line was begun, or passed over; 0 there are no more; -errno */
static int run_next(struct bulk *k)
{
	struct bulk_pass *p = &k->pass;
	struct bulk_asked *a = &p->asked;
	AUTO_BUF struct buf text = BUF_INIT(bulk_ask_line_max(k->b) + 1);
	int r;

	if (a->there) {
		r = read_again(k, a, &text);
	} else {
		r = bulk_scan_next(&p->scan, &a->text);
		p->eof = r == 0;
		if (r <= 0)
			return r;
		r = bulk_item_read(&a->text, &p->seen, &a->item);
		if (r < 0) { /* the line comes again */
			p->scan.off = a->text.off;
			p->scan.at = p->scan.have = 0;
			p->scan.no = a->text.no - 1;
			p->scan.nth = a->text.nth;
			return r;
		}
		a->there = true;
	}
	if (r == 0)
		r = run_line(k, a);
	if (r < 0)
		return r;
	asked_done(a);
	return 1;
}

static struct bulk_line *first_stuck(struct bulk *k)
{
	struct list *l;

	LOCK_SCOPE(&k->b->lock);
	l = k->stuck.next;
	return l == &k->stuck ? NULL : LIST_ENTRY(l, struct bulk_line, in_bulk);
}

/* A line whose result could not be recorded is asked again; what was bought for it is in the store by now. */
static int run_stuck(struct bulk *k, struct bulk_line *line)
{
	AUTO_BUF struct buf text = BUF_INIT(bulk_ask_line_max(k->b) + 1);
	struct job *j = line->job;
	struct bulk_asked a = { .text = { .no = line->no,
					  .nth = line->nth,
					  .off = line->off,
					  .n = line->n,
					  .too_long = line->too_long },
				.nth = 1,
				.hand_id = j->terms.hand_id ? strdup(j->terms.hand_id) : NULL };
	int r = j->terms.hand_id && !a.hand_id ? -ENOMEM : read_again(k, &a, &text);

	if (r == 0)
		r = bulk_item_read(&a.text, NULL, &a.item);
	if (r == 0) { /* its name was decided among the others */
		free(a.item.name);
		free(a.item.custom_id);
		a.item.name = strdup(line->name);
		a.item.custom_id = strdup(line->custom_id);
		a.item.own_id = line->own_id;
		r = a.item.name && a.item.custom_id ? 0 : -ENOMEM;
	}
	if (r == 0 && j->error && j->error->code && !j->body.canon)
		a.item.e = *j->error; /* a duplicate is one among the others only */
	if (r == 0 && a.item.e.code && a.item.request) {
		json_decref(a.item.request);
		a.item.request = NULL;
	}
	if (r == 0)
		r = run_line(k, &a);
	if (r == 0) {
		lock_take(&k->b->lock);
		list_del(&line->in_bulk);
		lock_drop(&k->b->lock);
		job_unref(k->b, j);
	}
	asked_done(&a);
	return r;
}

/* ---- turns ---- */

static void set_phase(struct bulk *k, enum bulk_phase phase)
{
	LOCK_SCOPE(&k->b->lock);
	k->pass.phase = phase;
}

static int open_files(struct bulk *k)
{
	struct bulk_place at = { k->lines, k->id };
	int fd;

	if (k->input < 0) {
		fd = bulk_spool_open(k->b, at, BULK_SPOOL_INPUT, O_RDONLY);
		if (fd < 0)
			return fd;
		k->input = fd;
		bulk_run_rewind(k);
	}
	if (k->stream < 0) {
		fd = bulk_spool_open(k->b, at, BULK_SPOOL_STREAM, O_RDWR | O_CREAT | O_TRUNC);
		if (fd < 0)
			return fd;
		lock_take(&k->b->lock);
		k->stream = fd;
		lock_drop(&k->b->lock);
	}
	return 0;
}

static bool has_rows(struct bulk *k)
{
	struct ledger_row row;

	if (ledger_next_child(k->b->o.ledger, k->root, "", "", &row) < 0)
		return false;
	ledger_row_done(&row);
	return true;
}

static void reset_total(struct bulk *k)
{
	LOCK_SCOPE(&k->b->lock);
	k->counts.total = 0;
}

/* how many lines there are; and, when rows of another content may be there, what they are called */
static int count_lines(struct bulk *k, uint64_t until)
{
	bool names = k->id != k->lines;
	struct bulk_text t;
	uint64_t n = 0;
	int r = 0;

	while (mono_ns() < until && (r = bulk_scan_next(&k->pass.scan, &t)) > 0) {
		struct bulk_item item = { 0 };

		n++;
		if (names && bulk_item_read(&t, &k->pass.seen, &item) < 0) {
			bulk_run_rewind(k);
			reset_total(k);
			return -ENOMEM;
		}
		bulk_item_done(&item);
	}
	lock_take(&k->b->lock);
	k->counts.total += n;
	lock_drop(&k->b->lock);
	if (r != 0 || mono_ns() >= until)
		return r < 0 ? r : 1;
	free(k->pass.places);
	k->pass.places = calloc(k->counts.total + 1, sizeof(*k->pass.places));
	if (!k->pass.places) {
		bulk_run_rewind(k);
		reset_total(k);
		return -ENOMEM;
	}
	k->pass.fresh = !has_rows(k);
	lock_take(&k->b->lock);
	k->known_total = true;
	bulk_changed_locked(k);
	lock_drop(&k->b->lock);
	if (names && !k->pass.fresh) {
		set_phase(k, BULK_PRUNE);
	} else {
		bulk_run_rewind(k);
		set_phase(k, BULK_RUN);
	}
	return 1;
}

struct pruning {
	struct ledger_post post;
	struct ledger_change change;
};

static void pruned(struct ledger_post *p, int result)
{
	(void)result; /* not recorded: an item too many is listed until the next content */
	free(CONTAINER_OF(p, struct pruning, post));
}

static int remove_row(struct bulk *k, int64_t id)
{
	struct pruning *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->change.op = LEDGER_OP_REMOVE;
	x->change.row.id = id;
	x->post.changes = &x->change;
	x->post.n_changes = 1;
	x->post.done = pruned;
	ledger_post(k->b->o.ledger, &x->post);
	return 0;
}

/* rows of lines that the file has no longer */
static int prune(struct bulk *k, uint64_t until)
{
	struct bulk_pass *p = &k->pass;
	struct ledger_row row;
	int r = 0;

	while (mono_ns() < until) {
		r = ledger_next_child(k->b->o.ledger, k->root, "", p->after ? p->after : "", &row);
		if (r < 0)
			break;
		free(p->after);
		p->after = TAKE(row.path);
		if (!bulk_set_has(&p->seen, bulk_set_hash(p->after, strlen(p->after))))
			r = remove_row(k, row.id);
		ledger_row_done(&row);
		if (r < 0)
			return r;
	}
	if (r != -ENOENT)
		return r < 0 ? r : 1;
	free(TAKE(p->after));
	bulk_run_rewind(k);
	set_phase(k, BULK_RUN);
	return 1;
}

static bool full(struct bulk *k, unsigned most)
{
	LOCK_SCOPE(&k->b->lock);
	return k->b->stopping || k->quit || k->n_running >= most ||
	       (k->n_running && k->bytes >= REQUESTS_MAX);
}

static bool idle(struct bulk *k)
{
	LOCK_SCOPE(&k->b->lock);
	return !k->n_running && list_empty(&k->stuck);
}

static int write_now(struct bulk *k)
{
	set_phase(k, BULK_WRITE);
	return 1;
}

/* Lines that wait for a batch are come by again when one has brought something. */
static int pass_over(struct bulk *k)
{
	int r = batchjob_pass_over(k, cancelled(k));

	if (r == 1)
		return write_now(k);
	if (r == 2) {
		bulk_set_done(&k->pass.keys);
		bulk_run_rewind(k);
		return 1;
	}
	return r;
}

static int run_lines(struct bulk *k, uint64_t until)
{
	unsigned most = lines_at_once(k->b);
	struct bulk_line *stuck;
	int r = 1;

	while (mono_ns() < until) {
		if (full(k, most))
			return 0;
		stuck = first_stuck(k);
		if (!stuck && k->pass.eof)
			break;
		r = stuck ? run_stuck(k, stuck) : run_next(k);
		if (r < 0)
			return r;
	}
	if (!k->pass.eof)
		return 1;
	if (!idle(k))
		return 0;
	return k->batch ? pass_over(k) : write_now(k);
}

/* all lines once more; those that have a row are passed over */
static void run_again(struct bulk *k)
{
	uint64_t total;

	lock_take(&k->b->lock);
	total = k->counts.total;
	k->counts = (struct bulk_counts){ .total = total };
	k->stream_bytes = 0;
	k->pass.phase = BULK_RUN;
	lock_drop(&k->b->lock);
	k->pass.fresh = false;
	memset(k->pass.places, 0, (total + 1) * sizeof(*k->pass.places));
	batchjob_pass_uncount(k->batch);
	bulk_set_done(&k->pass.keys);
	bulk_run_rewind(k);
}

static int step(struct bulk *k, uint64_t until)
{
	int r;

	switch (k->pass.phase) {
	case BULK_COUNT:
		return count_lines(k, until);
	case BULK_PRUNE:
		return prune(k, until);
	case BULK_RUN:
		return run_lines(k, until);
	case BULK_WRITE:
		r = bulk_write_turn(k);
		if (r == 0)
			set_phase(k, BULK_END);
		if (r == -ENOENT) /* a row was lost: that line is asked again */
			run_again(k);
		return r < 0 && r != -ENOENT ? r : 1;
	case BULK_END:
		set_phase(k, BULK_OVER);
		bulk_end(k);
		return 0;
	default:
		return 0;
	}
}

bool bulk_run_turn(struct bulk *k)
{
	uint64_t until = mono_ns() + TURN_NS;
	struct err e = { 0 };
	int r = open_files(k);

	if (r == -ENOENT) {
		(void)err_set(
			&e, ERR_INTERNAL,
			"the accepted lines are gone from the state directory; write the file "
			"again to send it");
		bulk_end_refuse(k, &e);
		return false;
	}
	if (r == 0)
		r = take_over(k, until);
	if (r == 0 && next_over(k))
		r = 1; /* the time was over before the last of them: nobody else would come back */
	else if (r == 0)
		r = step(k, until);
	if (r < 0) {
		bulk_pause(k, -r, "its files or its results");
		return false;
	}
	lock_take(&k->b->lock);
	k->pauses = 0;
	lock_drop(&k->b->lock);
	return r > 0 || next_over(k); /* the time may have been over before they were all counted */
}
