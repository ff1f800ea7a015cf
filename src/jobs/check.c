/* check.c - from a text to a checked, routed and keyed request: no state, no waiting */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/canon.h"
#include "jobs/check.h"
#include "jobs/fallback.h"
#include "jobs/image.h"

#include "base/banned.h"

static int check_terms(struct checked *c, const struct route *route, json_t *dropped,
		       enum request_cache cache_mode)
{
	struct request *r = c->request;
	struct job_terms *t = &c->terms;

	t->request_id = r->request_id ? strdup(r->request_id) : NULL;
	t->ns = r->ns ? strdup(r->ns) : NULL;
	t->backend = strdup(route->backend->name);
	t->model = strdup(route->model);
	t->cache = r->has_cache ? r->cache : cache_mode;
	t->n = r->n;
	t->priority = r->priority;
	t->timeout_s = r->timeout_s;
	t->ttl_s = r->ttl_s;
	t->user_max_tokens = r->user_max_tokens;
	t->dropped = json_incref(dropped);
	t->fallback = json_incref(r->fallback);
	return t->backend && t->model && (!r->request_id || t->request_id) && (!r->ns || t->ns)
		       ? 0
		       : -ENOMEM;
}

/* the section's, or what the type needs for this model; nothing is generated for an embedding */
static int64_t default_max_tokens(const struct route *route, bool embedding)
{
	const struct backend_config *be = route->backend;

	if (embedding)
		return 0;
	if (be->max_tokens > 0 || !be->type->numbers.default_max_tokens)
		return be->max_tokens;
	return be->type->numbers.default_max_tokens(route->model);
}

static struct request_target target_of(struct broker *b, const struct route *route, bool embedding)
{
	const struct backend_config *be = route->backend;

	return (struct request_target){
		.backend = be->name,
		.model = route->model,
		.url = be->at.identity	    ? be->at.identity
		       : be->at.default_url ? NULL
					    : be->at.url,
		.scope = b->o.scope,
		.default_max_tokens = default_max_tokens(route, embedding),
	};
}

int check_target(struct broker *b, const struct route *route, json_t *effective)
{
	struct request_target t = target_of(b, route, check_is_embedding(effective));
	bool add_max = t.default_max_tokens > 0 && !json_object_get(effective, "max_tokens");

	return json_object_set_new(effective, "backend", json_string(t.backend)) ||
			       json_object_set_new(effective, "model", json_string(t.model)) ||
			       (t.url &&
				json_object_set_new(effective, "url", json_string(t.url))) ||
			       (add_max && json_object_set_new(effective, "max_tokens",
							       json_integer(t.default_max_tokens)))
		       ? -ENOMEM
		       : 0;
}

int check_key(struct broker *b, const struct route *route, struct job_body *body, json_t *dropped,
	      struct err *e)
{
	const struct backend_type *type = route->backend->type;
	struct buf canon = BUF_INIT(OBJECT_MAX);
	int r = type->check ? type->check(route->backend, body->request, dropped, b->o.lossy, e)
			    : 0;

	if (r < 0)
		return r;
	r = canon_write(body->request, &canon);
	if (r == 0)
		r = key_of(canon.data, canon.len, &body->key);
	if (r < 0) {
		buf_done(&canon);
		return err_sys(e, -r, "the request could not be put into canonical form");
	}
	body->asked = body->key;
	body->canon = buf_steal(&canon, &body->canon_len);
	return body->canon ? 0 : -ENOMEM;
}

static int check_body(struct broker *b, struct checked *c, const struct route *route,
		      json_t *dropped, struct err *e)
{
	struct request_target target =
		target_of(b, route, c->request->endpoint == REQUEST_EMBEDDING);
	int r = request_effective(c->request, &target, &c->body.request);

	return r < 0 ? r : check_key(b, route, &c->body, dropped, e);
}

static int merge(json_t **into, const json_t *earlier)
{
	if (!earlier)
		return 0;
	if (!*into)
		*into = json_object();
	/* jansson's signature; earlier is only read */
	return json_object_update_missing(*into, (json_t *)(uintptr_t)earlier) ? -ENOMEM : 0;
}

/* The earlier turns, and where the images are that they name. */
static int put_before(struct checked *c, const json_t *history)
{
	json_t *copy = json_deep_copy(history); /* a count shared by threads is no barrier */
	int r = copy ? request_prepend(c->request, json_object_get(copy, "messages")) : -ENOMEM;

	if (r == 0 && !c->request->own_messages)
		r = merge(&c->terms.images, json_object_get(copy, "images"));
	if (r == 0 && !c->request->own_messages)
		r = merge(&c->ask.images, json_object_get(copy, "inline"));
	json_decref(copy);
	return r;
}

/* A tree below namespaces/ has its namespace already; a root that begins with a control character is no tree. */
static int take_namespace(struct request *r, const char *root, struct err *e)
{
	if ((unsigned char)*root <= ' ')
		return 0;
	if (r->ns && strcmp(r->ns, root) != 0)
		return err_field(e, ERR_REQUEST, "namespace",
				 "the request lies in the namespace \"%s\" and names \"%s\"; leave "
				 "\"namespace\" out, or write it below prompts/",
				 root, r->ns);
	if (!r->ns)
		r->ns = strdup(root);
	return r->ns ? 0 : -ENOMEM;
}

/* Samples that are to be replayed must not be replaced; where there is no name, nobody could be given them again. */
static int check_sampling(struct broker *b, const struct broker_name *name, const struct checked *c,
			  struct err *e)
{
	const struct request *r = c->request;
	enum request_cache mode = r->has_cache ? r->cache : b->o.cache_mode;

	if (!name && (r->ns || r->n > 1))
		return err_field(
			e, ERR_UNSUPPORTED, r->ns ? "namespace" : "n",
			"ask gives one answer and hands out no samples; write the request to "
			"a file below prompts/ for \"%s\"",
			r->ns ? "namespace" : "n");
	if (r->ns && mode == REQUEST_CACHE_REFRESH)
		return err_field(
			e, ERR_REQUEST, "cache",
			"\"refresh\" would replace samples that namespaces have handed out; "
			"use a new namespace instead");
	if (r->n > 1 && r->endpoint == REQUEST_EMBEDDING)
		return err_field(e, ERR_UNSUPPORTED, "n",
				 "an embedding has one answer; leave \"n\" out");
	return 0;
}

static int make_namespace(struct broker *b, const char *ns, struct err *e)
{
	int r = ns && b->o.files.make_ns ? b->o.files.make_ns(b->o.files.arg, ns) : 0;

	return r < 0 ? err_sys(e, -r, "the namespace \"%s\" could not be made", ns) : 0;
}

int check_request(struct broker *b, const struct broker_name *name, const json_t *history,
		  struct checked *c, struct err *e)
{
	struct route route;
	json_t *dropped;
	int r = image_terms(c->request, name ? name->path : NULL, &c->terms, &c->ask);

	if (r == 0 && name)
		r = take_namespace(c->request, name->root, e);
	if (r == 0)
		r = check_sampling(b, name, c, e);
	if (r < 0 && e && e->code)
		return r;
	if (r == 0 && history)
		r = put_before(c, history);
	if (r < 0)
		return err_sys(e, -r, "the question could not be put after the earlier ones");
	r = route_model(b, c->request->model, &route, e);
	if (r < 0)
		return r;
	dropped = json_array();
	r = dropped ? check_body(b, c, &route, dropped, e) : -ENOMEM;
	if (r == 0)
		r = check_terms(c, &route, dropped, b->o.cache_mode);
	if (r == 0 && c->request->fallback)
		r = fallback_check(b, c, c->request->fallback, e);
	json_decref(dropped);
	if (r == 0)
		r = make_namespace(b, c->terms.ns, e);
	if (r < 0 && e && !e->code)
		err_sys(e, -r, "the request could not be checked");
	c->request =
		request_free(c->request); /* what it shares is the job's, and other threads', now */
	return r;
}

bool check_is_embedding(const json_t *effective)
{
	const char *name = json_string_value(json_object_get(effective, "endpoint"));

	return name && strcmp(name, request_endpoint_name(REQUEST_EMBEDDING)) == 0;
}

/* the same samples are asked for: by the same id, in the same namespace, as many */
bool check_same_sampling(const struct job_terms *a, const struct job_terms *b)
{
	return strcmp(a->ns ? a->ns : "", b->ns ? b->ns : "") == 0 && a->cache == b->cache &&
	       a->n == b->n &&
	       (!a->ns || strcmp(a->request_id ? a->request_id : "",
				 b->request_id ? b->request_id : "") == 0);
}

bool check_same_row(const struct ledger_row *row, const struct checked *k)
{
	struct job_terms t = { 0 };
	bool same = row->state == LEDGER_DONE && row->has_key &&
		    key_equal(&row->key, &k->body.key) && terms_read(row->envelope, &t) == 0;

	t.n = row->n;
	t.cache = (enum request_cache)row->cache_mode;
	same = same && check_same_sampling(&t, &k->terms);
	terms_done(&t);
	return same;
}

void check_done(struct checked *c)
{
	c->request = request_free(c->request);
	terms_done(&c->terms);
	json_decref(c->body.request);
	free(c->body.canon);
	json_decref(c->ask.images);
	json_decref(c->ask.calls);
	c->body = (struct job_body){ 0 };
	c->ask = (struct job_ask){ 0 };
}
