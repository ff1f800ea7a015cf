/* fallback.c - the next model of a request whose first one failed */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/check.h"
#include "jobs/fallback.h"
#include "jobs/flight.h"

#include "base/banned.h"

/* one model of the chain: what is asked of it, and what was dropped for it */
struct candidate {
	struct job_body body;
	const struct backend_config *backend;
	const char *model;
	json_t *dropped;
};

static void candidate_done(struct candidate *c)
{
	json_decref(c->body.request);
	free(c->body.canon);
	json_decref(c->dropped);
}

/* Members that belong to the model that failed; the next one has its own. */
static json_t *without_target(const json_t *effective, bool user_max_tokens)
{
	static const char *const own[] = { "backend", "model", "url", NULL };
	json_t *o = json_deep_copy(effective);

	for (const char *const *name = own; o && *name; name++)
		(void)json_object_del(o, *name); /* absent is what is wanted */
	if (o && !user_max_tokens)
		(void)json_object_del(o, "max_tokens"); /* as above */
	/* another way to ask for the same; a backend that needs it takes it by itself */
	if (o && strcmp(json_string_value(json_object_get(o, "endpoint")), "responses") == 0 &&
	    json_object_set_new(o, "endpoint", json_string("chat"))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int candidate_make(struct broker *b, const json_t *first, bool user_max_tokens,
			  const char *model, struct candidate *out, struct err *e)
{
	struct route route;
	int r = route_model(b, model, &route, e);

	if (r < 0)
		return r;
	out->backend = route.backend;
	out->model = route.model;
	out->dropped = json_array();
	out->body.request = without_target(first, user_max_tokens);
	if (!out->dropped || !out->body.request)
		return -ENOMEM;
	r = check_target(b, &route, out->body.request);
	return r < 0 ? r : check_key(b, &route, &out->body, out->dropped, e);
}

int fallback_check(struct broker *b, const struct checked *c, const json_t *models, struct err *e)
{
	const json_t *m;
	size_t i;

	json_array_foreach(models, i, m) {
		struct candidate made = { 0 };
		int r = candidate_make(b, c->body.request, c->terms.user_max_tokens,
				       json_string_value(m), &made, e);

		if (r == 0) {
			r = infer_ready(b->o.infer, made.backend->name, e);
			r = r == -EHOSTDOWN ? 0 : r; /* that may have passed when it is needed */
		}
		candidate_done(&made);
		if (r < 0) {
			err_prefix(e, "fallback[%zu]: ", i);
			return r;
		}
	}
	return 0;
}

bool fallback_left(const struct job *j)
{
	return j->terms.fallback_at < json_array_size(j->terms.fallback);
}

/* What was wrong with one model need not be wrong with another; what is wrong with the request is. */
static bool may_help(enum err_kind kind)
{
	switch (kind) {
	case ERR_PROVIDER:
	case ERR_RATE_LIMIT:
	case ERR_TIMEOUT:
	case ERR_REFUSED:
	case ERR_UNREACHABLE:
	case ERR_TLS:
	case ERR_BREAKER:
		return true;
	default:
		return false;
	}
}

/* the job's body and terms are the candidate's from here on; false: it was ended meanwhile */
static bool move_on(struct broker *b, struct job *j, struct candidate *c, unsigned attempts)
{
	char *backend = strdup(c->backend->name), *model = strdup(c->model);
	struct key file_sha = j->body.file_sha, asked = j->body.asked;
	struct job_body old = { 0 };
	struct picks picks = { 0 };
	json_t *dropped = NULL;
	bool good;

	lock_take(&b->lock);
	good = backend && model && !j->ending && !b->stopping;
	if (good) {
		old = j->body;
		picks = j->picks; /* samples of the other model */
		j->picks = (struct picks){ 0 };
		j->body = c->body;
		j->body.file_sha = file_sha;
		j->body.asked = asked;
		c->body = (struct job_body){ 0 };
		free(j->terms.backend);
		free(j->terms.model);
		dropped = j->terms.dropped;
		j->terms.backend = backend;
		j->terms.model = model;
		j->terms.dropped = json_incref(c->dropped);
		j->times.attempts_before += attempts;
		job_set_state_locked(b, j, BROKER_QUEUED);
		j->step = STEP_LOOKUP;
	}
	lock_drop(&b->lock);
	picks_done(b, &old.key, &picks);
	json_decref(dropped);
	json_decref(old.request);
	free(old.canon);
	if (!good) {
		free(backend);
		free(model);
	}
	return good;
}

static const char *next_model(struct broker *b, struct job *j)
{
	const char *model = NULL;

	LOCK_SCOPE(&b->lock);
	if (fallback_left(j) && !j->ending)
		model = json_string_value(
			json_array_get(j->terms.fallback, j->terms.fallback_at++));
	return model;
}

/* The readers' bytes of the model that failed are void. */
static void forget_attempt(struct broker *b, struct job *j)
{
	struct stream *s;

	lock_take(&b->lock);
	s = j->stream ? stream_ref(j->stream) : NULL;
	lock_drop(&b->lock);
	if (s)
		stream_restart(s);
	stream_unref(s);
}

/* A model that cannot be asked (its configuration changed since the check) is passed over. */
bool fallback_take(struct broker *b, struct job *j, const struct err *e)
{
	const char *model;

	if (!may_help(e->kind))
		return false;
	while ((model = next_model(b, j))) {
		struct candidate c = { 0 };
		bool gone_on = candidate_make(b, j->body.request, j->terms.user_max_tokens, model,
					      &c, NULL) == 0 &&
			       move_on(b, j, &c, e->attempts);

		candidate_done(&c);
		if (!gone_on)
			continue;
		forget_attempt(b, j);
		flight_join(b, j);
		return true;
	}
	return false;
}

bool fallback_to(struct broker *b, struct job *j, const struct key *key)
{
	const char *model;

	while ((model = next_model(b, j))) {
		struct candidate c = { 0 };
		bool there = candidate_make(b, j->body.request, j->terms.user_max_tokens, model, &c,
					    NULL) == 0 &&
			     key_equal(&c.body.key, key) && move_on(b, j, &c, 0);

		candidate_done(&c);
		if (there)
			return true;
	}
	j->terms.fallback_at = 0;
	return false;
}
