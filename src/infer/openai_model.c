/*
 * infer/openai_model.c - what OpenAI's own models refuse, by their names
 */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "infer/openai_model.h"

#include "base/banned.h"

enum { REASONING_FROM = 500, TOOLS_ELSEWHERE_FROM = 504, MAJOR_MAX = 20 };

bool openai_model_here(const struct backend_config *c)
{
	return c->dialect == BACKEND_OPENAI &&
	       (c->at.default_url || !c->provider || strcmp(c->provider, "openai") == 0);
}

/* "ft:gpt-4o:team" is a model of somebody's that was made from the one behind the colon. */
static const char *name_of(const json_t *effective)
{
	const char *name = json_string_value(json_object_get(effective, "model"));

	if (!name)
		return "";
	return str_starts(name, "ft:") ? name + 3 : name;
}

/* 504 for gpt-5.4-mini; 0: a name without a version, or with one that means something else */
static unsigned version(const char *name)
{
	unsigned major = 0, minor = 0;

	if (!str_starts(name, "gpt-"))
		return 0;
	for (name += 4; isdigit((unsigned char)*name) && major <= MAJOR_MAX; name++)
		major = major * 10 + (unsigned)(*name - '0');
	if (*name == '.' && isdigit((unsigned char)name[1]))
		minor = (unsigned)(name[1] - '0');
	return major > MAJOR_MAX ? 0 : major * 100 + minor;
}

static bool o_series(const char *name)
{
	return name[0] == 'o' && isdigit((unsigned char)name[1]);
}

/* The chat models of a family are those that do not reason. */
bool openai_model_reasons(const json_t *effective)
{
	const char *name = name_of(effective);

	return o_series(name) || (version(name) >= REASONING_FROM && !strstr(name, "-chat"));
}

static bool effort_none(const json_t *effective)
{
	const char *effort = json_string_value(json_object_get(effective, "reasoning_effort"));

	return effort && strcmp(effort, "none") == 0;
}

bool openai_model_wants_responses(const json_t *effective)
{
	return json_array_size(json_object_get(effective, "tools")) > 0 &&
	       openai_model_reasons(effective) &&
	       version(name_of(effective)) >= TOOLS_ELSEWHERE_FROM && !effort_none(effective);
}

static bool is_number(const json_t *v, double wanted)
{
	double d = json_number_value(v);

	return json_is_number(v) && d >= wanted && d <= wanted;
}

/* asked for anything but what the model does by itself */
static bool is_asked(const json_t *effective, const char *field)
{
	const json_t *v = json_object_get(effective, field);
	double usual = strstr(field, "_penalty") ? 0 : 1;

	return v && !json_is_false(v) && !is_number(v, usual);
}

static int refuse(const struct body_check *k, const char *const *fields, const char *why)
{
	int rc = 0;

	for (; *fields && !rc; fields++)
		if (is_asked(k->effective, *fields))
			rc = body_refuse(k, *fields, why);
	return rc;
}

static int check_stop(const struct body_check *k)
{
	const char *name = name_of(k->effective);
	bool none = str_starts(name, "o3") || str_starts(name, "o4-mini");

	return none && json_array_size(json_object_get(k->effective, "stop"))
		       ? body_refuse(k, "stop", "this model has no stop strings")
		       : 0;
}

int openai_model_check(const struct body_check *k)
{
	static const char *const never[] = { "presence_penalty", "frequency_penalty", NULL };
	static const char *const sampling[] = { "temperature", "top_p", NULL };
	static const char *const odds[] = { "logprobs", NULL };
	int rc = body_at_most(k, "temperature", 2);

	if (rc || !openai_model_reasons(k->effective))
		return rc;
	rc = refuse(k, never, "a reasoning model has none");
	if (!rc)
		rc = check_stop(k);
	if (rc || effort_none(k->effective))
		return rc;
	rc = refuse(k, sampling, "while it reasons a model takes only 1");
	if (rc || !json_is_true(json_object_get(k->effective, "logprobs")))
		return rc;
	rc = refuse(k, odds, "a model has none while it reasons");
	(void)json_object_del(k->effective, "top_logprobs"); /* meaningless without; often absent */
	return rc;
}
