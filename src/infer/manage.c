/*
 * infer/manage.c - models that a backend keeps on its own machine
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/lock.h"
#include "base/mono.h"
#include "base/str.h"
#include "infer/failure.h"
#include "infer/manage.h"
#include "net/ndjson.h"

#include "base/banned.h"

enum { LINE_MAX_BYTES = 1 << 20, LOADED_MAX = 4 << 20, RUNNING_MAX = 4 };
#define LOADED_AGE_NS (2 * MONO_S)

/* one order on its way, and afterwards what became of it */
struct order {
	struct list link; /* shop.orders; lock */
	struct shop *shop;
	struct manage_view view; /* lock */
	/* the loop thread's */
	struct loop_task begin;
	struct http_transfer *transfer;
	struct ndjson lines;
	struct buf body, error;
	int status;
	bool success;
	struct err err;
};

struct shop {
	struct manage *manage;
	const struct backend_config *config;
	struct http_target *target;
	size_t n;
	struct list orders; /* lock; oldest first */
	size_t n_orders;
	struct {
		json_t *list;	 /* lock */
		uint64_t due_ns; /* lock */
		bool asking;	 /* lock */
		struct loop_task begin;
		struct http_transfer *transfer;
		struct buf body;
		int status;
	} loaded;
};

struct manage {
	struct loop *loop;
	struct http *http;
	struct catalog *catalog;
	struct lock lock;
	struct shop **shops;
	size_t n;
	bool ending;
};

struct manage *manage_new(struct loop *loop, struct http *http, struct catalog *catalog)
{
	struct manage *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->loop = loop;
	m->http = http;
	m->catalog = catalog;
	lock_init(&m->lock, LOCK_ENGINE);
	return m;
}

static const struct backend_manage *ways(const struct shop *s)
{
	return s->target ? s->config->type->models.manage : NULL;
}

bool manage_can(const struct manage *m, size_t n)
{
	return n < m->n && ways(m->shops[n]);
}

/* ---- one order, on the loop thread ---- */

static void order_free(struct order *o)
{
	ndjson_done(&o->lines);
	buf_done(&o->body);
	buf_done(&o->error);
	free(o);
}

static void order_over(struct order *o, const struct err *e)
{
	struct manage *m = o->shop->manage;

	lock_take(&m->lock);
	o->view.state = e ? MANAGE_FAILED : MANAGE_DONE;
	o->view.changed_real_ns = mono_real_ns();
	if (e)
		(void)str_copy(o->view.error, sizeof(o->view.error), e->message); /* same size */
	o->shop->loaded.due_ns = 0;
	lock_drop(&m->lock);
	catalog_stale(m->catalog, o->shop->n);
}

static void order_failed(struct order *o, enum err_kind kind, const char *why)
{
	struct err e = { 0 };

	(void)err_set(&e, kind, "%s: %s of %s failed: %s", o->shop->config->name,
		      o->view.remove ? "the removal" : "the pull", o->view.model, why);
	order_over(o, &e);
}

static int64_t count_of(const json_t *line, const char *name)
{
	const json_t *v = json_object_get(line, name);

	return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : -1;
}

/* {"status":"pulling 0123","total":N,"completed":N}, at last {"status":"success"}; or {"error":".."} */
static int on_line(void *arg, const char *text, size_t n)
{
	struct order *o = arg;
	json_t *line = json_loadb(text, n, 0, NULL);
	const json_t *status = json_object_get(line, "status");
	const json_t *error = json_object_get(line, "error");
	char word[sizeof(o->view.status)];

	if (json_is_string(error)) {
		buf_clear(&o->error);
		(void)buf_adds(&o->error, json_string_value(error)); /* cut is fine */
	} else if (json_is_string(status)) {
		o->success = strcmp(json_string_value(status), "success") == 0;
		failure_text(word, sizeof(word), json_string_value(status),
			     json_string_length(status));
		lock_take(&o->shop->manage->lock);
		(void)str_copy(o->view.status, sizeof(o->view.status), word); /* same size */
		o->view.total = count_of(line, "total");
		o->view.completed = count_of(line, "completed");
		o->view.changed_real_ns = mono_real_ns();
		lock_drop(&o->shop->manage->lock);
	}
	json_decref(line);
	return 0;
}

static void on_head(void *arg, const struct http_head *h)
{
	((struct order *)arg)->status = h->status;
}

static int on_body(void *arg, const char *p, size_t n)
{
	struct order *o = arg;

	if (o->status < 200 || o->status > 299) {
		(void)buf_add(&o->error, p, n); /* a long one is cut */
		return 0;
	}
	return ndjson_feed(&o->lines, p, n, on_line, o) != 0;
}

static void on_end(void *arg, const struct http_result *r)
{
	struct order *o = arg;
	const struct backend_config *c = o->shop->config;
	char text[256];
	bool good;

	o->transfer = NULL;
	o->status = r->head->status; /* an empty body has had no head */
	good = o->status >= 200 && o->status <= 299;
	if (good && !r->kind)
		(void)ndjson_finish(&o->lines, on_line, o); /* what is no JSON says nothing */
	if (good && !r->kind && !o->error.len && (o->success || o->view.remove)) {
		order_over(o, NULL);
	} else if (o->status && !good) {
		struct backend_failure f = { .status = o->status,
					     .body = buf_str(&o->error),
					     .len = o->error.len,
					     .retry_after_s = -1,
					     .should_retry = -1 };

		(void)c->type->error(c, &f, &o->err); /* never repeated by itself */
		order_over(o, &o->err);
	} else if (o->error.len) {
		failure_text(text, sizeof(text), o->error.data, o->error.len);
		order_failed(o, ERR_PROVIDER, text);
	} else {
		order_failed(o, r->kind ? r->kind : ERR_PROVIDER,
			     r->kind ? r->detail : "the connection ended before its end");
	}
}

static const struct http_events events = { .head = on_head, .body = on_body, .end = on_end };

static void on_begin(struct loop_task *t)
{
	struct order *o = CONTAINER_OF(t, struct order, begin);
	const struct backend_config *c = o->shop->config;
	const struct backend_manage *way = ways(o->shop);
	AUTO_FREE char *url =
		str_printf("%s%s", c->at.url, o->view.remove ? way->remove : way->pull);
	json_t *body = json_pack("{s:s}", "model", o->view.model);
	AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct http_request r = { .target = o->shop->target,
				  .url = url,
				  .method = o->view.remove ? "DELETE" : NULL,
				  .body_max = UINT64_MAX };

	json_decref(body);
	if (text && buf_adds(&o->body, text) == 0) {
		r.body = buf_str(&o->body);
		r.body_len = o->body.len;
	}
	if (!url || !r.body || http_start(o->shop->manage->http, &r, &events, o, &o->transfer))
		order_failed(o, ERR_INTERNAL, "out of memory");
}

/* ---- what is loaded ---- */

static void loaded_head(void *arg, const struct http_head *h)
{
	((struct shop *)arg)->loaded.status = h->status;
}

static int loaded_body(void *arg, const char *p, size_t n)
{
	return buf_add(&((struct shop *)arg)->loaded.body, p, n) < 0;
}

static void loaded_end(void *arg, const struct http_result *r)
{
	struct shop *s = arg;
	json_t *page = NULL, *list;

	s->loaded.transfer = NULL;
	s->loaded.status = r->head->status;
	if (!r->kind && s->loaded.status == 200)
		page = json_loadb(buf_str(&s->loaded.body), s->loaded.body.len, 0, NULL);
	list = json_incref(json_object_get(page, "models"));
	json_decref(page);
	buf_done(&s->loaded.body);
	lock_take(&s->manage->lock);
	json_decref(s->loaded.list);
	s->loaded.list = json_is_array(list) ? list : NULL;
	s->loaded.asking = false;
	s->loaded.due_ns = mono_ns() + LOADED_AGE_NS;
	lock_drop(&s->manage->lock);
	if (!json_is_array(list))
		json_decref(list);
}

static const struct http_events loaded_events = { .head = loaded_head,
						  .body = loaded_body,
						  .end = loaded_end };

static void loaded_begin(struct loop_task *t)
{
	struct shop *s = CONTAINER_OF(t, struct shop, loaded.begin);
	AUTO_FREE char *url = str_printf("%s%s", s->config->at.url, ways(s)->loaded);
	struct http_request r = { .target = s->target, .url = url, .body_max = LOADED_MAX };

	buf_init(&s->loaded.body, LOADED_MAX);
	s->loaded.status = 0;
	if (url && http_start(s->manage->http, &r, &loaded_events, s, &s->loaded.transfer) == 0)
		return;
	lock_take(&s->manage->lock);
	s->loaded.asking = false;
	lock_drop(&s->manage->lock);
}

json_t *manage_loaded(struct manage *m, size_t n)
{
	struct shop *s = manage_can(m, n) ? m->shops[n] : NULL;

	if (!s)
		return NULL;
	LOCK_SCOPE(&m->lock);
	if (!s->loaded.asking && !m->ending && mono_ns() >= s->loaded.due_ns)
		s->loaded.asking = loop_post(m->loop, &s->loaded.begin) == 0;
	/* a copy: jansson's counting is no barrier between threads */
	return json_deep_copy(s->loaded.list);
}

/* ---- from other threads ---- */

int manage_add(struct manage *m, const struct backend_config *config, struct http_target *target)
{
	struct shop **more = realloc(m->shops, (m->n + 1) * sizeof(struct shop *));
	struct shop *s = calloc(1, sizeof(*s));

	if (more)
		m->shops = more;
	if (!more || !s) {
		free(s);
		return -ENOMEM;
	}
	s->manage = m;
	s->config = config;
	s->target = target;
	s->n = m->n;
	s->loaded.begin.run = loaded_begin;
	list_init(&s->orders);
	m->shops[m->n++] = s;
	return 0;
}

static int parse(const char *text, bool *out_remove, char model[MANAGE_MODEL_MAX], struct err *e)
{
	const char *name = NULL;
	size_t n;

	if (str_starts(text, "pull "))
		name = text + 5;
	else if (str_starts(text, "delete "))
		name = text + 7;
	if (!name)
		return err_set(e, ERR_REQUEST, "write \"pull NAME\" or \"delete NAME\"");
	*out_remove = text[0] == 'd';
	name += strspn(name, " \t");
	n = strcspn(name, " \t\r\n");
	if (!n || n >= MANAGE_MODEL_MAX || name[n + strspn(name + n, " \t\r\n")])
		return err_set(e, ERR_REQUEST, "one model's name is wanted after the word");
	memcpy(model, name, n);
	model[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)model[i] < 0x20 || model[i] == 0x7f)
			return err_set(e, ERR_REQUEST, "a model's name has no control characters");
	return 0;
}

static struct order *find_running_locked(struct shop *s, bool remove, const char *model,
					 unsigned *out_running)
{
	struct order *found = NULL;

	*out_running = 0;
	LIST_EACH(l, &s->orders) {
		struct order *o = LIST_ENTRY(l, struct order, link);

		if (o->view.state != MANAGE_RUNNING)
			continue;
		++*out_running;
		if (o->view.remove == remove && strcmp(o->view.model, model) == 0)
			found = o;
	}
	return found;
}

/* The oldest that is over makes room; a running one never goes. */
static struct order *trim_locked(struct shop *s)
{
	if (s->n_orders < MANAGE_ORDERS_MAX)
		return NULL;
	LIST_EACH(l, &s->orders) {
		struct order *o = LIST_ENTRY(l, struct order, link);

		if (o->view.state == MANAGE_RUNNING)
			continue;
		list_del(&o->link);
		s->n_orders--;
		return o;
	}
	return NULL;
}

static struct order *order_new(struct shop *s, bool remove, const char *model)
{
	struct order *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->shop = s;
	o->begin.run = on_begin;
	o->view.remove = remove;
	o->view.completed = o->view.total = -1;
	o->view.began_real_ns = o->view.changed_real_ns = mono_real_ns();
	(void)str_copy(o->view.model, sizeof(o->view.model), model); /* same size */
	ndjson_init(&o->lines, LINE_MAX_BYTES);
	buf_init(&o->body, 4096);
	buf_init(&o->error, 64 << 10);
	list_init(&o->link);
	return o;
}

int manage_order(struct manage *m, size_t n, const char *text, struct err *e)
{
	struct shop *s = manage_can(m, n) ? m->shops[n] : NULL;
	char model[MANAGE_MODEL_MAX];
	struct order *o, *old = NULL;
	bool remove = false, joined, full;
	unsigned running;
	int rc;

	if (!s)
		return err_set(e, ERR_UNSUPPORTED, "this backend's models are not ours to manage");
	rc = parse(text, &remove, model, e);
	if (rc)
		return rc;
	o = order_new(s, remove, model);
	if (!o)
		return -ENOMEM;
	lock_take(&m->lock);
	joined = find_running_locked(s, remove, model, &running) != NULL;
	full = !joined && (running >= RUNNING_MAX || m->ending);
	if (!joined && !full) {
		old = trim_locked(s);
		list_append(&s->orders, &o->link);
		s->n_orders++;
		full = loop_post(m->loop, &o->begin) != 0;
		if (full) {
			list_del(&o->link);
			s->n_orders--;
		}
	}
	lock_drop(&m->lock);
	if (old)
		order_free(old);
	if (joined || full)
		order_free(o);
	return full ? err_set(e, ERR_RATE_LIMIT, "%u orders run already; wait for one of them",
			      RUNNING_MAX)
		    : 0;
}

size_t manage_list(struct manage *m, size_t n, struct manage_view out[MANAGE_ORDERS_MAX])
{
	size_t k = 0;

	if (!manage_can(m, n))
		return 0;
	LOCK_SCOPE(&m->lock);
	LIST_EACH(l, &m->shops[n]->orders)
		if (k < MANAGE_ORDERS_MAX)
			out[k++] = LIST_ENTRY(l, struct order, link)->view;
	return k;
}

void manage_end(struct manage *m)
{
	lock_take(&m->lock);
	m->ending = true;
	lock_drop(&m->lock);
	for (size_t i = 0; i < m->n; i++) {
		struct shop *s = m->shops[i];

		if (s->loaded.transfer)
			http_cancel(TAKE(s->loaded.transfer));
		LIST_EACH(l, &s->orders) {
			struct order *o = LIST_ENTRY(l, struct order, link);

			if (o->transfer)
				http_cancel(TAKE(o->transfer));
		}
	}
}

struct manage *manage_free(struct manage *m)
{
	if (!m)
		return NULL;
	for (size_t i = 0; i < m->n; i++) {
		struct shop *s = m->shops[i];
		struct list *l;

		while ((l = list_pop(&s->orders)))
			order_free(LIST_ENTRY(l, struct order, link));
		json_decref(s->loaded.list);
		buf_done(&s->loaded.body);
		free(s);
	}
	free(m->shops);
	lock_done(&m->lock);
	free(m);
	return NULL;
}
