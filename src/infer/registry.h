/*
 * infer/registry.h - the types of backends this program has
 *
 * Threads: any. Blocks: never.
 */
#ifndef INFER_REGISTRY_H
#define INFER_REGISTRY_H

#include "infer/backend.h"

/* each exported by its own file */
extern const struct backend_type openai_type, mistral_type, echo_type;
extern const struct backend_type ollama_type;
extern const struct backend_type gemini_type, anthropic_type;

/* registry_types - all, NULL-terminated */
const struct backend_type *const *registry_types(void);
/* registry_type - by name; NULL: unknown */
const struct backend_type *registry_type(const char *name);

#endif
