/*
 * The Mistral API: the OpenAI wire format with its own strictness, errors and reasoning form.
 */
#ifndef PROVIDER_DIALECT_MISTRAL_H
#define PROVIDER_DIALECT_MISTRAL_H

#include "dialect.h"

/* /mistral/v1/... */
extern const struct dialect dialect_mistral;

#endif
