/*
 * request_image.c - images in messages
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "core/base64.h"
#include "core/canon.h"
#include "core/request_image.h"
#include "core/request_messages.h"
#include "core/request_say.h"

#include "base/banned.h"

#define PATH_LENGTH_MAX 4000
#define URL_LENGTH_MAX	8000

static const char *const members[] = {
	"type", "path", "url", "data", "media_type", "detail", NULL
};
static const char *const types[] = { "image/png", "image/jpeg", "image/gif", "image/webp", NULL };

static json_t *shared(const json_t *v)
{
	return json_incref((json_t *)(uintptr_t)v); /* only the count is written */
}

const char *request_image_type(const void *p, size_t n)
{
	const char *s = p;

	if (n >= 8 && memcmp(s, "\x89PNG\r\n\x1a\n", 8) == 0)
		return types[0];
	if (n >= 3 && memcmp(s, "\xff\xd8\xff", 3) == 0)
		return types[1];
	if (n >= 6 && (memcmp(s, "GIF87a", 6) == 0 || memcmp(s, "GIF89a", 6) == 0))
		return types[2];
	if (n >= 12 && memcmp(s, "RIFF", 4) == 0 && memcmp(s + 8, "WEBP", 4) == 0)
		return types[3];
	return NULL;
}

/* ---- one part, as written ---- */

static const char *type_name(const char *s)
{
	if (strcmp(s, "image/jpg") == 0)
		return types[1];
	for (const char *const *t = types; *t; t++)
		if (strcmp(s, *t) == 0)
			return *t;
	return NULL;
}

/* what is written must be one of the four */
static int set_type(const char *path, json_t *out, const json_t *v, struct err *e)
{
	const char *type = json_is_string(v) ? type_name(json_string_value(v)) : NULL;
	char full[ERR_NAME_MAX];

	request_say_path(full, path, "media_type");
	if (!type)
		return request_say_wrong(
			e, full, "\"image/png\", \"image/jpeg\", \"image/gif\" or \"image/webp\"",
			v);
	return json_object_set_new(out, "media_type", json_string(type)) ? -ENOMEM : 0;
}

static int set_detail(const char *path, json_t *out, const json_t *v, struct err *e)
{
	char full[ERR_NAME_MAX];

	request_say_path(full, path, "detail");
	if (!request_say_name(v, 32))
		return request_say_wrong(e, full, "a word like \"low\", \"high\" or \"auto\"", v);
	return json_object_set(out, "detail", (json_t *)(uintptr_t)v) ? -ENOMEM : 0;
}

const char *request_image_name(const json_t *v)
{
	if (!request_say_name(v, PATH_LENGTH_MAX))
		return "a path of 1 to 4000 bytes without control characters";
	return *json_string_value(v) == '/'
		       ? "a path relative to the request's own directory, below its prompts/"
		       : NULL;
}

static int set_path(const char *path, json_t *out, const json_t *v, struct err *e)
{
	const char *wants = request_image_name(v);
	char full[ERR_NAME_MAX];

	request_say_path(full, path, "path");
	if (wants)
		return request_say_wrong(e, full, wants, v);
	return json_object_set(out, "path", (json_t *)(uintptr_t)v) ? -ENOMEM : 0;
}

static int set_data(const char *path, json_t *out, const json_t *v, struct err *e)
{
	char full[ERR_NAME_MAX];

	request_say_path(full, path, "data");
	if (!json_string_length(v))
		return request_say_wrong(e, full, "the image's bytes in base64", v);
	return json_object_set(out, "data", (json_t *)(uintptr_t)v) ? -ENOMEM : 0;
}

/* data:image/png;base64,AAAA - full names the member it stands in */
static int set_data_uri(const char *path, const char *full, json_t *out, const char *s,
			struct err *e)
{
	const char *comma = strchr(s, ',');
	size_t head = comma ? (size_t)(comma - s) : 0;
	char type[40] = "";
	json_t *v;
	int rc;

	if (head < 12 || head - 12 >= sizeof(type) || memcmp(comma - 7, ";base64", 7) != 0)
		return request_say(e, ERR_REQUEST, full,
				   "is a data: URI of another form; write "
				   "data:image/png;base64,... or give \"path\"");
	memcpy(type, s + 5, head - 12);
	type[head - 12] = '\0';
	v = json_string(type);
	rc = v ? set_type(path, out, v, e) : -ENOMEM;
	json_decref(v);
	if (rc)
		return rc;
	v = json_string(comma + 1);
	rc = v ? set_data(path, out, v, e) : -ENOMEM;
	json_decref(v);
	return rc;
}

static int set_url(const char *path, const char *name, json_t *out, const json_t *v, struct err *e)
{
	const char *s = json_string_value(v);
	char full[ERR_NAME_MAX];

	request_say_path(full, path, name);
	if (s && str_starts(s, "data:"))
		return set_data_uri(path, full, out, s, e);
	if (!request_say_name(v, URL_LENGTH_MAX) ||
	    !(str_starts(s, "https://") || str_starts(s, "http://")))
		return request_say_wrong(e, full, "an https:// address or a data: URI", v);
	return json_object_set(out, "url", (json_t *)(uintptr_t)v) ? -ENOMEM : 0;
}

/* null members are as absent */
static const json_t *given(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	return json_is_null(v) ? NULL : v;
}

static int only_known(const char *path, const json_t *o, const char *const *known, struct err *e)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)o, name, v) {
		bool found = false;

		for (const char *const *k = known; *k; k++)
			found |= strcmp(*k, name) == 0;
		if (!found)
			return request_say_unknown(
				e, path, name, known,
				"an image part has type, path, url or data, media_type, detail");
	}
	return 0;
}

static int plain_part(const char *path, const json_t *part, json_t *out, struct err *e)
{
	const json_t *file = given(part, "path"), *url = given(part, "url"),
		     *data = given(part, "data"), *type = given(part, "media_type"),
		     *detail = given(part, "detail");
	int rc = only_known(path, part, members, e);

	if (!rc && (file != NULL) + (url != NULL) + (data != NULL) != 1)
		rc = request_say(e, ERR_REQUEST, path, "must have one of path, url and data");
	if (!rc)
		rc = file  ? set_path(path, out, file, e)
		     : url ? set_url(path, "url", out, url, e)
			   : set_data(path, out, data, e);
	if (!rc && type)
		rc = set_type(path, out, type, e);
	if (!rc && detail)
		rc = set_detail(path, out, detail, e);
	return rc;
}

/* {"type":"image_url","image_url":{"url":"...","detail":"low"}}, or the address itself there */
static int url_part(const char *path, const json_t *part, json_t *out, struct err *e)
{
	static const char *const outer[] = { "type", "image_url", NULL };
	static const char *const inner[] = { "url", "detail", NULL };
	const json_t *v = json_object_get(part, "image_url");
	char full[ERR_NAME_MAX];
	int rc = only_known(path, part, outer, e);

	request_say_path(full, path, "image_url");
	if (rc)
		return rc;
	if (json_is_string(v))
		return set_url(path, "image_url", out, v, e);
	if (!json_is_object(v))
		return request_say_wrong(e, full, "an object like {\"url\":\"...\"}", v);
	rc = only_known(full, v, inner, e);
	if (!rc)
		rc = set_url(full, "url", out, json_object_get(v, "url"), e);
	if (!rc && given(v, "detail"))
		rc = set_detail(full, out, given(v, "detail"), e);
	return rc;
}

int request_image_part(const char *path, const json_t *part, json_t **out, struct err *e)
{
	json_t *o = json_pack("{s:s}", "type", "image");
	int rc = -ENOMEM;

	if (o)
		rc = request_say_is(json_object_get(part, "type"), "image")
			     ? plain_part(path, part, o, e)
			     : url_part(path, part, o, e);
	if (rc) {
		json_decref(o);
		return rc;
	}
	*out = o;
	return 0;
}

json_t *request_image_named(const json_t *path)
{
	return json_pack("{s:s, s:O}", "type", "image", "path", path);
}

/* ---- where the bytes are ---- */

/* The part as backends get it: type, hash, media type, detail. */
static int complete(struct request_image *im, const char *type)
{
	char hex[KEY_HEX + 1];

	key_hex(&im->sha, hex);
	if (json_object_set_new(im->part, "sha256", json_string(hex)) ||
	    json_object_set_new(im->part, "media_type", json_string(type)))
		return -ENOMEM;
	(void)json_object_del(im->part, "path"); /* one of them is there */
	(void)json_object_del(im->part, "data");
	im->known = true;
	return 0;
}

static int learn(struct request *r, struct request_image *im, const void *p, size_t n,
		 struct err *e)
{
	const char *said = json_string_value(json_object_get(im->part, "media_type"));
	const char *type = request_image_type(p, n);
	int rc;

	if (!type)
		return request_say(e, ERR_REQUEST, im->field,
				   "is no image that models take; give a PNG, JPEG, GIF or WebP");
	if (said && strcmp(said, type) != 0)
		return request_say(e, ERR_REQUEST, im->field,
				   "has the media_type \"%s\", but its bytes are %s; correct it",
				   said, type);
	if (n > REQUEST_IMAGE_SUM - r->image_bytes)
		return err_field(e, ERR_FILE_SIZE, im->field,
				 "the images up to %s have more than %u MiB together; make them "
				 "smaller or ask in several requests",
				 im->field, REQUEST_IMAGE_SUM >> 20);
	r->image_bytes += n;
	rc = key_of(p, n, &im->sha);
	return rc ? rc : complete(im, type);
}

int request_image_set(struct request *r, size_t i, const void *p, size_t n, struct err *e)
{
	return i < r->n_images ? learn(r, &r->images[i], p, n, e) : -EINVAL;
}

static int learn_inline(struct request *r, struct request_image *im, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(REQUEST_IMAGE_MAX);
	size_t at = 0;
	int rc = base64_decode(json_string_value(im->data), json_string_length(im->data), &bytes,
			       &at);

	if (rc == -EFBIG)
		return err_field(e, ERR_FILE_SIZE, im->field,
				 "%s is larger than %u MiB; make it smaller", im->field,
				 REQUEST_IMAGE_MAX >> 20);
	if (rc == -EINVAL)
		return request_say(e, ERR_REQUEST, im->field,
				   "is not base64 at byte %zu of its data; encode it without line "
				   "breaks and with its padding",
				   at + 1);
	return rc ? rc : learn(r, im, buf_str(&bytes), bytes.len, e);
}

static int add_image(struct request *r, const char *field, json_t *part, struct err *e)
{
	const json_t *path = json_object_get(part, "path"), *data = json_object_get(part, "data");
	struct request_image *im, *grown;

	if (!path && !data)
		return 0; /* an address: it is the provider's to fetch */
	if (r->n_images >= REQUEST_IMAGES)
		return request_say(e, ERR_REQUEST, field,
				   "is one image too many; a request may have %d", REQUEST_IMAGES);
	grown = realloc(r->images, (r->n_images + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->images = grown;
	im = &grown[r->n_images++];
	*im = (struct request_image){ .part = json_incref(part),
				      .data = data ? shared(data) : NULL,
				      .path = path ? shared(path) : NULL };
	(void)str_copy(im->field, sizeof(im->field), field); /* cut is fine: only shown */
	return data ? learn_inline(r, im, e) : 0;
}

static int add_images(struct request *r, size_t m, const json_t *content, bool short_form,
		      struct err *e)
{
	char field[64];

	for (size_t i = 0; i < json_array_size(content); i++) {
		json_t *part = json_array_get(content, i);
		int rc;

		if (!request_say_is(json_object_get(part, "type"), "image"))
			continue;
		if (short_form) /* its text is the first part */
			(void)snprintf(field, sizeof(field), "images[%zu]", i - 1);
		else
			(void)snprintf(field, sizeof(field), "messages[%zu].content[%zu]", m, i);
		rc = add_image(r, field, part, e);
		if (rc)
			return rc;
	}
	return 0;
}

int request_image_collect(struct request *r, bool short_form, struct err *e)
{
	const json_t *messages = json_object_get(r->body, "messages");
	int rc = 0;

	for (size_t m = 0; m < json_array_size(messages) && !rc; m++) {
		const json_t *message = json_array_get(messages, m);

		if (request_say_is(json_object_get(message, "role"), "user"))
			rc = add_images(r, m, json_object_get(message, "content"), short_form, e);
	}
	return rc;
}

static int keep_inline(const struct request *r, json_t *out)
{
	char hex[KEY_HEX + 1];

	for (size_t i = 0; i < r->n_images; i++) {
		const struct request_image *im = &r->images[i];

		if (!im->data)
			continue;
		key_hex(&im->sha, hex);
		if (json_object_set(out, hex, im->data))
			return -ENOMEM;
	}
	return 0;
}

int request_image_inline(const char *text, size_t len, json_t **out)
{
	struct request r = { .body = json_object() };
	json_t *v = NULL, *messages = NULL, *images = json_object();
	int rc = r.body && images ? canon_parse(text, len, &v, NULL, NULL) : -ENOMEM;

	if (!rc)
		rc = request_messages_check(json_object_get(v, "messages"), &messages, NULL);
	if (!rc && json_object_set_new(r.body, "messages", messages))
		rc = -ENOMEM;
	if (!rc)
		rc = request_image_collect(&r, false, NULL);
	if (!rc)
		rc = keep_inline(&r, images);
	request_image_done(&r);
	json_decref(r.body);
	json_decref(v);
	if (rc) {
		json_decref(images);
		return rc;
	}
	*out = images;
	return 0;
}

void request_image_done(struct request *r)
{
	for (size_t i = 0; i < r->n_images; i++) {
		json_decref(r->images[i].path);
		json_decref(r->images[i].data);
		json_decref(r->images[i].part);
	}
	free(r->images);
	r->images = NULL;
	r->n_images = 0;
}
