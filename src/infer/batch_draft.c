/*
 * infer/batch_draft.c - an effective request as a line of the file that a batch is made from
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "core/canon.h"
#include "infer/batch_api.h"

#include "base/banned.h"

/* What asks for a stream; a batch has none. */
static void take_out_stream(json_t *body)
{
	(void)json_object_del(body, "stream");	       /* may be absent */
	(void)json_object_del(body, "stream_options"); /* as above */
}

static int shape(const struct backend_config *c, const struct batch_api *api,
		 const struct backend_body *built, struct batch_draft *out, struct err *e)
{
	struct batch_draft d = { .body = json_loadb(buf_str(&built->body), built->body.len,
						    JSON_ALLOW_NUL, NULL) };
	int rc;

	if (!d.body)
		return err_set(e, ERR_INTERNAL, "no memory for a request to %s", c->name);
	take_out_stream(d.body);
	rc = api->shape(c, built->path, d.body, &d.group, e);
	if (rc) {
		json_decref(d.body);
		return rc;
	}
	(void)str_copy(d.group.header, sizeof(d.group.header), built->header); /* same size */
	*out = d;
	return 0;
}

/* one text, a list of them, or no embedding at all */
static uint64_t inputs_of(const json_t *effective)
{
	const char *endpoint = json_string_value(json_object_get(effective, "endpoint"));
	const json_t *input = json_object_get(effective, "input");

	return endpoint && strcmp(endpoint, "embedding") == 0 && json_is_array(input)
		       ? json_array_size(input)
		       : 1;
}

int batch_draft_make(const struct backend_config *c, const json_t *effective, const json_t *images,
		     struct batch_draft *out, struct err *e)
{
	const struct batch_api *api = batch_api_of(c);
	struct backend_body built = { .stream = false };
	struct batch_limits limits;
	int rc;

	if (!api)
		return batch_can(c, &limits, e);
	rc = c->type->build(c, &(struct backend_ask){ effective, images, 1 }, &built, e);
	if (!rc)
		rc = shape(c, api, &built, out, e);
	if (!rc)
		out->inputs = inputs_of(effective);
	buf_done(&built.body);
	return rc;
}

void batch_draft_done(struct batch_draft *d)
{
	json_decref(d->body);
	d->body = NULL;
}

int batch_draft_line(const struct backend_config *c, const struct batch_draft *d, const char *tag,
		     uint64_t index, struct buf *out)
{
	const struct batch_api *api = batch_api_of(c);
	char custom_id[BATCH_CUSTOM_MAX];
	size_t before = out->len;
	json_t *line;
	int rc;

	if (!api || !*tag || strlen(tag) >= BATCH_TAG_MAX)
		return -EINVAL;
	(void)snprintf(custom_id, sizeof(custom_id), "%s-%" PRIu64, tag, index); /* fits */
	line = api->line(&d->group, d->body, custom_id);
	if (!line)
		return -ENOMEM;
	rc = canon_write(line, out);
	json_decref(line);
	if (!rc)
		rc = buf_addc(out, '\n');
	if (rc && out->data) { /* all or nothing of a line */
		out->len = before;
		out->data[before] = '\0';
		out->failed = 0;
	}
	return rc;
}
