/*
 * infer/order.c - what one call sends
 */
#include <stdlib.h>

#include "base/str.h"
#include "infer/order.h"
#include "infer/single.h"

#include "base/banned.h"

void order_init(struct order *o, const struct backend_config *c, const struct infer_spec *spec)
{
	o->config = c;
	o->effective = spec->request;
	o->load = spec->load;
	o->indices = spec->indices;
	o->n = o->asked = spec->n ? spec->n : 1;
	o->timeout_s = spec->timeout_s > 0 ? spec->timeout_s : c->limits.timeout_s;
	buf_init(&o->body.body, 0);
}

void order_ask(struct order *o, unsigned max)
{
	if (max < o->asked)
		o->asked = max;
}

int order_one(struct order *o)
{
	int rc = single_body(&o->body.body);

	if (rc)
		return rc;
	o->asked = 1;
	o->refused = true;
	return 0;
}

void order_done(struct order *o)
{
	buf_done(&o->body.body);
	free(o->url);
	o->url = NULL;
}

int order_build(struct order *o, const json_t *images, struct err *e)
{
	const struct backend_config *c = o->config;
	const struct backend_ask ask = { o->effective, images, o->asked };
	int rc;

	if (o->built || c->type->local)
		return 0;
	rc = c->type->build(c, &ask, &o->body, e);
	if (rc)
		return rc;
	o->url = str_printf("%s%s", c->at.url ? c->at.url : "", o->body.path);
	if (!o->url)
		return err_set(e, ERR_INTERNAL, "no memory for a request to %s", c->name);
	o->built = true;
	return 0;
}
