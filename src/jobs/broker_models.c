/* broker_models.c - what each backend offers */
#include <errno.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/str.h"
#include "core/price.h"
#include "infer/detail.h"
#include "infer/manage.h"
#include "jobs/broker_models.h"
#include "jobs/inside.h"

#include "base/banned.h"

bool broker_models_look(struct broker *b, size_t backend, struct catalog_list **out)
{
	return catalog_look(infer_catalog(b->o.infer), backend, out);
}

bool broker_models_wait(struct broker *b, size_t backend, struct catalog_waiter *w)
{
	return catalog_wait(infer_catalog(b->o.infer), backend, w);
}

bool broker_models_unwait(struct broker *b, struct catalog_waiter *w)
{
	return catalog_unwait(infer_catalog(b->o.infer), w);
}

bool broker_models_one(struct broker *b, size_t backend, const char *id)
{
	return detail_look(catalog_details(infer_catalog(b->o.infer)), backend, id);
}

bool broker_models_wait_one(struct broker *b, size_t backend, const char *id,
			    struct catalog_waiter *w)
{
	return detail_wait(catalog_details(infer_catalog(b->o.infer)), backend, id, w);
}

struct catalog_list *broker_models_unref(struct broker *b, struct catalog_list *l)
{
	return catalog_unref(infer_catalog(b->o.infer), l);
}

/* "free", the entry of the price list, or null: not known */
static json_t *price_of(struct broker *b, const struct backend_config *c, const char *id)
{
	struct price_of of = { .provider = c->provider,
			       .model = id,
			       .now_real_ns = mono_real_ns() };
	json_t *shown;

	if (c->free_of_charge)
		return json_string("free");
	shown = price_show(b->o.prices, &of);
	return shown ? shown : json_null();
}

json_t *broker_models_status(struct broker *b, size_t backend)
{
	struct catalog_list *l = NULL;
	char when[40];
	struct err e;
	json_t *o;

	catalog_peek(infer_catalog(b->o.infer), backend, &l, &e);
	if (l)
		str_iso8601(l->fetched_real_ns, when, sizeof(when));
	o = json_pack("{s:o, s:o, s:o}", "count",
		      l ? json_integer((json_int_t)json_array_size(l->models)) : json_null(),
		      "listed", l ? json_string(when) : json_null(), "error",
		      e.kind ? json_string(e.message) : json_null());
	broker_models_unref(b, l);
	return o;
}

int broker_models_text(struct broker *b, size_t backend, const struct catalog_list *l,
		       const json_t *model, struct buf *out)
{
	const struct backend_config *c = infer_find(b->o.infer, b->o.backends[backend]);
	const char *id = json_string_value(json_object_get(model, "id"));
	AUTO_FREE char *whole = c && id ? str_printf("%s/%s", c->name, id) : NULL;
	AUTO_FREE char *text = NULL;
	char when[40];
	int64_t context;
	json_t *o, *detail;
	int rc = 0;

	if (!whole)
		return -ENOMEM;
	detail = detail_copy(catalog_details(infer_catalog(b->o.infer)), backend, id);
	context = price_context(b->o.prices,
				&(struct price_of){ .provider = c->provider, .model = id });
	str_iso8601(l->fetched_real_ns, when, sizeof(when));
	o = json_pack("{s:s, s:s, s:s, s:o, s:s}", "model", whole, "backend", c->name, "id", id,
		      "price", price_of(b, c, id), "listed", when);
	(void)json_object_update_missing(o, detail); /* newer than the list; less at worst */
	json_decref(detail);
	if (!json_object_get(model, "context_tokens") && !json_object_get(o, "context_tokens") &&
	    context > 0)
		(void)json_object_set_new(o, "context_tokens",
					  json_integer(context)); /* a nicety */
	/* what the list says comes last and cannot replace what we say; jansson's signature, only read */
	if (!o || json_object_update_missing(o, (json_t *)(uintptr_t)model))
		rc = -ENOMEM;
	text = rc ? NULL : json_dumps(o, JSON_INDENT(2));
	json_decref(o);
	if (!text)
		return -ENOMEM;
	rc = buf_adds(out, text);
	return rc ? rc : buf_addc(out, '\n');
}

/* ---- models on the backend's own machine ---- */

bool broker_models_managed(struct broker *b, size_t backend)
{
	return manage_can(infer_manage(b->o.infer), backend);
}

int broker_models_order(struct broker *b, size_t backend, const char *text)
{
	struct err e = { 0 };
	int r = manage_order(infer_manage(b->o.infer), backend, text, &e);

	if (r < 0)
		log_msg(LOG_INFO, "%s/ctl: %s", b->o.backends[backend], e.message);
	return r;
}

static json_t *count_or_null(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

static json_t *order_json(const struct manage_view *v)
{
	static const char *const states[] = {
		[MANAGE_RUNNING] = "running", [MANAGE_DONE] = "done", [MANAGE_FAILED] = "failed"
	};
	char began[40], changed[40];

	str_iso8601(v->began_real_ns, began, sizeof(began));
	str_iso8601(v->changed_real_ns, changed, sizeof(changed));
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:o}", "action",
			 v->remove ? "delete" : "pull", "model", v->model, "state",
			 states[v->state], "status", v->status, "completed",
			 count_or_null(v->completed), "total", count_or_null(v->total), "began",
			 began, "changed", changed, "error",
			 v->error[0] ? json_string(v->error) : json_null());
}

void broker_models_orders(struct broker *b, size_t backend, json_t *status)
{
	struct manage *m = infer_manage(b->o.infer);
	struct manage_view list[MANAGE_ORDERS_MAX];
	json_t *orders, *loaded;
	size_t n;

	if (!manage_can(m, backend))
		return;
	n = manage_list(m, backend, list);
	orders = json_array();
	loaded = manage_loaded(m, backend);
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(orders, order_json(&list[i])); /* one less at worst */
	(void)json_object_set_new(status, "orders", orders);
	(void)json_object_set_new(status, "loaded", loaded ? loaded : json_null());
}
