/*
 * embedding.h - vectors: from a provider's numbers to what is stored, and from that to files
 *
 * Stored as {"data": base64 of little-endian float32, "shape": [inputs, dimensions]}: a fifth of the
 * size of decimal text, and read without parsing a number.
 *
 *   1. embedding_pack    when the answer is there
 *   2. embedding_json, embedding_npy   when a file is read
 *
 * Threads: any. Blocks: never. Source: the object format page.
 */
#ifndef CORE_EMBEDDING_H
#define CORE_EMBEDDING_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* embedding_pack - one array of numbers for each of `inputs` inputs to the stored form, new reference
 * Errors: -EBADMSG naming the input: not so many, no numbers, of different lengths, a number that
 * float32 cannot hold; -ENOMEM */
int embedding_pack(const json_t *vectors, size_t inputs, json_t **out, struct err *e);
/* embedding_shape - of a stored form: 0, -EBADMSG */
int embedding_shape(const json_t *packed, size_t *out_inputs, size_t *out_dimensions);
/* embedding_json - embedding.json of a sample: model, dimensions, data; -ENOENT it has no embedding */
int embedding_json(const json_t *sample, struct buf *out);
/* embedding_npy - embedding.npy of a sample */
int embedding_npy(const json_t *sample, struct buf *out);

#endif
