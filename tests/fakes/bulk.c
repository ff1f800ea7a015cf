/*
 * fakes/bulk.c - a job of many lines beside fakes/broker.c: its files are what a test has put there
 *
 * Its lines are called line000001 and so on, and have the ids FAKE_LINE + number; each of them is done, but
 * line000002, which has failed. next_item counts how often it was asked.
 */
#include <unistd.h>

#include "base/mono.h"
#include "fakes/broker.c"
#include "jobs/broker_bulk.h"

#define FAKE_JOB  7
#define FAKE_LINE 1000000

struct broker_bulk_reader {
	enum broker_bulk_file f;
	size_t told; /* of progress */
};

static struct {
	char text[4][4096]; /* by enum broker_bulk_file */
	bool gone;
	int lines, readers, asked;
	struct list waiters;
} bulk;

static struct broker_view *fake_job(void)
{
	return &name_of("many", false)->view;
}

static int fake_line(int64_t id, struct broker_view *out)
{
	if (id <= FAKE_LINE || id > FAKE_LINE + bulk.lines)
		return -ENOENT;
	*out = (struct broker_view){ .id = id,
				     .state = BROKER_DONE,
				     .has_request = true,
				     .n = 1,
				     .text_bytes = 5,
				     .changed_ns = 9 * MONO_S };
	if (id == FAKE_LINE + 2) {
		out->state = BROKER_FAILED;
		out->code = EINVAL;
	}
	return 0;
}

static void __attribute__((unused)) fake_bulk_new(int lines)
{
	memset(&bulk, 0, sizeof(bulk));
	list_init(&bulk.waiters);
	bulk.lines = lines;
	fake_get_more = fake_line;
	name_of("many", true)->view = (struct broker_view){
		.id = FAKE_JOB, .state = BROKER_RUNNING, .bulk = true, .changed_ns = 3 * MONO_S
	};
}

static void __attribute__((unused)) fake_bulk_wake(void)
{
	struct list ready, *l;

	list_init(&ready);
	lock_take(&fake.lock);
	list_move_all(&ready, &bulk.waiters);
	lock_drop(&fake.lock);
	while ((l = list_pop(&ready))) {
		struct broker_bulk_waiter *w = LIST_ENTRY(l, struct broker_bulk_waiter, link);

		w->wake(w);
	}
}

static void __attribute__((unused)) fake_bulk_append(enum broker_bulk_file f, const char *text)
{
	lock_take(&fake.lock);
	(void)strncat(bulk.text[f], text, sizeof(bulk.text[f]) - strlen(bulk.text[f]) - 1);
	lock_drop(&fake.lock);
	fake_bulk_wake();
}

static void __attribute__((unused)) fake_bulk_final(enum broker_state s)
{
	fake_final(FAKE_JOB, s, s == BROKER_DONE ? 0 : EREMOTEIO);
	fake_bulk_wake();
}

void broker_bulk_check(struct broker *b, const struct broker_bulk_doc *d, broker_checked_fn *done,
		       void *arg)
{
	struct fake_held h = { .checked = done, .arg = arg };
	char text[256] = "";

	lock_take(&b->lock);
	if (pread(d->fd, text, sizeof(text) - 1, 0) < 0)
		text[0] = '\0';
	note("bulk %s%s%s", full(d->root, d->path), d->final ? " final" : "",
	     d->send ? " send" : "");
	if (d->defaults)
		note("with %s%s%s defaults", "some", "", "");
	if (strstr(text, "bad"))
		h.r.code = EINVAL;
	else
		h.r.id = FAKE_JOB;
	finish_or_hold(&h);
}

int broker_bulk_item(struct broker *b, int64_t job, const char *name, struct broker_view *out)
{
	(void)b;
	if (job != FAKE_JOB || strncmp(name, "line", 4) != 0)
		return -ENOENT;
	return fake_line(FAKE_LINE + atoi(name + 4), out);
}

int broker_bulk_next_item(struct broker *b, int64_t job, const char *after, char **out_name,
			  struct broker_view *out)
{
	int next = (after[0] ? atoi(after + 4) : 0) + 1;
	int r = fake_line(FAKE_LINE + next, out);

	(void)b;
	(void)job;
	bulk.asked++;
	if (r == 0)
		*out_name = str_printf("line%06d", next);
	return r;
}

int broker_bulk_file_size(struct broker *b, int64_t job, enum broker_bulk_file f, uint64_t *out)
{
	LOCK_SCOPE(&b->lock);

	if (job != FAKE_JOB)
		return -ENOENT;
	if (!broker_is_final(fake_job()->state))
		return -EAGAIN;
	*out = strlen(bulk.text[f]);
	return 0;
}

int broker_bulk_open(struct broker *b, int64_t job, enum broker_bulk_file f,
		     struct broker_bulk_reader **out)
{
	LOCK_SCOPE(&b->lock);

	if (job != FAKE_JOB)
		return -ENOENT;
	if ((f == BULK_OUTPUT || f == BULK_ERRORS) && !broker_is_final(fake_job()->state))
		return -EAGAIN;
	*out = calloc(1, sizeof(**out));
	(*out)->f = f;
	bulk.readers++;
	return 0;
}

struct broker_bulk_reader *broker_bulk_close(struct broker_bulk_reader *r)
{
	if (r)
		bulk.readers--;
	free(r);
	return NULL;
}

uint64_t broker_bulk_size(struct broker_bulk_reader *r)
{
	LOCK_SCOPE(&fake.lock);
	return strlen(bulk.text[r->f]);
}

static ssize_t left_locked(struct broker_bulk_reader *r, uint64_t off)
{
	size_t have = strlen(bulk.text[r->f]);

	if (r->f == BULK_PROGRESS)
		off = r->told;
	if (off < have)
		return (ssize_t)(have - off);
	if (bulk.gone)
		return -ECANCELED;
	return broker_is_final(fake_job()->state) ? 0 : -EAGAIN;
}

ssize_t broker_bulk_read(struct broker_bulk_reader *r, void *buf, size_t len, uint64_t off)
{
	ssize_t n;
	LOCK_SCOPE(&fake.lock);

	n = left_locked(r, off);
	if (n <= 0)
		return n;
	if ((size_t)n > len)
		n = (ssize_t)len;
	memcpy(buf, bulk.text[r->f] + (r->f == BULK_PROGRESS ? r->told : off), (size_t)n);
	r->told += (size_t)n;
	return n;
}

int broker_bulk_wait(struct broker_bulk_reader *r, struct broker_bulk_waiter *w)
{
	LOCK_SCOPE(&fake.lock);

	list_init(&w->link);
	if (left_locked(r, w->off) != -EAGAIN)
		return -EALREADY;
	list_append(&bulk.waiters, &w->link);
	return 0;
}

bool broker_bulk_unwait(struct broker_bulk_reader *r, struct broker_bulk_waiter *w)
{
	bool parked;
	LOCK_SCOPE(&fake.lock);

	(void)r;
	parked = !list_empty(&w->link);
	list_del(&w->link);
	return parked;
}
