/*
 * infer/detail.c - what a backend tells of one model only when it is asked for that one
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/map.h"
#include "base/mono.h"
#include "base/str.h"
#include "infer/detail.h"

#include "base/banned.h"

enum { ANSWER_MAX = 8 << 20, MODEL_BODY_MAX = 4096 };

/* one model that somebody looked at; lives as long as its desk */
struct detail {
	struct map_link by_id;
	struct list link; /* desk.all */
	struct desk *desk;
	char *id;
	/* the lock's */
	json_t *card; /* NULL: none came yet */
	uint64_t due_ns;
	bool asking, patient; /* patient: who looks now may still wait */
	struct list waiters;
	/* the loop thread's */
	struct loop_task begin;
	struct loop_timer patience;
	struct http_transfer *transfer;
	struct buf question, answer;
};

/* one backend */
struct desk {
	struct details *details;
	const struct backend_config *config;
	struct http_target *target;
	struct map by_id;
	struct list all;
	uint64_t rest_ns; /* nobody is asked before */
};

struct details {
	struct loop *loop;
	struct http *http;
	struct lock *lock;
	struct desk **desks;
	size_t n;
	bool ending;
};

struct details *detail_new(struct loop *loop, struct http *http, struct lock *lock)
{
	struct details *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->loop = loop;
	d->http = http;
	d->lock = lock;
	return d;
}

int detail_add(struct details *d, const struct backend_config *config, struct http_target *target)
{
	struct desk **more = realloc(d->desks, (d->n + 1) * sizeof(struct desk *));
	struct desk *k = calloc(1, sizeof(*k));

	if (more)
		d->desks = more;
	if (!more || !k) {
		free(k);
		return -ENOMEM;
	}
	k->details = d;
	k->config = config;
	k->target = target;
	map_init(&k->by_id);
	list_init(&k->all);
	d->desks[d->n++] = k;
	return 0;
}

static const struct backend_detail *way(const struct desk *k)
{
	return k->target ? k->config->type->models.detail : NULL;
}

/* ---- one question, on the loop thread ---- */

/* The last answer stays where it is when this one failed; rest: it is the backend's fault, and not the model's. */
static void over(struct detail *x, json_t *take_card, bool rest)
{
	struct details *d = x->desk->details;
	uint64_t ttl = take_card ? x->desk->config->limits.models_ttl_s : CATALOG_AGAIN_S;
	uint64_t now = mono_ns();
	struct list waiters;

	list_init(&waiters);
	buf_done(&x->question);
	buf_done(&x->answer);
	loop_timer_cancel(d->loop, &x->patience);
	lock_take(d->lock);
	x->asking = x->patient = false;
	x->due_ns = now + ttl * MONO_S;
	if (take_card) {
		json_decref(x->card);
		x->card = take_card;
	} else if (rest) {
		x->desk->rest_ns = now + CATALOG_AGAIN_S * MONO_S;
	}
	list_move_all(&waiters, &x->waiters);
	lock_drop(d->lock);
	catalog_wake(d->lock, &waiters);
}

static int on_body(void *arg, const char *p, size_t n)
{
	return buf_add(&((struct detail *)arg)->answer, p, n) < 0; /* too long: no answer */
}

static void on_head(void *arg, const struct http_head *h)
{
	(void)arg;
	(void)h;
}

static void on_end(void *arg, const struct http_result *r)
{
	struct detail *x = arg;
	json_t *answer = NULL, *card = NULL;

	x->transfer = NULL;
	if (!r->kind && r->head->status == 200)
		answer = json_loadb(buf_str(&x->answer), x->answer.len, 0, NULL);
	if (json_is_object(answer))
		card = json_object();
	if (card)
		way(x->desk)->read(answer, card);
	json_decref(answer);
	over(x, card, r->kind != ERR_NONE || r->head->status >= 500);
}

static const struct http_events events = { .head = on_head, .body = on_body, .end = on_end };

/* Those who wait have waited long enough; the answer may still come. */
static void on_patience(struct loop_timer *t)
{
	struct detail *x = CONTAINER_OF(t, struct detail, patience);
	struct lock *lock = x->desk->details->lock;
	struct list waiters;

	list_init(&waiters);
	lock_take(lock);
	x->patient = false;
	x->desk->rest_ns = mono_ns() + CATALOG_AGAIN_S * MONO_S;
	list_move_all(&waiters, &x->waiters);
	lock_drop(lock);
	catalog_wake(lock, &waiters);
}

static int write_question(struct detail *x)
{
	json_t *o = json_pack("{s:s}", "model", x->id);
	AUTO_FREE char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return text ? buf_adds(&x->question, text) : -ENOMEM;
}

static void on_begin(struct loop_task *t)
{
	struct detail *x = CONTAINER_OF(t, struct detail, begin);
	struct desk *k = x->desk;
	struct details *d = k->details;
	AUTO_FREE char *url = str_printf("%s%s", k->config->at.url, way(k)->path);
	struct http_request r = { .target = k->target, .url = url, .body_max = ANSWER_MAX };

	buf_init(&x->question, MODEL_BODY_MAX);
	buf_init(&x->answer, ANSWER_MAX);
	if (url && !d->ending && write_question(x) == 0 &&
	    loop_timer_arm(d->loop, &x->patience, mono_ns() + CATALOG_PATIENCE_S * MONO_S) == 0) {
		r.body = buf_str(&x->question);
		r.body_len = x->question.len;
		if (http_start(d->http, &r, &events, x, &x->transfer) == 0)
			return;
	}
	over(x, NULL, false);
}

/* ---- from other threads ---- */

static bool same_id(const struct map_link *l, const void *key)
{
	return strcmp(CONTAINER_OF(l, const struct detail, by_id)->id, key) == 0;
}

static struct detail *find_locked(struct details *d, size_t n, const char *id)
{
	struct desk *k = n < d->n ? d->desks[n] : NULL;
	struct map_link *l = k ? map_find(&k->by_id, map_hash(id, strlen(id)), same_id, id) : NULL;

	return l ? CONTAINER_OF(l, struct detail, by_id) : NULL;
}

static struct detail *make_locked(struct desk *k, const char *id)
{
	struct detail *x = k->by_id.n < CATALOG_MODELS_MAX ? calloc(1, sizeof(*x)) : NULL;

	if (x)
		x->id = strdup(id);
	if (!x || !x->id || map_add(&k->by_id, &x->by_id, map_hash(id, strlen(id)))) {
		if (x)
			free(x->id);
		free(x);
		return NULL;
	}
	x->desk = k;
	x->begin.run = on_begin;
	x->patience.fire = on_patience;
	list_init(&x->waiters);
	list_append(&k->all, &x->link);
	return x;
}

bool detail_look(struct details *d, size_t n, const char *id)
{
	struct desk *k = n < d->n && way(d->desks[n]) ? d->desks[n] : NULL;
	struct detail *x;
	uint64_t now = mono_ns();

	if (!k)
		return false;
	LOCK_SCOPE(d->lock);
	x = find_locked(d, n, id);
	if (!x && !d->ending)
		x = make_locked(k, id);
	if (!x)
		return false; /* no memory: the list's own words are there */
	if (!x->asking && !d->ending && now >= x->due_ns && now >= k->rest_ns) {
		x->asking = loop_post(d->loop, &x->begin) == 0;
		x->patient = x->asking && !x->card;
	}
	return x->patient;
}

bool detail_wait(struct details *d, size_t n, const char *id, struct catalog_waiter *w)
{
	struct detail *x;

	LOCK_SCOPE(d->lock);
	x = find_locked(d, n, id);
	if (!x || !x->patient || d->ending)
		return false;
	list_append(&x->waiters, &w->link);
	return true;
}

json_t *detail_copy(struct details *d, size_t n, const char *id)
{
	struct detail *x;

	LOCK_SCOPE(d->lock);
	x = find_locked(d, n, id);
	/* a copy: jansson's counting is no barrier between threads */
	return x ? json_deep_copy(x->card) : NULL;
}

void detail_stale(struct details *d, size_t n)
{
	if (n >= d->n)
		return;
	LOCK_SCOPE(d->lock);
	LIST_EACH(l, &d->desks[n]->all)
		LIST_ENTRY(l, struct detail, link)->due_ns = 0;
}

void detail_end(struct details *d)
{
	struct list waiters;

	list_init(&waiters);
	lock_take(d->lock);
	d->ending = true;
	for (size_t i = 0; i < d->n; i++)
		LIST_EACH(l, &d->desks[i]->all)
			list_move_all(&waiters, &LIST_ENTRY(l, struct detail, link)->waiters);
	lock_drop(d->lock);
	/* no detail is made any more: the lists are this thread's */
	for (size_t i = 0; i < d->n; i++)
		LIST_EACH(l, &d->desks[i]->all) {
			struct detail *x = LIST_ENTRY(l, struct detail, link);

			if (x->transfer)
				http_cancel(TAKE(x->transfer));
			loop_timer_cancel(d->loop, &x->patience);
		}
	catalog_wake(d->lock, &waiters);
}

static void desk_free(struct desk *k)
{
	struct list *l;

	while ((l = list_pop(&k->all))) {
		struct detail *x = LIST_ENTRY(l, struct detail, link);

		json_decref(x->card);
		buf_done(&x->question);
		buf_done(&x->answer);
		free(x->id);
		free(x);
	}
	map_done(&k->by_id);
	free(k);
}

struct details *detail_free(struct details *d)
{
	if (!d)
		return NULL;
	for (size_t i = 0; i < d->n; i++)
		desk_free(d->desks[i]);
	free(d->desks);
	free(d);
	return NULL;
}
