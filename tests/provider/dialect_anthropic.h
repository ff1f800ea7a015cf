/*
 * The Anthropic API: messages of blocks, named events, two versions.
 */
#ifndef PROVIDER_DIALECT_ANTHROPIC_H
#define PROVIDER_DIALECT_ANTHROPIC_H

#include "dialect.h"

/* /anthropic/v1/... */
extern const struct dialect dialect_anthropic;

#endif
