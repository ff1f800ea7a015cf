/*
 * tests/lib/contract_batch.c - what a request becomes in a batch
 */
#include "contract_batch.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "infer/batch_api.h"

/* A line is no request of its own at two of them: the same list, in the body of the creation, is described. */
static void lay_out(const struct batch_draft *d, const char *type, struct contract_batch *out)
{
	const struct batch_group *g = &d->group;

	if (strcmp(type, "anthropic") == 0) {
		(void)str_copy(out->line_path, sizeof(out->line_path), "/v1/messages/batches");
		out->line = json_pack("{s:[{s:s, s:O}]}", "requests", "custom_id", "t-0", "params",
				      d->body);
	} else if (strcmp(type, "gemini") == 0) {
		(void)snprintf(out->line_path, sizeof(out->line_path), "/v1beta/%s:%s", g->model,
			       g->endpoint);
		out->line = json_pack("{s:{s:s, s:{s:{s:[{s:O, s:{s:s}}]}}}}", "batch",
				      "displayName", "t", "inputConfig", "requests", "requests",
				      "request", d->body, "metadata", "key", "t-0");
	} else {
		bool openai = strcmp(type, "openai") == 0;

		(void)str_copy(out->line_path, sizeof(out->line_path),
			       g->endpoint + (openai ? strlen("/v1") : 0));
		out->line = json_deep_copy(d->body);
		/* the job names it */
		(void)json_object_set_new(out->line, "model", json_string(g->model));
	}
}

static void lay_out_creation(const struct backend_config *c, const struct batch_group *g,
			     struct contract_batch *out)
{
	const struct batch_api *api = batch_api_of(c);
	struct batch_result r = { .job = { .group = *g, .tag = "t", .requests = 1 } };
	struct batch_walk w = {
		.config = c, .files = api->files, .step = BATCH_CREATE, .result = &r
	};
	struct batch_ask ask = { 0 };

	if (!api->limits.uploads)
		return;
	/* an id that looks like one of each of them */
	(void)str_copy(r.job.input, sizeof(r.job.input), "497f6eca-6276-4993-bfeb-53cbbbba6f09");
	buf_init(&ask.text, 1 << 16);
	buf_init(&ask.tail, 1 << 16);
	(void)api->ask(&w, &ask);
	(void)str_copy(out->create_path, sizeof(out->create_path), ask.path);
	out->create = json_loadb(buf_str(&ask.text), ask.text.len, 0, NULL);
	buf_done(&ask.text);
	buf_done(&ask.tail);
}

void contract_batch_make(const struct backend_config *c, const json_t *effective,
			 const json_t *images, struct contract_batch *out)
{
	struct batch_draft d;

	memset(out, 0, sizeof(*out));
	if (!batch_api_of(c) || batch_draft_make(c, effective, images, &d, NULL))
		return;
	lay_out(&d, c->type->name, out);
	lay_out_creation(c, &d.group, out);
	batch_draft_done(&d);
}

void contract_batch_done(struct contract_batch *b)
{
	json_decref(b->line);
	json_decref(b->create);
}
