/*
 * The Gemini API: the model in the path, contents of parts, no end mark, embeddings in batches.
 */
#ifndef PROVIDER_DIALECT_GEMINI_H
#define PROVIDER_DIALECT_GEMINI_H

#include "dialect.h"

/* /gemini/v1beta/models/MODEL:METHOD */
extern const struct dialect dialect_gemini;

#endif
