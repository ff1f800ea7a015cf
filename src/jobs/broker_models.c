/* broker_models.c - what each backend offers */
#include <errno.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "core/price.h"
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
	json_t *o;
	int rc = 0;

	if (!whole)
		return -ENOMEM;
	context = price_context(b->o.prices,
				&(struct price_of){ .provider = c->provider, .model = id });
	str_iso8601(l->fetched_real_ns, when, sizeof(when));
	o = json_pack("{s:s, s:s, s:s, s:o, s:s}", "model", whole, "backend", c->name, "id", id,
		      "price", price_of(b, c, id), "listed", when);
	if (!json_object_get(model, "context_tokens") && context > 0)
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
