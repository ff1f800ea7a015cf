/*
 * infer/anthropic_model.c - what a Claude model's name tells
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/anthropic_model.h"

#include "base/banned.h"

enum { SAMPLES_TO = 406, ADAPTIVE_FROM = 406, THINKS_FROM = 307, BUDGET_MIN = 1024 };

/* One or two digits are a number of a version, eight are a date. */
static bool take_number(struct anthropic_model *m, const char *word, unsigned *parts)
{
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)*word) || *parts == 2)
		return false;
	n = strtoul(word, &end, 10);
	if (end - word > 2 || n > 99 || (*end && *end != '-' && *end != '.'))
		return false;
	m->version += (unsigned)n * (*parts ? 1 : 100);
	(*parts)++;
	if (*end == '.')
		(void)take_number(m, end + 1, parts); /* "claude-2.1" */
	return true;
}

struct anthropic_model anthropic_model_read(const char *name)
{
	struct anthropic_model m = { "", 0 };
	unsigned parts = 0;
	bool over = false;

	if (!str_starts(name, "claude-"))
		return m;
	for (const char *word = name + 7; *word; word += word[strcspn(word, "-")] == '-') {
		size_t n = strcspn(word, "-");

		if (!over && !take_number(&m, word, &parts) && isalpha((unsigned char)*word) &&
		    !m.family[0] && n < sizeof(m.family))
			memcpy(m.family, word, n);
		else if (isdigit((unsigned char)*word) && n > 2 && !strchr(word, '.'))
			over = true;
		word += n;
	}
	return m;
}

static bool is(const struct anthropic_model *m, const char *family, unsigned version)
{
	return m->version == version && strcmp(m->family, family) == 0;
}

bool anthropic_model_samples(const struct anthropic_model *m)
{
	return m->version <= SAMPLES_TO;
}

bool anthropic_model_forced(const struct anthropic_model *m)
{
	return !is(m, "opus", 505) && !is(m, "sonnet", 505) && !is(m, "fable", 501);
}

/* Large enough for a model that thinks first, and within the card of every model of its time. */
int64_t anthropic_model_default(const char *name)
{
	struct anthropic_model m = anthropic_model_read(name);

	if (m.version && m.version < 305)
		return 4096;
	return m.version && m.version < THINKS_FROM ? 8192 : 32000;
}

/* ---- thinking ---- */

static const char *switched_off(const struct anthropic_model *m, struct anthropic_model_effort *out)
{
	if (is(m, "opus", 505) || is(m, "fable", 500) || is(m, "fable", 501))
		return "this model always thinks";
	if (is(m, "sonnet", 505))
		out->thinking = "between_tools";
	else if (!m->version || m->version >= ADAPTIVE_FROM)
		out->thinking = "disabled";
	return NULL; /* older ones do not think unless they are told to */
}

/* Models before 4.6 take a number of tokens, which is part of max_tokens. */
static const char *budgeted(const struct anthropic_model *m, const char *effort, int64_t max_tokens,
			    struct anthropic_model_effort *out)
{
	static const struct {
		const char *effort;
		int budget;
	} budgets[] = { { "low", 1024 }, { "medium", 8192 }, { "high", 24576 } };

	if (m->version < THINKS_FROM)
		return "this model does not think";
	for (size_t i = 0; i < ARRAY_LEN(budgets); i++) {
		if (strcmp(budgets[i].effort, effort) != 0)
			continue;
		if (max_tokens <= BUDGET_MIN)
			return "thinking takes at least 1024 of max_tokens; raise max_tokens";
		out->thinking = "enabled";
		out->budget = budgets[i].budget < max_tokens / 2 ? budgets[i].budget
			      : max_tokens / 2 > BUDGET_MIN	 ? (int)(max_tokens / 2)
								 : BUDGET_MIN;
		return NULL;
	}
	return "this model has none, low, medium and high";
}

const char *anthropic_model_effort(const struct anthropic_model *m, const char *effort,
				   int64_t max_tokens, struct anthropic_model_effort *out)
{
	static const char *const efforts[] = { "low", "medium", "high", "xhigh", "max" };

	*out = (struct anthropic_model_effort){ NULL, NULL, 0 };
	if (strcmp(effort, "none") == 0)
		return switched_off(m, out);
	if (m->version && m->version < ADAPTIVE_FROM)
		return budgeted(m, effort, max_tokens, out);
	for (size_t i = 0; i < ARRAY_LEN(efforts); i++) {
		if (strcmp(efforts[i], effort) == 0) {
			out->effort = efforts[i];
			out->thinking = "adaptive";
			return NULL;
		}
	}
	return "it has none, low, medium, high, xhigh and max";
}
