/*
 * Ollama's own API, under /ollama: lines of JSON, objects as arguments, images as bare base64.
 */
#ifndef PROVIDER_DIALECT_OLLAMA_H
#define PROVIDER_DIALECT_OLLAMA_H

#include "dialect.h"

extern const struct dialect dialect_ollama;

#endif
