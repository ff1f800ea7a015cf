/* bulk_line.c - lines as jobs, and as rows */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/bulk.h"
#include "jobs/check.h"
#include "jobs/flight.h"

#include "base/banned.h"

struct bulk_line *bulk_line_free(struct bulk_line *l)
{
	if (!l)
		return NULL;
	free(l->custom_id);
	free(l->name);
	free(l->envelope);
	free(l->request_id);
	free(l->file_root);
	bulk_unref(l->bulk);
	free(l);
	return NULL;
}

/* ---- the envelope: first who it is, then the terms ---- */

static char *envelope_of(const struct bulk *k, const struct bulk_line *l, const struct job *j)
{
	AUTO_FREE char *terms = j->terms.backend ? terms_write(&j->terms) : strdup("{}");
	json_t *id = json_string(l->custom_id);
	AUTO_FREE char *quoted = id ? json_dumps(id, JSON_ENCODE_ANY) : NULL;

	json_decref(id);
	if (!terms || !quoted)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed by the cleanup attribute */
		return NULL;
	return str_printf("{\"job\":%lld,\"line\":%llu,\"custom_id\":%s%s%s", (long long)k->id,
			  (unsigned long long)l->no, quoted, terms[1] == '}' ? "" : ",", terms + 1);
}

int64_t bulk_line_member(const struct ledger_row *row, const char *name)
{
	char want[32];
	const char *at;

	(void)snprintf(want, sizeof(want), "\"%s\":", name);
	at = row->envelope ? strstr(row->envelope, want) : NULL;
	return at ? (int64_t)strtoll(at + strlen(want), NULL, 10) : 0;
}

char *bulk_line_custom_id(const struct ledger_row *row)
{
	json_t *o = json_loads(row->envelope ? row->envelope : "", 0, NULL);
	const char *id = json_string_value(json_object_get(o, "custom_id"));
	char *copy = strdup(id ? id : row->path);

	json_decref(o);
	return copy;
}

bool bulk_line_buys(const struct bulk_line *l)
{
	return !l->bulk->batch;
}

bool bulk_line_is(const char *root)
{
	return root && root[0] == '\002';
}

/* ---- whose it is ---- */

struct home {
	struct map_link by_lines;
	int64_t lines, job;
};

static bool home_equal(const struct map_link *l, const void *key)
{
	return CONTAINER_OF(l, const struct home, by_lines)->lines == *(const int64_t *)key;
}

static struct home *home_locked(struct broker *b, int64_t lines)
{
	struct map_link *l =
		map_find(&b->bulks.homes, map_hash_u64((uint64_t)lines), home_equal, &lines);

	return l ? CONTAINER_OF(l, struct home, by_lines) : NULL;
}

void bulk_line_homed(struct broker *b, int64_t lines, int64_t job)
{
	struct home *h;

	LOCK_SCOPE(&b->lock);
	h = home_locked(b, lines);
	if (h) {
		h->job = job;
		return;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		return; /* then the row that a line was recorded under is asked */
	h->lines = lines;
	h->job = job;
	if (map_add(&b->bulks.homes, &h->by_lines, map_hash_u64((uint64_t)lines)) < 0)
		free(h);
}

static bool free_home(struct map_link *l, void *arg)
{
	struct home **last = arg;

	free(*last); /* the link of the one before is no longer read */
	*last = CONTAINER_OF(l, struct home, by_lines);
	return true;
}

void bulk_line_homes_free(struct broker *b)
{
	struct home *last = NULL;

	map_each(&b->bulks.homes, free_home, &last);
	free(last);
	map_done(&b->bulks.homes);
}

char *bulk_line_id(struct broker *b, const struct ledger_row *row)
{
	AUTO_BUF struct buf path = BUF_INIT((size_t)1 << 20);
	AUTO_FREE char *custom = bulk_line_custom_id(row);
	int64_t lines = strtoll(row->root + 1, NULL, 10), job = 0;
	const struct home *h;

	if (!custom)
		return NULL;
	lock_take(&b->lock);
	h = home_locked(b, lines);
	if (h)
		job = h->job;
	lock_drop(&b->lock);
	if (!job)
		job = bulk_line_member(row, "job");
	if (broker_path(b, job, &path) < 0)
		return TAKE(custom); /* the job is gone, and somebody has a file of the line open */
	return str_printf("%s/%s", buf_str(&path), custom);
}

const struct job *bulk_line_file_locked(const struct bulk_line *l)
{
	return l->bulk->job ? l->bulk->job : l->job;
}

int bulk_line_home(const struct bulk_line *l, char **out_root, char **out_path)
{
	char *root = NULL, *path = NULL;
	struct broker *b = l->bulk->b;

	lock_take(&b->lock);
	if (l->bulk->job) {
		root = strdup(l->bulk->job->root);
		path = strdup(l->bulk->job->path);
	}
	lock_drop(&b->lock);
	if (root && path) {
		*out_root = root;
		*out_path = path;
		return 0;
	}
	free(root);
	free(path);
	return -ENOENT;
}

int bulk_line_inline(const struct bulk_line *l, json_t **out)
{
	AUTO_BUF struct buf bytes = BUF_INIT(l->n + 1);
	struct bulk_text t = { .no = l->no, .n = l->n, .ended = true };
	struct bulk_item item = { 0 };
	AUTO_FREE char *text = NULL;
	int r = bulk_scan_one(l->bulk->input, l->off, l->n, &bytes);

	t.p = buf_str(&bytes);
	if (r == 0)
		r = bulk_item_read(&t, NULL, &item);
	if (r < 0)
		return r;
	text = item.request ? json_dumps(item.request, JSON_COMPACT) : NULL;
	bulk_item_done(&item);
	return text ? request_image_inline(text, strlen(text), out) : -EINVAL;
}

/* ---- the start ---- */

static int name_it(struct bulk_line *l, const struct job *j)
{
	AUTO_FREE char *path = NULL;
	int r = bulk_line_home(l, &l->file_root, &path);

	if (r < 0)
		return r;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed by the cleanup attribute */
	l->request_id = j->terms.request_id ? strdup(j->terms.request_id)
					    : str_printf("%s/%s", path, l->custom_id);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed by the cleanup attribute */
	return l->request_id ? 0 : -ENOMEM;
}

static struct bulk_line *line_new(struct bulk *k, const struct bulk_start *s)
{
	struct bulk_line *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	lock_take(&k->b->lock);
	bulk_ref_locked(k);
	lock_drop(&k->b->lock);
	l->bulk = k;
	list_init(&l->in_bulk);
	l->no = s->item->no;
	l->nth = s->text->nth;
	l->off = s->text->off;
	l->n = s->text->n;
	l->too_long = s->text->too_long;
	l->own_id = s->item->own_id;
	l->custom_id = strdup(s->item->custom_id);
	l->name = strdup(s->item->name);
	return l->custom_id && l->name ? l : bulk_line_free(l);
}

static struct job *job_of(struct bulk *k, const struct bulk_start *s)
{
	struct job *j = job_new();
	struct bulk_line *l = j ? line_new(k, s) : NULL;

	if (!l) {
		job_unref(k->b, j);
		return NULL;
	}
	j->line = l;
	l->job = j;
	j->id = ledger_next_id(k->b->o.ledger);
	j->root = strdup(k->root);
	j->path = strdup(l->name);
	j->suffix = strdup("");
	if (s->checked) {
		j->terms = s->checked->terms;
		j->body = s->checked->body;
		s->checked->terms = (struct job_terms){ 0 };
		s->checked->body = (struct job_body){ 0 };
	} else {
		j->terms.n = 1;
	}
	j->times.accepted_ns = j->times.changed_ns = mono_real_ns();
	j->times.accepted_mono = mono_ns();
	if (!j->root || !j->path || !j->suffix || name_it(l, j) < 0) {
		job_unref(k->b, j);
		return NULL;
	}
	l->envelope = envelope_of(k, l, j);
	if (l->envelope)
		return j;
	job_unref(k->b, j);
	return NULL;
}

static void enter_locked(struct bulk *k, struct job *j, bool sent)
{
	struct broker *b = k->b;

	list_append(&k->running, &j->line->in_bulk);
	job_ref(j); /* the list's */
	k->n_running++;
	k->bytes += j->body.canon_len;
	if (!sent)
		return;
	j->step = STEP_BUDGET;
	if (job_table_locked(b, j, false) == 0)
		(void)job_table_locked(b, j, true);
	if (j->terms.timeout_s >
	    0) { /* from here: the wait for the lines before it is not its own */
		list_append(&b->deadlines, &j->in_deadlines);
		cond_signal(&b->tick);
	}
	job_set_state_locked(b, k->job, BROKER_RUNNING);
}

int bulk_line_start(struct bulk *k, const struct bulk_start *s)
{
	struct broker *b = k->b;
	struct job *j = job_of(k, s);
	bool send = s->checked && s->state == BROKER_QUEUED, entered;
	struct err e = s->item->e;
	int r;

	if (!j)
		return -ENOMEM;
	r = s->prepare ? s->prepare(s->arg, j) : 0;
	if (r < 0) {
		job_unref(b, j);
		return r;
	}
	lock_take(&b->lock);
	entered = !k->quit;
	if (entered)
		enter_locked(k, j, send);
	lock_drop(&b->lock);
	if (entered && s->state == BROKER_CANCELLED)
		err_set(&e, ERR_CANCELLED,
			"the job was cancelled before this line was sent; write \"retry\" to the "
			"job's ctl file to ask again");
	if (entered && send)
		job_send(b, j);
	else if (entered)
		job_end(b, j, s->state == BROKER_CANCELLED ? BROKER_CANCELLED : BROKER_FAILED, &e);
	job_unref(b, j);
	return 0;
}

/* ---- the end ---- */

void bulk_line_row(const struct job *j, struct ledger_change *c)
{
	struct ledger_row *row = &c->row;

	c->op = LEDGER_OP_PUT;
	row->root = j->root;
	row->path = j->path;
	row->suffix = j->suffix;
	row->envelope = j->line->envelope;
	row->n = j->terms.n;
	row->cache_mode = (int)j->terms.cache;
	row->accepted_ns = j->times.accepted_ns;
	row->has_key = j->body.canon != NULL;
	if (!row->has_key)
		return;
	row->key = j->body.asked;
	if (key_equal(&j->body.key, &j->body.asked)) { /* else another model's, after a fallback */
		c->request = j->body.canon;
		c->request_len = j->body.canon_len;
	}
}

/* true: it was on the list; its reference is the caller's now */
static bool leave_locked(struct bulk_line *l)
{
	if (l->over)
		return false;
	assert(!list_empty(&l->in_bulk));
	l->over = true;
	list_del(&l->in_bulk);
	l->bulk->bytes -= l->job->body.canon_len;
	return true;
}

void bulk_line_over(struct broker *b, struct job *j, int result)
{
	struct bulk *k = j->line->bulk;
	bool mine;

	lock_take(&b->lock);
	mine = leave_locked(j->line);
	if (mine) {
		job_ref(j); /* not found by its name until it is done again */
		job_untable_locked(b, j);
		j->refs--;
		list_append(result < 0 ? &k->stuck : &k->over, &j->line->in_bulk);
	}
	if (mine && result < 0)
		k->n_running--;
	bulk_ref_locked(k);
	lock_drop(&b->lock);
	if (mine && result < 0)
		bulk_pause(k, -result, "a line's result could not be recorded");
	bulk_kick(k);
	bulk_unref(k);
}

/* Whoever watches this line alone is told; the job asks again. */
static void dismiss(struct broker *b, struct job *j, const struct err *e)
{
	struct list waiters;
	struct stream *stream;

	list_init(&waiters);
	lock_take(&b->lock);
	list_move_all(&waiters, &j->waiters);
	j->over = true;
	stream = j->stream ? stream_ref(j->stream) : NULL;
	lock_drop(&b->lock);
	if (stream)
		stream_fail(stream, e->code);
	stream_unref(stream);
	job_wake_all(b, &waiters);
}

bool bulk_line_postpone(struct broker *b, struct job *j, const struct err *e)
{
	bool sold = e->kind == ERR_CACHE_ONLY && !bulk_line_buys(j->line) &&
		    j->terms.cache != REQUEST_CACHE_ONLY; /* it went from the store meanwhile */
	bool mine;

	if (e->kind != ERR_DISK_FULL && !sold)
		return false;
	lock_take(&b->lock);
	mine = !j->ending;
	j->ending = true; /* whoever comes later finds it ended */
	if (mine) {
		flight_leave_locked(b, j, false);
		list_del(&j->in_deadlines);
	}
	lock_drop(&b->lock);
	if (mine) {
		dismiss(b, j, e);
		bulk_line_over(b, j, sold ? -EAGAIN : -ENOSPC);
	}
	return true;
}
