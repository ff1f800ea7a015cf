/*
 * infer/gemini_model.c - what a Gemini model's name tells
 */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "infer/content.h"
#include "infer/gemini_model.h"

#include "base/banned.h"

enum { LEVELS_FROM = 300, BUDGETS_FROM = 205 };

const char *gemini_model_bare(const char *model)
{
	return str_starts(model, "models/") ? model + 7 : model;
}

/* "gemini-2.5-pro" is 205, "gemini-4-argon" 400; 0: the name has no number (gemini-flash-latest) */
static unsigned version(const char *model)
{
	const char *p = gemini_model_bare(model);

	if (!str_starts(p, "gemini-") || !isdigit((unsigned char)p[7]) ||
	    isdigit((unsigned char)p[8]))
		return 0;
	p += 7;
	if (p[1] == '.' && isdigit((unsigned char)p[2]) && !isdigit((unsigned char)p[3]))
		return (unsigned)(p[0] - '0') * 100 + (unsigned)(p[2] - '0');
	return (unsigned)(p[0] - '0') * 100;
}

/* The budgets are the ones Google's own OpenAI-compatible door takes for these words. */
static const struct {
	const char *effort, *level;
	int budget;
} efforts[] = {
	{ "none", NULL, 0 },	      { "minimal", "MINIMAL", 1024 }, { "low", "LOW", 1024 },
	{ "medium", "MEDIUM", 8192 }, { "high", "HIGH", 24576 },
};

bool gemini_model_thinking(const char *model, const char *effort, struct gemini_model_thinking *out)
{
	unsigned v = version(model);

	*out = (struct gemini_model_thinking){ NULL, -1 };
	if (v && v < BUDGETS_FROM)
		return strcmp(effort, "none") == 0;
	for (size_t i = 0; i < sizeof(efforts) / sizeof(efforts[0]); i++) {
		if (strcmp(efforts[i].effort, effort) != 0)
			continue;
		if (v && v < LEVELS_FROM)
			out->budget = efforts[i].budget;
		else
			out->level = efforts[i].level;
		return out->budget >= 0 || out->level;
	}
	return false;
}

bool gemini_model_signs(const char *model)
{
	return version(model) >= LEVELS_FROM;
}

/* Tuned models have a folder of their own; everything else lies in models/. */
void gemini_model_path(struct buf *out, const char *model, const char *method)
{
	static const char tuned[] = "tunedModels/";
	const char *name = gemini_model_bare(model);
	bool own = str_starts(name, tuned);

	(void)buf_addf(out, "/v1beta/%s", own ? tuned : "models/"); /* out->failed tells */
	content_escape(out, own ? name + sizeof(tuned) - 1 : name);
	(void)buf_addf(out, ":%s", method);
}
