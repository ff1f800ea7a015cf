/*
 * The OpenAI API and two servers that imitate it.
 *
 * They share one wire format (openwire.h) and differ in their error bodies, in where reasoning
 * goes and in what they add; each difference is a trait or a function of the table.
 */
#ifndef PROVIDER_DIALECT_OPENAI_H
#define PROVIDER_DIALECT_OPENAI_H

#include "dialect.h"

/* No prefix: /v1/... */
extern const struct dialect dialect_openai;
/* /vllm/v1/... : numeric error codes, `reasoning`. */
extern const struct dialect dialect_openai_vllm;
/* /llamacpp/v1/... : comments in streams, `timings`, `reasoning_content`. */
extern const struct dialect dialect_openai_llamacpp;

#endif
