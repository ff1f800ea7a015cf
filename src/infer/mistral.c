/*
 * infer/mistral.c - Mistral's chat API
 *
 * It refuses fields it does not know, so nothing is sent that is not in its schema: no stream_options, no
 * top_k, no logprobs. Usage comes without being asked for. Its answers are read by dialect.c.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "infer/body.h"
#include "infer/dialect.h"
#include "infer/failure.h"
#include "infer/registry.h"

#include "base/banned.h"

static const struct body_field fields[] = { { "temperature", "temperature" },
					    { "top_p", "top_p" },
					    { "max_tokens", "max_tokens" },
					    { "stop", "stop" },
					    { "seed", "random_seed" },
					    { "presence_penalty", "presence_penalty" },
					    { "frequency_penalty", "frequency_penalty" },
					    { "response_format", "response_format" },
					    { "tools", "tools" },
					    { "tool_choice", "tool_choice" },
					    { "parallel_tool_calls", "parallel_tool_calls" },
					    { "reasoning_effort", "reasoning_effort" },
					    { NULL, NULL } };
static const char *const endpoints[] = { "chat", NULL };
/* only a tool's message has a name in the schema */
static const char *const members[] = { "prefix", "tool_calls", NULL };
static const char *const tool_members[] = { "tool_call_id", "name", NULL };
static const char *const key_env[] = { "MISTRAL_API_KEY", NULL };

static const struct body_rules rules = { fields, endpoints, members, tool_members, 0 };

static int check(const struct backend_config *c, json_t *effective, json_t *dropped, bool lossy,
		 struct err *e)
{
	struct body_check k = { c, effective, dropped, lossy, e };
	const json_t *seed = json_object_get(effective, "seed");
	int rc = 0;

	if (json_is_integer(seed) && json_integer_value(seed) < 0)
		rc = body_refuse(&k, "seed", "it must be 0 or more there");
	return rc ? rc : body_check(&k, &rules);
}

static int build(const struct backend_config *c, const json_t *effective, const json_t *images,
		 struct backend_body *out, struct err *e)
{
	(void)images;
	(void)str_copy(out->path, sizeof(out->path), "/v1/chat/completions"); /* fits */
	return body_finish(c, body_begin(effective, &rules, true), effective, out, e);
}

const struct backend_type mistral_type = {
	.size = sizeof(struct backend_type),
	.api = BACKEND_API,
	.name = "mistral",
	.url = "https://api.mistral.ai",
	.key_env = key_env,
	.url_env = NULL,
	.names_with_slash = false,
	.free_by_default = false,
	.framing = BACKEND_SSE,
	.check = check,
	.build = build,
	.reply_new = dialect_new,
	.event = dialect_event,
	.end = dialect_end,
	.reply_free = dialect_free,
	.error = failure_reply,
};
