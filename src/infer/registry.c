/*
 * infer/registry.c - the types of backends this program has
 */
#include <string.h>

#include "infer/registry.h"

#include "base/banned.h"

static const struct backend_type *const types[] = {
	&openai_type, &mistral_type, &gemini_type, &anthropic_type, &ollama_type, &echo_type, NULL
};

const struct backend_type *const *registry_types(void)
{
	return types;
}

const struct backend_type *registry_type(const char *name)
{
	for (size_t i = 0; types[i]; i++)
		if (strcmp(types[i]->name, name) == 0)
			return types[i];
	return NULL;
}
