/*
 * main/detect.c - which model answers where nobody named one
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/infer.h"
#include "main/backends.h"
#include "main/detect.h"
#include "net/probe.h"

#include "base/banned.h"

enum { BODY_MAX = 4 << 20, TEXT_MAX = 64 << 10, SERVERS = 4 };
static const struct probe_limits patience = { .connect_ms = 200, .total_ms = 1500 };
static const char mistral_model[] = "mistral-small-latest";

/* a server that answered */
struct found {
	const struct backend_config *backend;
	char *model; /* the first of its list; NULL: the list is empty */
};

struct search {
	const struct config *c;
	struct found servers[SERVERS];
	size_t n_servers, n_keys;	    /* backends with a key */
	const struct backend_config *keyed; /* the first of them */
	bool keys_differ; /* not all of them are one and the same key of Mistral's */
};

static int no_memory(struct err *e)
{
	(void)err_sys(e, ENOMEM, "configuration"); /* the same */
	return -ENOMEM;
}

/* short: a server of this machine answers at once, and mounting must not wait for a hung one */
int detect_probe(const char *url, struct buf *out)
{
	return probe_get(url, &patience, out);
}

static char *first_model(const json_t *list)
{
	const char *id = json_string_value(json_object_get(json_array_get(list, 0), "id"));

	return id && id[0] && str_utf8_valid(id, strlen(id)) ? strdup(id) : NULL;
}

/* OPENAI_BASE_URL gives several backends one address: it is still one server */
static bool probed_before(const struct search *s, unsigned port)
{
	for (size_t i = 0; i < s->n_servers; i++)
		if (backends_local_port(s->servers[i].backend->at.url) == port)
			return true;
	return false;
}

/* whatever listens there: only an answer in the format of a model list counts */
static int probe_one(struct search *s, const struct backend_config *b, detect_probe_fn *probe)
{
	AUTO_BUF struct buf body = BUF_INIT(BODY_MAX);
	AUTO_FREE char *url = str_printf("%s%s", b->at.url, b->type->models_path);
	char next[BACKEND_NEXT_MAX];
	json_t *page, *list;

	if (!url)
		return -ENOMEM;
	if (probe(url, &body) < 0)
		return 0;
	page = json_loadb(buf_str(&body), body.len, 0, NULL);
	list = json_array();
	if (list && b->type->models(b, page, list, next, NULL) == 0) {
		s->servers[s->n_servers].backend = b;
		s->servers[s->n_servers++].model = first_model(list);
	}
	json_decref(list);
	json_decref(page);
	return 0;
}

static int probe_servers(struct search *s, detect_probe_fn *probe)
{
	for (size_t i = 0; i < s->c->n_backends && s->n_servers < SERVERS; i++) {
		const struct backend_config *b = &s->c->backends[i];
		int rc;

		if (!b->at.url || !backends_loopback(b->at.url) || !b->type->models ||
		    probed_before(s, backends_local_port(b->at.url)))
			continue;
		rc = probe_one(s, b, probe);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* every backend that could be billed, whether it can be used in this version or not */
static void count_keys(struct search *s)
{
	static const char *const elsewhere[] = { "OLLAMA_API_KEY" };

	for (size_t i = 0; i < s->c->n_backends; i++) {
		const struct backend_config *b = &s->c->backends[i];

		if (!b->at.key)
			continue;
		s->n_keys++;
		if (!s->keyed)
			s->keyed = b;
		if (strcmp(b->type->name, "mistral") != 0 ||
		    strcmp(b->at.key, s->keyed->at.key) != 0)
			s->keys_differ = true;
	}
	/* backends of a later version: they cannot be used yet, but who shall pay is in doubt */
	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
		const char *v = getenv(elsewhere[i]);

		if (v && v[0])
			s->keys_differ = true;
	}
}

static void add_choice(struct buf *list, const char *backend, const char *model)
{
	/* over the maximum: the sentence is long enough */
	(void)buf_addf(list, "%s%s%s%s", list->len ? ", " : "", backend, model ? "/" : "",
		       model ? model : "");
}

static bool configured(const struct config *c, const struct backend_config *b)
{
	return b < c->backends + c->n_configured;
}

static const char *example_model(const struct search *s, const struct backend_config *b)
{
	for (size_t i = 0; i < s->n_servers; i++)
		if (s->servers[i].backend == b && s->servers[i].model)
			return s->servers[i].model;
	if (strcmp(b->type->name, "mistral") == 0)
		return mistral_model;
	return strcmp(b->type->name, "echo") == 0 ? "echo" : "MODEL";
}

static bool answered(const struct search *s, const struct backend_config *b)
{
	for (size_t i = 0; i < s->n_servers; i++)
		if (s->servers[i].backend == b)
			return true;
	return false;
}

/* what a person could write, in the sentence that says that nothing was chosen */
static int list_choices(const struct search *s, struct detect *out)
{
	AUTO_BUF struct buf choices = BUF_INIT(TEXT_MAX);
	AUTO_BUF struct buf names = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < s->c->n_backends; i++) {
		const struct backend_config *b = &s->c->backends[i];

		if (!b->at.key && !configured(s->c, b) && !answered(s, b) &&
		    strcmp(b->type->name, "echo") != 0)
			continue;
		add_choice(&choices, b->name, example_model(s, b));
		add_choice(&names, b->name, NULL);
	}
	out->choices = buf_steal(&choices, NULL);
	out->names = buf_steal(&names, NULL);
	return out->choices && out->names ? 0 : -ENOMEM;
}

/* the model that was named must at least name a backend; the provider knows the rest */
static int check_named(const struct config *c, struct detect *out, struct err *e)
{
	const char *model = c->mount.model, *slash;
	const char **names;
	const char *near;
	AUTO_FREE char *backend = NULL;

	for (size_t i = 0; i < c->n_aliases; i++)
		if (strcmp(c->aliases[i].from, model) == 0)
			model = c->aliases[i].to;
	slash = strchr(model, '/');
	if (!slash || slash == model || !slash[1])
		return err_set(e, ERR_REQUEST,
			       "model = %s: BACKEND/MODEL is wanted, such as mistral/%s", model,
			       mistral_model);
	backend = str_dup_n(model, (size_t)(slash - model));
	if (!backend)
		return no_memory(e);
	if (config_backend_find(c, backend)) {
		out->model = strdup(model);
		return out->model ? 0 : no_memory(e);
	}
	names = calloc(c->n_backends + 1, sizeof(*names));
	if (!names)
		return no_memory(e);
	for (size_t i = 0; i < c->n_backends; i++)
		names[i] = c->backends[i].name;
	near = str_nearest(backend, names);
	(void)err_set(e, ERR_NOT_FOUND, "model = %s: there is no backend \"%s\"%s%s%s", model,
		      backend, near ? " (do you mean " : "", near ? near : "", near ? "?)" : "");
	free(names);
	return -ENXIO;
}

/* the two cases without doubt; everything else is for the user to say */
static int choose(const struct search *s, struct detect *out, struct err *e)
{
	const struct found *f = &s->servers[0];

	if (s->n_keys && !s->keys_differ)
		out->model = str_printf("%s/%s", s->keyed->name, mistral_model);
	else if (!s->n_keys && !s->keys_differ && !s->c->n_configured && s->n_servers == 1 &&
		 f->model)
		out->model = str_printf("%s/%s", f->backend->name, f->model);
	else
		return 0;
	return out->model ? 0 : no_memory(e);
}

static int no_backend(struct err *e)
{
	return err_set(
		e, ERR_NOT_FOUND,
		"no model to ask: set MISTRAL_API_KEY or OPENAI_API_KEY, or start vLLM (port 8000), a "
		"llama.cpp server (8080) or Ollama (11434) on this machine, or write a [backend NAME] "
		"section into the configuration; -o model=echo/echo runs with no model at all");
}

static int search(struct search *s, detect_probe_fn *probe, struct detect *out, struct err *e)
{
	const struct config *c = s->c;

	count_keys(s);
	/* a configuration says what there is, so only without one is this machine searched */
	if (!c->mount.model && !c->n_configured && probe_servers(s, probe) < 0)
		return no_memory(e);
	if (list_choices(s, out) < 0)
		return no_memory(e);
	if (c->mount.model)
		return check_named(c, out, e);
	if (!s->n_keys && !c->n_configured && !s->n_servers)
		return no_backend(e);
	return choose(s, out, e);
}

int detect_model(const struct config *c, detect_probe_fn *probe, struct detect *out, struct err *e)
{
	struct search s = { .c = c };
	struct detect d = { 0 };
	int rc = search(&s, probe, &d, e);

	for (size_t i = 0; i < s.n_servers; i++)
		free(s.servers[i].model);
	if (rc < 0) {
		detect_done(&d);
		return rc;
	}
	*out = d;
	return 0;
}

void detect_done(struct detect *d)
{
	free(d->model);
	free(d->choices);
	free(d->names);
	*d = (struct detect){ 0 };
}
