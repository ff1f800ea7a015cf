/*
 * vectors.h - vectors: from a provider's numbers to what is stored, and from that to files
 *
 * Stored as {"data": base64 of little-endian float32, "shape": [inputs, dimensions]}: a fifth of the
 * size of decimal text, and read without parsing a number.
 *
 *   1. vectors_pack    when the answer is there
 *   2. vectors_json, vectors_npy   when a file is read
 *
 * Threads: any. Blocks: never. Source: the object format page.
 */
#ifndef CORE_VECTORS_H
#define CORE_VECTORS_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* vectors_pack - one array of numbers for each of `inputs` inputs to the stored form, new reference
 * Errors: -EBADMSG naming the input: not so many, no numbers, of different lengths, a number that
 * float32 cannot hold; -ENOMEM */
int vectors_pack(const json_t *vectors, size_t inputs, json_t **out, struct err *e);
/* vectors_shape - of a stored form: 0, -EBADMSG */
int vectors_shape(const json_t *packed, size_t *out_inputs, size_t *out_dimensions);
/* vectors_json - embedding.json of a sample: model, dimensions, data; -ENOENT it has no embedding */
int vectors_json(const json_t *sample, struct buf *out);
/* vectors_npy - embedding.npy of a sample */
int vectors_npy(const json_t *sample, struct buf *out);

#endif
