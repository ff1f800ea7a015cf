/* route.c - from the model a user wrote to a backend and the name that is sent */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "jobs/inside.h"

#include "base/banned.h"

/* names that are always taken as backends, also where nothing is configured for them */
static const char *const built_in[] = { "mistral", "openai",	"vllm", "llamacpp", "ollama",
					"gemini",  "anthropic", "echo", NULL };

static bool in_list(const char *const *list, const char *s, size_t n)
{
	for (; list && *list; list++)
		if (strlen(*list) == n && memcmp(*list, s, n) == 0)
			return true;
	return false;
}

static const char *alias_of(const struct broker *b, const char *model)
{
	for (size_t i = 0; i < b->o.n_aliases; i++)
		if (strcmp(b->o.aliases[i].from, model) == 0)
			return b->o.aliases[i].to;
	return model;
}

static int unknown_backend(struct broker *b, const char *model, struct err *e)
{
	const char *slash = strchr(model, '/');
	char first[ERR_NAME_MAX];
	const char *near;
	size_t n = slash ? (size_t)(slash - model) : strlen(model);

	first[0] = 0;
	if (n < sizeof(first)) {
		memcpy(first, model, n);
		first[n] = 0;
	}
	near = str_nearest(first, b->o.backends);
	if (near)
		return err_field(e, ERR_NOT_FOUND, "model",
				 "no backend is called \"%s\"; did you mean \"%s\"? Write model as "
				 "BACKEND/MODEL",
				 first, near);
	return err_field(
		e, ERR_NOT_FOUND, "model",
		"no backend is called \"%s\"; write model as BACKEND/MODEL, or add a section "
		"[backend %s] to the configuration",
		first, first);
}

static int named_backend(struct broker *b, const char *model, size_t n, struct route *out,
			 struct err *e)
{
	char name[ERR_NAME_MAX];

	memcpy(name, model, n);
	name[n] = 0;
	out->backend = infer_find(b->o.infer, name);
	out->model = model + n + 1;
	if (!out->backend)
		return err_field(
			e, ERR_NOT_FOUND, "model",
			"the backend \"%s\" is not configured here; add a section [backend %s], "
			"or choose one of: %s",
			name, name, b->o.choices ? b->o.choices : "(none)");
	if (!*out->model)
		return err_field(e, ERR_REQUEST, "model",
				 "\"%s\" names a backend but no model; write BACKEND/MODEL", model);
	return 0;
}

/* a bare name, or one whose first part is no backend, belongs whole to the default backend */
static int default_backend(struct broker *b, const char *model, struct route *out, struct err *e)
{
	const char *slash = b->o.model ? strchr(b->o.model, '/') : NULL;
	char name[ERR_NAME_MAX];
	const struct backend_config *c;

	if (!slash || (size_t)(slash - b->o.model) >= sizeof(name))
		return unknown_backend(b, model, e);
	memcpy(name, b->o.model, (size_t)(slash - b->o.model));
	name[slash - b->o.model] = 0;
	c = infer_find(b->o.infer, name);
	if (!c || (strchr(model, '/') && !c->type->names_with_slash))
		return unknown_backend(b, model, e);
	out->backend = c;
	out->model = model;
	return 0;
}

int route_model(struct broker *b, const char *model, struct route *out, struct err *e)
{
	const char *slash;
	size_t n;

	if (!model)
		model = b->o.model;
	if (!model)
		return err_field(
			e, ERR_REQUEST, "model",
			"no model was chosen and there is no default; add \"model\" to the "
			"request, or mount with -o model=BACKEND/MODEL; the choices are: %s",
			b->o.choices ? b->o.choices : "(none)");
	model = alias_of(b, model);
	slash = strchr(model, '/');
	n = slash ? (size_t)(slash - model) : 0;
	if (slash && n && n < ERR_NAME_MAX &&
	    (in_list(b->o.backends, model, n) || in_list(built_in, model, n)))
		return named_backend(b, model, n, out, e);
	return default_backend(b, model, out, e);
}
