/* broker_bulk.c - the files of a job, for readers who may come before they are there */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mono.h"
#include "jobs/bulk.h"

#include "base/banned.h"

#define PROGRESS_NS (100 * MONO_MS)

struct broker_bulk_reader {
	struct broker *b;
	struct bulk *bulk; /* it was live when this was opened; NULL: fd or text is all there is */
	enum broker_bulk_file file;
	int fd;
	/* of progress */
	uint64_t seq, next_mono; /* seq: what was shown; starts at none */
	bool told_end;
	char text[BROKER_BULK_LINE_MAX];
	size_t at, len;
};

static const enum bulk_file spooled[] = {
	[BULK_STREAM] = BULK_SPOOL_STREAM,
	[BULK_OUTPUT] = BULK_SPOOL_OUTPUT,
	[BULK_ERRORS] = BULK_SPOOL_ERRORS,
};

void broker_bulk_check(struct broker *b, const struct broker_bulk_doc *d, broker_checked_fn *done,
		       void *arg)
{
	bulk_check_file(b, d, done, arg);
}

/* ---- the job of an id ---- */

/* 0 and the row of a job; -ENOENT */
static int row_of(struct broker *b, int64_t job, struct ledger_row *out)
{
	int r = ledger_get(b->o.ledger, job, out);

	if (r == 0 && !bulk_is(out->suffix)) {
		ledger_row_done(out);
		r = -ENOENT;
	}
	return r;
}

static int64_t lines_of(struct broker *b, int64_t job)
{
	struct ledger_row row;
	struct bulk *k;
	int64_t lines = 0;

	lock_take(&b->lock);
	k = bulk_find_locked(b, job);
	if (k)
		lines = k->lines;
	lock_drop(&b->lock);
	if (lines || row_of(b, job, &row) < 0)
		return lines;
	lines = bulk_lines_of(&row);
	ledger_row_done(&row);
	return lines;
}

/* ---- items ---- */

int broker_bulk_item(struct broker *b, int64_t job, const char *name, struct broker_view *out)
{
	int64_t lines = lines_of(b, job);
	AUTO_FREE char *root = lines ? bulk_root(lines) : NULL;

	if (!root)
		return -ENOENT;
	bulk_line_homed(b, lines, job);
	return broker_find(b, root, name, out);
}

int broker_bulk_next_item(struct broker *b, int64_t job, const char *after, char **out_name,
			  struct broker_view *out)
{
	int64_t lines = lines_of(b, job);
	AUTO_FREE char *root = lines ? bulk_root(lines) : NULL;
	AUTO_FREE char *name = NULL;
	struct ledger_row row;
	int r;

	if (!root)
		return -ENOENT;
	r = ledger_next_child(b->o.ledger, root, "", after, &row);
	if (r < 0)
		return r;
	name = TAKE(row.path);
	ledger_row_done(&row);
	bulk_line_homed(b, lines, job);
	r = broker_find(b, root, name, out);
	if (r == 0)
		*out_name = TAKE(name);
	return r;
}

/* ---- progress ---- */

static size_t progress_locked(const struct bulk *k, char *out)
{
	const struct bulk_counts *c = &k->counts;
	uint64_t real = mono_real_ns(), now = mono_ns();
	double elapsed = real > k->accepted_ns ? (double)(real - k->accepted_ns) / 1e9 : 0;
	double eta = -1;

	if (k->final || (k->known_total && c->done == c->total))
		eta = 0;
	else if (k->pass.run_done && k->known_total && now > k->run_mono)
		eta = (double)(now - k->run_mono) / 1e9 / (double)k->pass.run_done *
		      (double)(c->total - c->done);
	return (size_t)bulk_count_progress(c, elapsed, eta, out, BROKER_BULK_LINE_MAX);
}

static size_t final_progress(const struct ledger_row *row, char *out)
{
	struct bulk_counts c;
	double elapsed;

	bulk_count_read(row->facts, &c, &elapsed);
	return (size_t)bulk_count_progress(&c, elapsed, 0, out, BROKER_BULK_LINE_MAX);
}

/* is there a line for this reader? when not, *due says when there will be, 0: when something changes */
static bool has_line_locked(const struct broker_bulk_reader *r, uint64_t now, uint64_t *due)
{
	const struct bulk *k = r->bulk;

	*due = 0;
	if (k->final)
		return !r->told_end;
	if (r->seq == k->seq + 1)
		return false;
	*due = now < r->next_mono ? r->next_mono : 0;
	return !*due;
}

static ssize_t take_text(struct broker_bulk_reader *r, void *buf, size_t len)
{
	size_t n = r->len - r->at < len ? r->len - r->at : len;

	memcpy(buf, r->text + r->at, n);
	r->at += n;
	return (ssize_t)n;
}

static ssize_t read_progress(struct broker_bulk_reader *r, void *buf, size_t len)
{
	struct bulk *k = r->bulk;
	uint64_t now = mono_ns(), due;
	bool line;

	if (r->at < r->len)
		return take_text(r, buf, len);
	if (!k)
		return 0;
	LOCK_SCOPE(&r->b->lock);
	line = has_line_locked(r, now, &due);
	if (!line && k->final)
		return 0;
	if (!k->final && (k->quit || r->b->stopping))
		return k->quit ? -ECANCELED : -ESHUTDOWN;
	if (!line)
		return -EAGAIN;
	r->len = progress_locked(k, r->text);
	r->at = 0;
	r->seq = k->seq + 1; /* one more than shown: 0 is none */
	r->next_mono = now + PROGRESS_NS;
	r->told_end = k->final;
	return take_text(r, buf, len);
}

/* ---- open ---- */

static int open_live(struct broker_bulk_reader *r, int64_t job)
{
	struct bulk *k;

	LOCK_SCOPE(&r->b->lock);
	k = bulk_find_locked(r->b, job);
	if (!k || k->quit || k->final)
		return -ESRCH;
	if (r->file == BULK_OUTPUT || r->file == BULK_ERRORS)
		return -EAGAIN;
	bulk_ref_locked(k);
	r->bulk = k;
	return 0;
}

static int open_final(struct broker_bulk_reader *r, int64_t job)
{
	struct ledger_row row;
	int k = row_of(r->b, job, &row);

	if (k < 0)
		return k;
	if (row.state == LEDGER_ACCEPTED) {
		k = r->file == BULK_OUTPUT || r->file == BULK_ERRORS ? -EAGAIN : -ENOENT;
	} else if (!bulk_lines_of(&row)) {
		k = -ENOENT; /* refused at the check */
	} else if (r->file == BULK_PROGRESS) {
		r->len = final_progress(&row, r->text);
	} else {
		k = bulk_spool_open(r->b, (struct bulk_place){ bulk_lines_of(&row), job },
				    spooled[r->file], O_RDONLY);
		r->fd = k;
		k = k < 0 ? k : 0;
	}
	ledger_row_done(&row);
	return k;
}

int broker_bulk_open(struct broker *b, int64_t job, enum broker_bulk_file f,
		     struct broker_bulk_reader **out)
{
	struct broker_bulk_reader *r = calloc(1, sizeof(*r));
	int k;

	if (!r)
		return -ENOMEM;
	r->b = b;
	r->file = f;
	r->fd = -1;
	k = open_live(r, job);
	if (k == -ESRCH)
		k = open_final(r, job);
	if (k < 0) {
		free(r);
		return k;
	}
	*out = r;
	return 0;
}

struct broker_bulk_reader *broker_bulk_close(struct broker_bulk_reader *r)
{
	if (!r)
		return NULL;
	if (r->fd >= 0)
		(void)close(r->fd); /* read only */
	bulk_unref(r->bulk);
	free(r);
	return NULL;
}

int broker_bulk_file_size(struct broker *b, int64_t job, enum broker_bulk_file f, uint64_t *out)
{
	char text[BROKER_BULK_LINE_MAX];
	struct ledger_row row;
	struct bulk *live;
	int r;

	lock_take(&b->lock);
	live = bulk_find_locked(b, job);
	r = live && !live->final ? -EAGAIN : 0;
	lock_drop(&b->lock);
	if (r == 0)
		r = row_of(b, job, &row);
	if (r < 0)
		return r;
	if (row.state == LEDGER_ACCEPTED)
		r = -EAGAIN;
	else if (!bulk_lines_of(&row))
		r = -ENOENT;
	else if (f == BULK_PROGRESS)
		*out = final_progress(&row, text);
	else
		r = bulk_spool_size(b, (struct bulk_place){ bulk_lines_of(&row), job }, spooled[f],
				    out);
	ledger_row_done(&row);
	return r;
}

/* ---- read ---- */

uint64_t broker_bulk_size(struct broker_bulk_reader *r)
{
	off_t end;

	if (r->file == BULK_PROGRESS)
		return 0;
	if (r->bulk) {
		LOCK_SCOPE(&r->b->lock);
		return r->bulk->stream_bytes;
	}
	end = lseek(r->fd, 0, SEEK_END);
	return end < 0 ? 0 : (uint64_t)end;
}

static ssize_t read_at(int fd, void *buf, size_t len, uint64_t off)
{
	ssize_t n;

	do
		n = pread(fd, buf, len, (off_t)off);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t read_stream(struct broker_bulk_reader *r, void *buf, size_t len, uint64_t off)
{
	struct bulk *k = r->bulk;
	uint64_t there;
	ssize_t end;
	int fd;

	lock_take(&r->b->lock);
	there = k->stream_bytes;
	fd = k->stream;
	end = k->final ? 0 : k->quit ? -ECANCELED : r->b->stopping ? -ESHUTDOWN : -EAGAIN;
	lock_drop(&r->b->lock);
	if (off >= there)
		return end;
	if (len > there - off)
		len = (size_t)(there - off);
	return read_at(fd, buf, len, off);
}

ssize_t broker_bulk_read(struct broker_bulk_reader *r, void *buf, size_t len, uint64_t off)
{
	if (r->file == BULK_PROGRESS)
		return read_progress(r, buf, len);
	if (r->bulk)
		return read_stream(r, buf, len, off);
	return read_at(r->fd, buf, len, off);
}

/* ---- wait ---- */

static bool must_wait_locked(struct broker_bulk_reader *r, const struct broker_bulk_waiter *w)
{
	struct bulk *k = r->bulk;
	uint64_t due;

	if (!k || k->final || k->quit || r->b->stopping)
		return false;
	if (r->file == BULK_STREAM)
		return w->off >= k->stream_bytes;
	if (r->at < r->len || has_line_locked(r, mono_ns(), &due))
		return false;
	if (due && (!k->wake_mono || due < k->wake_mono)) { /* a change that it may not see yet */
		k->wake_mono = due;
		cond_signal(&r->b->tick);
	}
	return true;
}

int broker_bulk_wait(struct broker_bulk_reader *r, struct broker_bulk_waiter *w)
{
	LOCK_SCOPE(&r->b->lock);
	list_init(&w->link);
	if (!must_wait_locked(r, w))
		return -EALREADY;
	list_append(r->file == BULK_STREAM ? &r->bulk->stream_waiters : &r->bulk->progress_waiters,
		    &w->link);
	return 0;
}

bool broker_bulk_unwait(struct broker_bulk_reader *r, struct broker_bulk_waiter *w)
{
	bool parked;

	LOCK_SCOPE(&r->b->lock);
	parked = !list_empty(&w->link);
	list_del(&w->link);
	return parked;
}

/* one after the other: those that are not called yet may still be taken off */
void broker_bulk_wake(struct bulk *k, enum broker_bulk_file f)
{
	struct list ready, *l;

	list_init(&ready);
	lock_take(&k->b->lock);
	if (f == BULK_PROGRESS) {
		list_move_all(&ready, &k->progress_waiters);
	} else {
		LIST_EACH_SAFE(p, tmp, &k->stream_waiters) {
			if (!k->final && !k->quit &&
			    LIST_ENTRY(p, struct broker_bulk_waiter, link)->off >= k->stream_bytes)
				continue;
			list_del(p);
			list_append(&ready, p);
		}
	}
	while ((l = list_pop(&ready))) {
		struct broker_bulk_waiter *w = LIST_ENTRY(l, struct broker_bulk_waiter, link);

		lock_drop(&k->b->lock);
		w->wake(w);
		lock_take(&k->b->lock);
	}
	lock_drop(&k->b->lock);
}
