/* batchjob.c - the batches of each file: found, shown, ended; what is left after a crash */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/batchjob.h"

#include "base/banned.h"

#define NAME_CAP 80
#define PAST_MAX 1000u /* that usage.json still tells of */

static struct batchjob *batch_at(struct list *l)
{
	return LIST_ENTRY(l, struct batchjob, link);
}

static struct batchjob_set *set_at(struct list *l)
{
	return LIST_ENTRY(l, struct batchjob_set, link);
}

bool batchjob_is(const char *suffix)
{
	return suffix && str_ends(suffix, ".batch.jsonl");
}

void batchjob_init(struct broker *b)
{
	list_init(&b->bulks.batches);
}

/* ---- files ---- */

static void dir_of(int64_t lines, char *out)
{
	(void)snprintf(out, NAME_CAP, "%lld.batch", (long long)lines);
}

static void file_of(const struct batchjob *x, const char *what, char *out)
{
	(void)snprintf(out, NAME_CAP, "%lld.batch/%lld.%s", (long long)x->set->lines,
		       (long long)x->id, what); /* two numbers and a word fit */
}

int batchjob_file(const struct batchjob *x, const char *what, int flags)
{
	char name[NAME_CAP];
	int fd;

	dir_of(x->set->lines, name);
	if (flags & O_CREAT && mkdirat(x->b->o.jobs_dirfd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	file_of(x, what, name);
	fd = openat(x->b->o.jobs_dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

static void remove_files(const struct batchjob *x)
{
	static const char *const what[] = { "lines", "map" };
	char name[NAME_CAP];

	for (size_t i = 0; i < ARRAY_LEN(what); i++) {
		file_of(x, what[i], name);
		(void)unlinkat(x->b->o.jobs_dirfd, name, 0); /* what stays is found by a mount */
	}
}

/* ---- sets ---- */

struct batchjob_set *batchjob_set_locked(struct broker *b, int64_t lines)
{
	LIST_EACH(l, &b->bulks.batches)
		if (set_at(l)->lines == lines)
			return set_at(l);
	return NULL;
}

struct batchjob_set *batchjob_set_make(struct broker *b, int64_t lines)
{
	struct batchjob_set *s, *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	made->lines = lines;
	made->root = str_printf("\003%lld", (long long)lines);
	made->past = json_array();
	list_init(&made->batches);
	lock_take(&b->lock);
	s = batchjob_set_locked(b, lines);
	if (!s && made->root && made->past) {
		list_append(&b->bulks.batches, &made->link);
		s = TAKE(made);
	}
	lock_drop(&b->lock);
	if (made) {
		free(made->root);
		json_decref(made->past);
		free(made);
	}
	return s;
}

static void set_free(struct batchjob_set *s)
{
	free(s->root);
	json_decref(s->past);
	free(s);
}

bool batchjob_staged(struct broker *b, const struct batchjob_set *s, const char *path)
{
	uint64_t hash = bulk_set_hash(path, strlen(path));

	LOCK_SCOPE(&b->lock);
	LIST_EACH(l, &s->batches)
		if (bulk_set_has(&batch_at(l)->staged, hash))
			return true;
	return false;
}

/* ---- one ---- */

struct batchjob *batchjob_new(struct broker *b, struct batchjob_set *s, int64_t id)
{
	struct batchjob *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->b = b;
	x->set = s;
	x->id = id;
	x->at.fd = x->in.map = -1;
	x->gather.lines.fd = x->gather.map.fd = -1;
	x->r.total = x->r.succeeded = x->r.failed = -1;
	list_init(&x->gather.link);
	lock_take(&b->lock);
	list_append(&s->batches, &x->link);
	lock_drop(&b->lock);
	return x;
}

static void destroy(struct batchjob *x)
{
	(void)bulk_spool_end(&x->gather.lines); /* it was handed in, or goes */
	(void)bulk_spool_end(&x->gather.map);
	batchjob_land_close(x);
	bulk_set_done(&x->staged);
	if (x->at.fd >= 0)
		(void)close(x->at.fd); /* read only */
	buf_done(&x->in.inbox);
	free(x->r.backend);
	free(x);
}

static json_t *show(const struct batchjob *x)
{
	const struct batchjob_record *r = &x->r;
	const char *state = r->state >= BATCHJOB_ENDED	   ? batch_state_name(r->ended)
			    : r->state == BATCHJOB_CREATED ? batch_state_name(r->ended)
							   : "staged";
	json_t *o = json_pack("{s:s, s:s, s:s, s:I}", "id", r->job_at.id, "backend",
			      r->backend ? r->backend : "", "state", state, "requests",
			      (json_int_t)r->job_at.requests);

	if (r->succeeded >= 0)
		json_object_set_new(o, "succeeded", json_integer(r->succeeded));
	if (r->failed >= 0)
		json_object_set_new(o, "failed", json_integer(r->failed));
	if (x->at.polled_ns)
		json_object_set_new(o, "last_poll", json_real((double)x->at.polled_ns / 1e9));
	if (r->why[0])
		json_object_set_new(o, "why", json_string(r->why));
	if (x->at.trouble.code)
		json_object_set_new(o, "trouble", json_string(x->at.trouble.message));
	return o;
}

json_t *batchjob_show_locked(struct broker *b, int64_t lines)
{
	const struct batchjob_set *s = batchjob_set_locked(b, lines);
	json_t *all = s ? json_deep_copy(s->past) : NULL;

	if (!s)
		return NULL;
	LIST_EACH(l, &s->batches)
		if (batch_at(l)->r.state != BATCHJOB_GATHERED)
			json_array_append_new(all, show(batch_at(l)));
	return all;
}

void batchjob_forget(struct batchjob *x)
{
	struct broker *b = x->b;
	int64_t lines = x->set->lines;

	remove_files(x);
	lock_take(&b->lock);
	list_del(&x->link);
	if (x->r.state != BATCHJOB_GATHERED && json_array_size(x->set->past) < PAST_MAX)
		json_array_append_new(x->set->past, show(x));
	lock_drop(&b->lock);
	destroy(x);
	batchjob_settle(b, lines);
}

/* ---- whose batches they are ---- */

static struct bulk *job_of_locked(struct broker *b, int64_t lines)
{
	LIST_EACH(l, &b->bulks.live) {
		struct bulk *k = LIST_ENTRY(l, struct bulk, in_live);

		if (k->lines == lines && !k->quit)
			return k;
	}
	return NULL;
}

void batchjob_news(struct batchjob *x)
{
	struct broker *b = x->b;
	struct bulk *k;

	lock_take(&b->lock);
	x->set->news++;
	bulk_set_done(&x->staged);
	k = job_of_locked(b, x->set->lines);
	if (k)
		bulk_ref_locked(k);
	lock_drop(&b->lock);
	if (k)
		bulk_kick(k);
	bulk_unref(k);
}

void batchjob_cancel(struct broker *b, int64_t lines)
{
	const struct batchjob_set *s;

	LOCK_SCOPE(&b->lock);
	s = batchjob_set_locked(b, lines);
	if (!s)
		return;
	LIST_EACH(l, &s->batches) {
		struct batchjob *x = batch_at(l);

		if (x->r.state == BATCHJOB_GATHERED || x->r.cancel)
			continue;
		x->r.cancel = true;
		if (x->r.state < BATCHJOB_ENDED)
			x->at.dirty = true;
		if (x->at.due_mono)
			x->at.due_mono = 1;
	}
	cond_signal(&b->tick);
}

static bool has_owner_locked(struct broker *b, int64_t lines)
{
	LIST_EACH(l, &b->bulks.live)
		if (LIST_ENTRY(l, struct bulk, in_live)->lines == lines)
			return true;
	LIST_EACH(l, &b->bulks.claims) /* another content is on its way */
		if (LIST_ENTRY(l, struct bulk_claim, link)->lines == lines)
			return true;
	return false;
}

void batchjob_abandon(struct broker *b, int64_t lines)
{
	bool owned;

	lock_take(&b->lock);
	owned = has_owner_locked(b, lines);
	lock_drop(&b->lock);
	if (!owned)
		batchjob_cancel(b, lines);
}

/* ---- the end of a set ---- */

struct settling {
	struct ledger_post post;
	struct ledger_change change;
	struct broker *b;
	struct batchjob_set *set;
};

static void settled(struct ledger_post *p, int result)
{
	struct settling *x = CONTAINER_OF(p, struct settling, post);

	char dir[NAME_CAP];

	dir_of(x->set->lines, dir);
	if (result ==
	    0) /* else the next mount finds it; refused while another set has files in it */
		(void)unlinkat(x->b->o.jobs_dirfd, dir, AT_REMOVEDIR);
	set_free(x->set);
	free(x);
}

void batchjob_settle(struct broker *b, int64_t lines)
{
	struct settling *x = calloc(1, sizeof(*x));
	struct batchjob_set *s;

	if (!x)
		return; /* rows of samples stay until the next mount */
	lock_take(&b->lock);
	s = batchjob_set_locked(b, lines);
	if (s && (!list_empty(&s->batches) || has_owner_locked(b, lines) || b->stopping))
		s = NULL;
	if (s)
		list_del(&s->link);
	lock_drop(&b->lock);
	if (!s) {
		free(x);
		return;
	}
	x->b = b;
	x->set = s;
	x->change.op = LEDGER_OP_DROP_ROOT;
	x->change.root = s->root;
	x->post.changes = &x->change;
	x->post.n_changes = 1;
	x->post.done = settled;
	ledger_post(b->o.ledger, &x->post);
}

void batchjob_free(struct broker *b)
{
	struct list *l;

	while ((l = list_pop(&b->bulks.batches))) {
		struct batchjob_set *s = set_at(l);

		while ((l = list_pop(&s->batches)))
			destroy(batch_at(l));
		set_free(s);
	}
}

/* ---- after a mount ---- */

static int read_staged(struct batchjob *x)
{
	struct bulk_scan scan = { .fd = -1 };
	struct bulk_text t;
	int fd = batchjob_file(x, "map", O_RDONLY), r;

	if (fd < 0)
		return fd;
	bulk_scan_begin(&scan, fd, OBJECT_MAX);
	while ((r = bulk_scan_next(&scan, &t)) > 0) {
		struct batchjob_sample s;

		r = batchjob_row_sample_read(t.p, t.n, &s);
		if (r == 0)
			r = bulk_set_add(&x->staged, bulk_set_hash(s.path, strlen(s.path)));
		free(s.name);
		if (r < 0)
			break;
	}
	bulk_scan_done(&scan);
	(void)close(fd); /* read only */
	return r < 0 ? r : 0;
}

static void recover_one(struct broker *b, struct batchjob_set *s, const struct ledger_row *row)
{
	struct batchjob *x = batchjob_new(b, s, strtoll(row->path + 1, NULL, 10));
	int r = x ? batchjob_row_read(row->envelope, &x->r) : -ENOMEM;

	if (r == 0 && x->r.state < BATCHJOB_FETCHED)
		r = read_staged(x);
	if (r == 0) {
		x->at.find = x->r.creating;
		if (x->r.state ==
		    BATCHJOB_STAGED) /* it may have been in the middle of the upload */
			x->r.job_at.strays = true;
		return;
	}
	log_msg(LOG_ERROR,
		"a batch that was handed in cannot be read under the state directory (%s); it is "
		"left at its provider",
		strerror(-r));
	if (x) {
		lock_take(&b->lock);
		list_del(&x->link);
		lock_drop(&b->lock);
		destroy(x);
	}
}

/* files of batches that were not handed in yet */
static void remove_strays(struct broker *b, const struct batchjob_set *s)
{
	char dir[NAME_CAP];
	const struct dirent *e;
	int fd;
	DIR *d;

	dir_of(s->lines, dir);
	fd = openat(b->o.jobs_dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d && fd >= 0)
		(void)close(fd); /* read only */
	while (d && (e = readdir(d)) != NULL) {
		int64_t id = strtoll(e->d_name, NULL, 10);
		bool known = id <= 0 || id >= b->first_id;

		lock_take(&b->lock);
		LIST_EACH(l, &s->batches)
			known |= batch_at(l)->id == id;
		lock_drop(&b->lock);
		if (!known)
			(void)unlinkat(fd, e->d_name, 0); /* again by the next mount */
	}
	if (d)
		(void)closedir(d); /* read only */
}

static void recover_set(struct broker *b, int64_t lines)
{
	struct batchjob_set *s = batchjob_set_make(b, lines);
	char after[32] = "z"; /* behind the samples */
	struct ledger_row row;

	while (s && ledger_next_child(b->o.ledger, s->root, "", after, &row) == 0) {
		(void)str_copy(after, sizeof(after), row.path); /* "~ID" fits */
		recover_one(b, s, &row);
		ledger_row_done(&row);
	}
	if (s)
		remove_strays(b, s);
}

static bool next_set(struct broker *b, int64_t after, int64_t *out)
{
	bool found = false;

	LOCK_SCOPE(&b->lock);
	LIST_EACH(l, &b->bulks.batches) {
		int64_t lines = set_at(l)->lines;

		if (lines > after && (!found || lines < *out)) {
			*out = lines;
			found = true;
		}
	}
	return found;
}

/* the ones that were there before this mount; each is its own from the first step on */
static struct batchjob *next_old(struct broker *b, int64_t lines, int64_t after)
{
	const struct batchjob_set *s;
	struct batchjob *next = NULL;

	LOCK_SCOPE(&b->lock);
	s = batchjob_set_locked(b, lines);
	if (s)
		LIST_EACH(l, &s->batches) {
			struct batchjob *x = batch_at(l);

			if (x->id > after && x->id < b->first_id && (!next || x->id < next->id))
				next = x;
		}
	return next;
}

static bool has_job(struct broker *b, int64_t lines)
{
	LOCK_SCOPE(&b->lock);
	return job_of_locked(b, lines) != NULL;
}

void batchjob_recovered(struct broker *b)
{
	int64_t lines = 0, id;
	struct batchjob *x;

	while (next_set(b, lines, &lines)) {
		if (!has_job(b, lines)) /* it went while nobody was there to tell */
			batchjob_cancel(b, lines);
		id = 0;
		while ((x = next_old(b, lines, id))) {
			id = x->id;
			batchjob_step_resume(x);
		}
		batchjob_settle(b, lines);
	}
}

void batchjob_recover(struct broker *b)
{
	int64_t found[256];
	size_t n = 0;
	const struct dirent *e;
	int fd;
	DIR *d;

	if (!bulk_spool_there(b))
		return;
	fd = openat(b->o.jobs_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d && fd >= 0)
		(void)close(fd); /* read only */
	while (d && (e = readdir(d)) != NULL && n < ARRAY_LEN(found))
		if (str_ends(e->d_name, ".batch") && strtoll(e->d_name, NULL, 10) > 0)
			found[n++] = strtoll(e->d_name, NULL, 10);
	if (d)
		(void)closedir(d); /* read only */
	for (size_t i = 0; i < n; i++)
		recover_set(b, found[i]);
}
