/* The list of dialects and the way from a path to one of them; see dialect.h. */
#include "dialect.h"

#include <string.h>

#include "dialect_anthropic.h"
#include "dialect_gemini.h"
#include "dialect_mistral.h"
#include "dialect_ollama.h"
#include "dialect_openai.h"

const char *const dialect_models[] = { "echo-small", "echo-large", "echo-embed", NULL };

/* Longer prefixes first; the empty one takes the rest. */
static const struct dialect *const dialects[] = {
	&dialect_anthropic,   &dialect_gemini,		&dialect_mistral, &dialect_ollama,
	&dialect_openai_vllm, &dialect_openai_llamacpp, &dialect_openai,
};

static bool path_fits(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);

	if (pattern[n - 1] == '/')
		return !strncmp(pattern, path, n) && path[n];
	return !strcmp(pattern, path);
}

static enum kind find_kind(struct ask *ask, const char *method, const char *path)
{
	for (const struct route *r = ask->dialect->routes; r->path; r++) {
		if (strcmp(r->method, method) || !path_fits(r->path, path))
			continue;
		if (r->path[strlen(r->path) - 1] == '/')
			ask->model = path + strlen(r->path);
		return r->kind;
	}
	return KIND_NONE;
}

void dialect_route(struct ask *ask, const char *method, const char *path)
{
	for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
		const struct dialect *d = dialects[i];
		size_t n = strlen(d->prefix);

		if (strncmp(path, d->prefix, n) || (path[n] != '/' && path[n]))
			continue;
		ask->dialect = d;
		ask->kind = find_kind(ask, method, path + n);
		return;
	}
}
