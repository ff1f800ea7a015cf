/*
 * infer/catalog.c - the model list of each backend
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/lock.h"
#include "base/mono.h"
#include "base/str.h"
#include "infer/catalog.h"
#include "infer/detail.h"

#include "base/banned.h"

enum { PAGES_MAX = 200, PAGE_BYTES_MAX = 16 << 20 };

/* what is known of one backend's models, and the fetch that is on its way */
struct shelf {
	struct catalog *catalog;
	const struct backend_config *config;
	struct http_target *target;
	/* the catalog's lock */
	struct catalog_list *list; /* NULL: none came yet */
	uint64_t due_ns;	   /* mono_ns: not fetched again before; 0: never fetched */
	bool fetching, patient;	   /* patient: who looks now may still wait */
	struct err error;
	struct list waiters;
	/* the loop thread's */
	struct loop_task begin;
	struct loop_timer patience;
	struct http_transfer *transfer;
	struct {
		int status;
		struct buf body;
		json_t *models;
		unsigned pages;
		double retry_after_s;
	} page;
};

struct catalog {
	struct loop *loop;
	struct http *http;
	struct lock lock;
	struct shelf **shelves;
	size_t n;
	bool ending;
	struct details *details;
};

struct catalog *catalog_new(struct loop *loop, struct http *http)
{
	struct catalog *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = loop;
	c->http = http;
	lock_init(&c->lock, LOCK_ENGINE);
	c->details = detail_new(loop, http, &c->lock);
	return c->details ? c : catalog_free(c);
}

static void list_unref_locked(struct catalog_list *l)
{
	if (!l || --l->refs)
		return;
	json_decref(l->models);
	free(l);
}

struct catalog_list *catalog_unref(struct catalog *c, struct catalog_list *l)
{
	lock_take(&c->lock);
	list_unref_locked(l);
	lock_drop(&c->lock);
	return NULL;
}

/* ---- what came ---- */

void catalog_wake(struct lock *lock, struct list *waiters)
{
	for (;;) {
		struct list *l;

		lock_take(lock);
		l = list_pop(waiters);
		lock_drop(lock);
		if (!l)
			return;
		LIST_ENTRY(l, struct catalog_waiter, link)
			->wake(LIST_ENTRY(l, struct catalog_waiter, link));
	}
}

static const char *id_of(const json_t *model)
{
	const char *id = json_string_value(json_object_get(model, "id"));

	return id ? id : "";
}

/* Every part of it becomes a name in a directory. */
static bool can_be_path(const char *id)
{
	for (;;) {
		size_t n = strcspn(id, "/");

		if (n == 0 || n > 240 || (n == 1 && id[0] == '.') ||
		    (n == 2 && id[0] == '.' && id[1] == '.'))
			return false;
		for (size_t i = 0; i < n; i++)
			if ((unsigned char)id[i] < 0x20 || id[i] == 0x7f)
				return false;
		if (!id[n])
			return true;
		id += n + 1;
	}
}

static int by_id(const void *a, const void *b)
{
	return strcmp(id_of(*(json_t *const *)a), id_of(*(json_t *const *)b));
}

/* Sorted, so that two lists of the same models look alike; what could not be a name is left out. */
static json_t *sorted(json_t *models)
{
	size_t n = json_array_size(models), kept = 0;
	AUTO_FREE json_t **v = calloc(n + 1, sizeof(*v));
	json_t *out = v ? json_array() : NULL;

	for (size_t i = 0; v && i < n; i++)
		if (can_be_path(id_of(json_array_get(models, i))))
			v[kept++] = json_array_get(models, i);
	if (v)
		qsort(v, kept, sizeof(json_t *), by_id);
	for (size_t i = 0; out && i < kept && i < CATALOG_MODELS_MAX; i++) {
		if (i && by_id(&v[i - 1], &v[i]) == 0)
			continue;
		if (json_array_append(out, v[i])) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

static struct catalog_list *make_list(json_t *models)
{
	struct catalog_list *l = calloc(1, sizeof(*l));

	if (l)
		l->models = sorted(models);
	if (!l || !l->models) {
		free(l);
		return NULL;
	}
	l->refs = 1;
	l->fetched_real_ns = mono_real_ns();
	return l;
}

/* The fetch is over: with a list, or with e. A failure leaves the last known list where it is. */
static void over(struct shelf *s, json_t *take_models, const struct err *e)
{
	struct catalog *c = s->catalog;
	struct catalog_list *l = take_models ? make_list(take_models) : NULL;
	uint64_t ttl = l ? s->config->limits.models_ttl_s : CATALOG_AGAIN_S;
	struct list waiters;

	list_init(&waiters);
	json_decref(take_models);
	buf_done(&s->page.body);
	loop_timer_cancel(c->loop, &s->patience);
	lock_take(&c->lock);
	s->fetching = s->patient = false;
	s->due_ns = mono_ns() + ttl * MONO_S;
	s->error = (struct err){ 0 };
	if (l) {
		list_unref_locked(s->list);
		s->list = l;
	} else if (e) {
		s->error = *e;
	} else {
		(void)err_set(&s->error, ERR_INTERNAL, "no memory for the models of %s",
			      s->config->name);
	}
	list_move_all(&waiters, &s->waiters);
	lock_drop(&c->lock);
	catalog_wake(&c->lock, &waiters);
}

/* ---- the fetch, on the loop thread ---- */

static void ask_page(struct shelf *s, const char *query);

static void on_head(void *arg, const struct http_head *h)
{
	struct shelf *s = arg;

	s->page.status = h->status;
	s->page.retry_after_s = h->retry_after_s;
}

static int on_body(void *arg, const char *p, size_t n)
{
	struct shelf *s = arg;

	return buf_add(&s->page.body, p, n) < 0; /* too long: what came is no list */
}

static void fail_page(struct shelf *s, struct err *e)
{
	(void)str_copy(e->backend, sizeof(e->backend), s->config->name); /* cut is fine */
	over(s, NULL, e);
	json_decref(TAKE(s->page.models));
}

static void read_page(struct shelf *s)
{
	const struct backend_type *type = s->config->type;
	json_t *page = json_loadb(buf_str(&s->page.body), s->page.body.len, 0, NULL);
	char next[BACKEND_NEXT_MAX] = "";
	struct err e = { 0 };
	int rc;

	if (!json_is_object(page) && !json_is_array(page))
		rc = err_set(&e, ERR_PROTOCOL, "%s answered something that is no list of models",
			     s->config->name);
	else
		rc = type->models.read(s->config, page, s->page.models, next, &e);
	json_decref(page);
	if (rc < 0)
		fail_page(s, &e);
	else if (!next[0] || ++s->page.pages >= PAGES_MAX ||
		 json_array_size(s->page.models) >= CATALOG_MODELS_MAX)
		over(s, TAKE(s->page.models), NULL);
	else
		ask_page(s, next);
}

static void on_end(void *arg, const struct http_result *r)
{
	struct shelf *s = arg;
	struct err e = { 0 };

	s->transfer = NULL;
	s->page.status = r->head->status; /* an empty body has had no head */
	if (!r->kind && s->page.status >= 200 && s->page.status <= 299) {
		read_page(s);
		return;
	}
	if (r->head->status >= 300 || (r->head->status && !r->kind)) {
		struct backend_failure f = { .status = r->head->status,
					     .body = buf_str(&s->page.body),
					     .len = s->page.body.len,
					     .retry_after_s = s->page.retry_after_s,
					     .should_retry = -1 };

		(void)s->config->type->error(s->config, &f, &e); /* asked again at the next look */
	} else {
		(void)err_set(&e, r->kind ? r->kind : ERR_PROTOCOL,
			      "the models of %s could not be listed: %s", s->config->name,
			      r->detail[0] ? r->detail : "no answer");
	}
	fail_page(s, &e);
}

static const struct http_events events = { .head = on_head, .body = on_body, .end = on_end };

static void ask_page(struct shelf *s, const char *query)
{
	const struct backend_type *type = s->config->type;
	AUTO_FREE char *url = str_printf("%s%s%s", s->config->at.url, type->models.path, query);
	char header[BACKEND_HEADER_MAX] = "";
	struct http_request r = {
		.target = s->target, .url = url, .header = header, .body_max = PAGE_BYTES_MAX
	};
	struct err e = { 0 };

	buf_clear(&s->page.body);
	s->page.status = 0;
	if (type->models.header)
		type->models.header(s->config, header);
	if (url && http_start(s->catalog->http, &r, &events, s, &s->transfer) == 0)
		return;
	(void)err_set(&e, ERR_INTERNAL, "no memory to list the models of %s", s->config->name);
	fail_page(s, &e);
}

/* Those who wait have waited long enough; the list may still come. */
static void on_patience(struct loop_timer *t)
{
	struct shelf *s = CONTAINER_OF(t, struct shelf, patience);
	struct list waiters;

	list_init(&waiters);
	lock_take(&s->catalog->lock);
	s->patient = false;
	list_move_all(&waiters, &s->waiters);
	lock_drop(&s->catalog->lock);
	catalog_wake(&s->catalog->lock, &waiters);
}

static void on_begin(struct loop_task *t)
{
	struct shelf *s = CONTAINER_OF(t, struct shelf, begin);

	buf_init(&s->page.body, PAGE_BYTES_MAX);
	s->page.models = json_array();
	s->page.pages = 0;
	if (!s->target && s->page.models) { /* in process: a model of its own name */
		(void)json_array_append_new(s->page.models,
					    json_pack("{s:s}", "id", s->config->type->name));
		over(s, TAKE(s->page.models), NULL);
		return;
	}
	if (!s->page.models || loop_timer_arm(s->catalog->loop, &s->patience,
					      mono_ns() + CATALOG_PATIENCE_S * MONO_S)) {
		json_decref(TAKE(s->page.models));
		over(s, NULL, NULL);
		return;
	}
	ask_page(s, "");
}

/* ---- from other threads ---- */

int catalog_add(struct catalog *c, const struct backend_config *config, struct http_target *target)
{
	struct shelf **more = realloc(c->shelves, (c->n + 1) * sizeof(struct shelf *));
	struct shelf *s = calloc(1, sizeof(*s));

	if (more)
		c->shelves = more;
	if (!more || !s) {
		free(s);
		return -ENOMEM;
	}
	s->catalog = c;
	s->config = config;
	s->target = target;
	s->begin.run = on_begin;
	s->patience.fire = on_patience;
	list_init(&s->waiters);
	c->shelves[c->n++] = s;
	return detail_add(c->details, config, target);
}

/* A key that is missing is known without asking; a list that is not there is no failure. */
static bool may_fetch(struct shelf *s)
{
	const struct backend_config *b = s->config;

	if (!s->target)
		return true;
	if (!b->type->models.path || !b->type->models.read)
		return false;
	if (b->at.key || !b->at.key_hint)
		return true;
	(void)err_set(&s->error, ERR_NO_KEY, "there is no key for %s: %s", b->name, b->at.key_hint);
	return false;
}

static void refresh_locked(struct shelf *s)
{
	if (s->fetching || s->catalog->ending || (s->due_ns && mono_ns() < s->due_ns) ||
	    !may_fetch(s))
		return;
	s->fetching = loop_post(s->catalog->loop, &s->begin) == 0;
	s->patient = s->fetching;
}

static struct catalog_list *ref_locked(struct shelf *s)
{
	if (s->list)
		s->list->refs++;
	return s->list;
}

bool catalog_look(struct catalog *c, size_t n, struct catalog_list **out)
{
	struct shelf *s = n < c->n ? c->shelves[n] : NULL;

	*out = NULL;
	if (!s)
		return false;
	LOCK_SCOPE(&c->lock);
	refresh_locked(s);
	*out = ref_locked(s);
	return !s->list && s->patient;
}

void catalog_peek(struct catalog *c, size_t n, struct catalog_list **out, struct err *e)
{
	struct shelf *s = n < c->n ? c->shelves[n] : NULL;

	*out = NULL;
	*e = (struct err){ 0 };
	if (!s)
		return;
	LOCK_SCOPE(&c->lock);
	*out = ref_locked(s);
	*e = s->error;
}

void catalog_stale(struct catalog *c, size_t n)
{
	if (n >= c->n)
		return;
	detail_stale(c->details, n);
	LOCK_SCOPE(&c->lock);
	c->shelves[n]->due_ns = 0;
}

struct details *catalog_details(struct catalog *c)
{
	return c->details;
}

bool catalog_wait(struct catalog *c, size_t n, struct catalog_waiter *w)
{
	struct shelf *s = n < c->n ? c->shelves[n] : NULL;

	if (!s)
		return false;
	LOCK_SCOPE(&c->lock);
	if (s->list || !s->patient || c->ending)
		return false;
	list_append(&s->waiters, &w->link);
	return true;
}

bool catalog_unwait(struct catalog *c, struct catalog_waiter *w)
{
	LOCK_SCOPE(&c->lock);
	if (list_empty(&w->link))
		return false;
	list_del(&w->link);
	return true;
}

void catalog_end(struct catalog *c)
{
	struct list waiters;

	list_init(&waiters);
	lock_take(&c->lock);
	c->ending = true;
	for (size_t i = 0; i < c->n; i++)
		list_move_all(&waiters, &c->shelves[i]->waiters);
	lock_drop(&c->lock);
	for (size_t i = 0; i < c->n; i++) {
		struct shelf *s = c->shelves[i];

		if (s->transfer)
			http_cancel(TAKE(s->transfer));
		loop_timer_cancel(c->loop, &s->patience);
	}
	catalog_wake(&c->lock, &waiters);
	detail_end(c->details);
}

struct catalog *catalog_free(struct catalog *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < c->n; i++) {
		struct shelf *s = c->shelves[i];

		list_unref_locked(s->list);
		json_decref(s->page.models);
		buf_done(&s->page.body);
		free(s);
	}
	free(c->shelves);
	c->details = detail_free(c->details);
	lock_done(&c->lock);
	free(c);
	return NULL;
}
