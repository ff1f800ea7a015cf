/*
 * fakes/broker.c - a broker that writes down what it is told; included by a test, never linked beside the
 * real one
 *
 * It knows names and ids. A text with "bad" in it is refused with EINVAL; a JSON text without a closing }
 * is unfinished; the same text under the same name is the same request. fake_hold makes checks, drops and
 * moves wait until fake_go.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/pool.h"
#include "base/str.h"
#include "jobs/broker.h"
#include "jobs/broker_ns.h"

#define FAKE_NAMES 64

struct fake_name {
	char path[400], text[256]; /* path: of a namespace with its name and a colon before it */
	struct broker_view view;
};

struct fake_held {
	struct list link;
	broker_checked_fn *checked;
	broker_done_fn *done;
	void *arg;
	struct broker_accepted r;
};

static struct broker {
	struct lock lock;
	struct pool *pool;
	struct store *store;
	struct fake_name names[FAKE_NAMES];
	struct list held, waiters;
	bool hold;
	int64_t last_id;
	size_t len;
	char log[1 << 16];
	char refused[512];
} fake;

/* ids that have no name here: another fake's */
static int (*fake_get_more)(int64_t id, struct broker_view *out);

static __attribute__((unused)) struct broker *fake_new(void)
{
	memset(&fake, 0, sizeof(fake));
	lock_init(&fake.lock, LOCK_BROKER);
	list_init(&fake.held);
	list_init(&fake.waiters);
	fake.pool = pool_new("fake", 1, 1000);
	return &fake;
}

static void __attribute__((unused)) fake_free(void)
{
	fake.pool = pool_stop(fake.pool);
	lock_done(&fake.lock);
}

/* the calls since the last time, separated by "; " */
static __attribute__((unused)) const char *fake_log(void)
{
	static char out[sizeof(fake.log)];

	lock_take(&fake.lock);
	memcpy(out, fake.log, fake.len);
	out[fake.len] = '\0';
	fake.len = 0;
	lock_drop(&fake.lock);
	return out;
}

static void note(const char *fmt, const char *a, const char *b, const char *c)
{
	char line[800];

	(void)snprintf(line, sizeof(line), fmt, a, b, c);
	fake.len += (size_t)snprintf(fake.log + fake.len, sizeof(fake.log) - fake.len, "%s%s",
				     fake.len ? "; " : "", line);
}

static const char *full(const char *root, const char *path)
{
	static char out[2][400];
	static int i;

	i = !i;
	(void)snprintf(out[i], sizeof(out[i]), "%s%s%s", root, root[0] ? ":" : "", path);
	return out[i];
}

static struct fake_name *name_of(const char *path, bool make)
{
	struct fake_name *empty = NULL;

	for (int i = 0; i < FAKE_NAMES; i++) {
		if (!strcmp(fake.names[i].path, path))
			return &fake.names[i];
		if (!fake.names[i].path[0] && !empty)
			empty = &fake.names[i];
	}
	if (make)
		(void)str_copy(empty->path, sizeof(empty->path), path);
	return make ? empty : NULL;
}

static struct fake_name *id_of(int64_t id)
{
	for (int i = 0; i < FAKE_NAMES; i++)
		if (fake.names[i].path[0] && fake.names[i].view.id == id)
			return &fake.names[i];
	return NULL;
}

static void __attribute__((unused)) fake_hold(void)
{
	lock_take(&fake.lock);
	fake.hold = true;
	lock_drop(&fake.lock);
}

static void call(struct fake_held *h)
{
	if (h->checked)
		h->checked(h->arg, &h->r);
	else
		h->done(h->arg, 0);
	free(h);
}

/* the oldest held callback, on this thread; false: there is none */
static bool __attribute__((unused)) fake_go_one(void)
{
	struct list *l;

	lock_take(&fake.lock);
	l = list_pop(&fake.held);
	lock_drop(&fake.lock);
	if (l)
		call(LIST_ENTRY(l, struct fake_held, link));
	return l;
}

static void __attribute__((unused)) fake_go(void)
{
	lock_take(&fake.lock);
	fake.hold = false;
	lock_drop(&fake.lock);
	while (fake_go_one())
		;
}

/* the lock is held, and dropped here */
static void finish_or_hold(const struct fake_held *like)
{
	struct fake_held *h = malloc(sizeof(*h));
	bool hold = fake.hold;

	*h = *like;
	if (hold)
		list_append(&fake.held, &h->link);
	lock_drop(&fake.lock);
	if (!hold)
		call(h);
}

static void __attribute__((unused)) fake_final(int64_t id, enum broker_state state, int code)
{
	struct list ready, *l;

	list_init(&ready);
	lock_take(&fake.lock);
	id_of(id)->view.state = state;
	id_of(id)->view.code = code;
	LIST_EACH_SAFE(w, tmp, &fake.waiters) {
		if (LIST_ENTRY(w, struct broker_waiter, link)->id != id)
			continue;
		list_del(w);
		list_append(&ready, w);
	}
	lock_drop(&fake.lock);
	while ((l = list_pop(&ready))) {
		struct broker_waiter *w = LIST_ENTRY(l, struct broker_waiter, link);

		w->wake(w);
	}
}

int broker_find(struct broker *b, const char *root, const char *path, struct broker_view *out)
{
	const struct fake_name *n;
	LOCK_SCOPE(&b->lock);

	n = name_of(full(root, path), false);
	if (!n)
		return -ENOENT;
	*out = n->view;
	return 0;
}

int broker_get(struct broker *b, int64_t id, struct broker_view *out)
{
	const struct fake_name *n;
	LOCK_SCOPE(&b->lock);

	n = id_of(id);
	if (!n)
		return fake_get_more ? fake_get_more(id, out) : -ENOENT;
	*out = n->view;
	return 0;
}

void broker_check(struct broker *b, const struct broker_doc *d, broker_checked_fn *done, void *arg)
{
	struct fake_held h = { .checked = done, .arg = arg };
	struct fake_name *n;
	char text[256];
	const char *path;

	(void)snprintf(text, sizeof(text), "%.*s", d->len < 250 ? (int)d->len : 250, d->text);
	lock_take(&b->lock);
	path = full(d->root, d->path);
	note("check %s%s%s", path, d->final ? " final" : "", d->send ? " send" : "");
	if (d->defaults)
		note("with %s%s%s defaults", json_array_size(d->defaults) > 1 ? "2" : "1", "", "");
	if (strstr(text, "bad") || (d->final && d->form == REQUEST_JSON && !strchr(text, '}'))) {
		n = name_of(path, true);
		n->view = (struct broker_view){ .id = ++b->last_id,
						.state = BROKER_REFUSED,
						.code = EINVAL };
		n->text[0] = '\0';
		h.r.code = EINVAL;
	} else if (d->form == REQUEST_TEXT || strchr(text, '}')) {
		n = name_of(path, true);
		h.r.same = !strcmp(n->text, text);
		if (!h.r.same)
			n->view =
				(struct broker_view){ .id = ++b->last_id, .state = BROKER_QUEUED };
		(void)str_copy(n->text, sizeof(n->text), text);
		h.r.id = n->view.id;
	}
	finish_or_hold(&h);
}

void broker_check_refuse(struct broker *b, const char *root, const char *path, const char *suffix,
			 const struct err *e)
{
	LOCK_SCOPE(&b->lock);

	path = full(root, path);
	name_of(path, true)->view = (struct broker_view){ .id = ++b->last_id,
							  .state = BROKER_REFUSED,
							  .code = e->code };
	note("refuse %s%s %s", path, suffix, err_name(e->code));
	(void)str_copy(b->refused, sizeof(b->refused), e->message);
}

void broker_send(struct broker *b, int64_t id)
{
	LOCK_SCOPE(&b->lock);

	note("send %s%s%s", id_of(id) ? id_of(id)->path : "?", "", "");
}

void broker_name_drop(struct broker *b, const char *root, const char *path, broker_done_fn *done,
		      void *arg)
{
	struct fake_held h = { .done = done, .arg = arg };

	lock_take(&b->lock);
	path = full(root, path);
	note("drop %s%s%s", path, "", "");
	if (name_of(path, false))
		*name_of(path, false) = (struct fake_name){ 0 };
	finish_or_hold(&h);
}

void broker_name_move(struct broker *b, const struct broker_move *m, broker_done_fn *done,
		      void *arg)
{
	struct fake_held h = { .done = done, .arg = arg };
	const char *path, *to_path;
	struct fake_name *n, *to;

	lock_take(&b->lock);
	path = full(m->root, m->path);
	to_path = full(m->to_root, m->to_path);
	note(m->tree ? "move tree %s %s%s" : "move %s %s%s", path, to_path, m->swap ? " swap" : "");
	n = name_of(path, false);
	to = name_of(to_path, false);
	if (to && !m->swap)
		*to = (struct fake_name){ 0 };
	if (n)
		(void)str_copy(n->path, sizeof(n->path), to_path);
	if (to && m->swap)
		(void)str_copy(to->path, sizeof(to->path), path);
	finish_or_hold(&h);
}

int broker_wait(struct broker *b, int64_t id, struct broker_waiter *w)
{
	const struct fake_name *n;
	LOCK_SCOPE(&b->lock);

	n = id_of(id);
	if (!n)
		return -ENOENT;
	if (broker_is_final(n->view.state))
		return -EALREADY;
	w->id = id;
	list_append(&b->waiters, &w->link);
	return 0;
}

bool broker_unwait(struct broker *b, struct broker_waiter *w)
{
	LOCK_SCOPE(&b->lock);

	LIST_EACH(l, &b->waiters) {
		if (l == &w->link) {
			list_del(l);
			return true;
		}
	}
	return false;
}

int broker_ns_usage(struct broker *b, const char *ns, struct buf *out)
{
	(void)b;
	return buf_addf(out, "{\"of\":\"%s\"}\n", ns);
}

void broker_ns_forget(struct broker *b, const char *ns, broker_done_fn *done, void *arg)
{
	struct fake_held h = { .done = done, .arg = arg };

	lock_take(&b->lock);
	note("forget %s%s%s", ns, "", "");
	finish_or_hold(&h);
}

int broker_post(struct broker *b, struct pool_task *t)
{
	return pool_post(b->pool, t);
}

struct store *broker_store(struct broker *b)
{
	return b->store;
}
