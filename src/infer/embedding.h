/*
 * infer/embedding.h - vectors of an answer, from every form that providers give them in
 *
 * Threads: one owner. Blocks: never. Source: protocol reference, OpenAI 5, Mistral 5, Ollama 8.
 */
#ifndef INFER_EMBEDDING_H
#define INFER_EMBEDDING_H

#include "infer/reading.h"

/* embedding_items - [{"index","embedding"}, ...] in any order; an embedding is a list of numbers or base64 of
 * little-endian float32. Fills the answer, which is then complete. Errors: ERR_PROTOCOL */
int embedding_items(struct reading *r, const json_t *items, struct err *e);
/* embedding_rows - [[numbers], ...] in the inputs' order */
int embedding_rows(struct reading *r, const json_t *rows, struct err *e);

#endif
