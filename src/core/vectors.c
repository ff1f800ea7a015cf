/*
 * vectors.c - vectors as they are stored and shown
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "core/base64.h"
#include "core/canon.h"
#include "core/npy.h"
#include "core/vectors.h"

#include "base/banned.h"

#define DATA_MAX ((size_t)256 << 20)

/* ---- packing ---- */

static int add_number(const json_t *v, size_t input, struct buf *out, struct err *e)
{
	float f = (float)json_number_value(v);
	uint32_t bits;
	uint8_t le[4];

	if (!json_is_number(v))
		return err_set(e, ERR_PROTOCOL,
			       "the embedding of input %zu holds something that is no number",
			       input + 1);
	if (!isfinite(f))
		return err_set(e, ERR_PROTOCOL,
			       "the embedding of input %zu holds %g, which float32 cannot hold",
			       input + 1, json_number_value(v));
	memcpy(&bits, &f, sizeof(bits));
	for (unsigned i = 0; i < 4; i++)
		le[i] = (uint8_t)(bits >> 8 * i);
	return buf_add(out, le, sizeof(le));
}

static int add_vector(const json_t *vector, size_t input, size_t dimensions, struct buf *out,
		      struct err *e)
{
	int rc = 0;

	if (!json_array_size(vector))
		return err_set(e, ERR_PROTOCOL, "the embedding of input %zu has no numbers",
			       input + 1);
	if (json_array_size(vector) != dimensions)
		return err_set(e, ERR_PROTOCOL,
			       "the embedding of input %zu has %zu numbers where the first has %zu",
			       input + 1, json_array_size(vector), dimensions);
	for (size_t i = 0; i < dimensions && !rc; i++)
		rc = add_number(json_array_get(vector, i), input, out, e);
	return rc;
}

static json_t *packed_form(const struct buf *data, size_t inputs, size_t dimensions)
{
	AUTO_BUF struct buf text = BUF_INIT(DATA_MAX * 2);

	if (base64_encode(data->data, data->len, &text))
		return NULL;
	return json_pack("{s:o, s:[I, I]}", "data", json_stringn(buf_str(&text), text.len), "shape",
			 (json_int_t)inputs, (json_int_t)dimensions);
}

int vectors_pack(const json_t *vectors, size_t inputs, json_t **out, struct err *e)
{
	AUTO_BUF struct buf data = BUF_INIT(DATA_MAX);
	size_t dimensions = json_array_size(json_array_get(vectors, 0));
	json_t *packed;
	int rc = 0;

	if (!inputs || json_array_size(vectors) != inputs)
		return err_set(e, ERR_PROTOCOL, "%zu embeddings came for %zu inputs",
			       json_array_size(vectors), inputs);
	for (size_t i = 0; i < inputs && !rc; i++)
		rc = add_vector(json_array_get(vectors, i), i, dimensions, &data, e);
	if (rc == -EFBIG)
		return err_set(e, ERR_PROTOCOL, "the embeddings are larger than %zu MiB",
			       DATA_MAX >> 20);
	if (rc)
		return rc;
	packed = packed_form(&data, inputs, dimensions);
	if (!packed)
		return -ENOMEM;
	*out = packed;
	return 0;
}

/* ---- reading ---- */

static size_t count(const json_t *v)
{
	json_int_t n = json_integer_value(v);

	return json_is_integer(v) && n > 0 && n <= (json_int_t)DATA_MAX ? (size_t)n : 0;
}

int vectors_shape(const json_t *packed, size_t *out_inputs, size_t *out_dimensions)
{
	const json_t *shape = json_object_get(packed, "shape");
	size_t inputs = count(json_array_get(shape, 0)),
	       dimensions = count(json_array_get(shape, 1));

	if (!inputs || !dimensions || json_array_size(shape) != 2)
		return -EBADMSG;
	*out_inputs = inputs;
	*out_dimensions = dimensions;
	return 0;
}

/* The numbers and how many: what an engine gave is checked like anything from outside. */
static int unpack(const json_t *packed, struct buf *data, size_t *out_inputs,
		  size_t *out_dimensions)
{
	const json_t *text = json_object_get(packed, "data");
	int rc;

	if (!packed || json_is_null(packed))
		return -ENOENT;
	rc = vectors_shape(packed, out_inputs, out_dimensions);
	if (!rc && base64_decode(json_string_value(text), json_string_length(text), data, NULL))
		rc = -EBADMSG;
	if (!rc && (data->len % sizeof(float) ||
		    data->len / sizeof(float) / *out_dimensions != *out_inputs ||
		    data->len / sizeof(float) % *out_dimensions))
		rc = -EBADMSG;
	return rc;
}

static float number_at(const struct buf *data, size_t i)
{
	const uint8_t *le = (const uint8_t *)data->data + i * sizeof(float);
	uint32_t bits = le[0] | (uint32_t)le[1] << 8 | (uint32_t)le[2] << 16 |
			(uint32_t)le[3] << 24;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* The shortest decimal that reads back as this number: nearly always the provider's own. */
static int write_number(float f, struct buf *out)
{
	char text[40];
	double d = (double)f;

	if (!isfinite(f))
		return -EBADMSG;
	for (int digits = 6; digits <= 9; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, (double)f);
		d = strtod(text, NULL);
		if ((float)d == f)
			break;
	}
	return canon_number(d, text) ? -EBADMSG : buf_adds(out, text);
}

static int write_rows(const struct buf *data, size_t inputs, size_t dimensions, struct buf *out)
{
	int rc = 0;

	for (size_t i = 0; i < inputs * dimensions && !rc; i++) {
		rc = buf_adds(out, i % dimensions ? "," : i ? "],[" : "[[");
		if (!rc)
			rc = write_number(number_at(data, i), out);
	}
	return rc ? rc : buf_adds(out, "]]}\n");
}

static int write_model(const json_t *sample, struct buf *out)
{
	const json_t *model = json_object_get(sample, "model");
	int rc = buf_adds(out, "{\"model\":");

	if (rc)
		return rc;
	return json_is_string(model) ? canon_write(model, out) : buf_adds(out, "null");
}

int vectors_json(const json_t *sample, struct buf *out)
{
	AUTO_BUF struct buf data = BUF_INIT(DATA_MAX);
	size_t inputs = 0, dimensions = 0;
	int rc = unpack(json_object_get(sample, "embedding"), &data, &inputs, &dimensions);

	if (!rc)
		rc = write_model(sample, out);
	if (!rc)
		rc = buf_addf(out, ",\"dimensions\":%zu,\"data\":", dimensions);
	return rc ? rc : write_rows(&data, inputs, dimensions, out);
}

int vectors_npy(const json_t *sample, struct buf *out)
{
	AUTO_BUF struct buf data = BUF_INIT(DATA_MAX);
	size_t inputs = 0, dimensions = 0;
	int rc = unpack(json_object_get(sample, "embedding"), &data, &inputs, &dimensions);

	return rc ? rc : npy_write(data.data, inputs, dimensions, out);
}
