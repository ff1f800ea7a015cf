/*
 * price.c - what a call costs
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "core/canon.h"
#include "core/price.h"

#include "base/banned.h"

enum { MODELS_MAX = 10000 };

/* The list lies in the program as it lies in the source tree: one form, which users copy and change. */
__asm__(".pushsection .rodata\n"
	"price_json_begin:\n"
	".incbin \"src/core/prices.json\"\n"
	"price_json_end:\n"
	".byte 0\n"
	".popsection\n");
extern const char price_json_begin[], price_json_end[];

struct price_list {
	json_t *root, *models; /* models: borrowed from root */
};

/* rates of one entry at one moment, USD per million tokens; negative: not known */
struct rates {
	double input, output, cached, write;
};

static double number(const json_t *o, const char *name, double otherwise)
{
	const json_t *v = json_object_get(o, name);

	return json_is_number(v) ? json_number_value(v) : otherwise;
}

/* ---- making ---- */

static int wrong(size_t i, const char *what, struct err *e)
{
	return err_set(e, ERR_REQUEST, "models[%zu] of the price list: %s", i, what);
}

static int check_rates(const json_t *o, size_t i, struct err *e)
{
	static const char *const rates[] = {
		"input",	  "output", "cached_input", "cache_write_5m", "cache_write_1h",
		"batch_discount", NULL
	};

	for (const char *const *r = rates; *r; r++) {
		const json_t *v = json_object_get(o, *r);

		if (v && !json_is_null(v) && !(json_is_number(v) && json_number_value(v) >= 0))
			return wrong(i, "a price must be a number of USD that is not negative", e);
	}
	if (number(o, "batch_discount", 0) > 1)
		return wrong(i, "batch_discount is a part of 1, 0.5 for half the price", e);
	return 0;
}

static int check_entry(const json_t *o, size_t i, struct err *e)
{
	const json_t *more = json_object_get(o, "long_context");
	int rc;

	if (!json_is_string(json_object_get(o, "provider")) ||
	    !json_is_string(json_object_get(o, "model")))
		return wrong(i, "give \"provider\" and \"model\" as strings", e);
	rc = check_rates(o, i, e);
	if (!rc && json_is_object(more)) {
		rc = check_rates(more, i, e);
		if (!rc && number(more, "threshold_input_tokens", -1) < 0)
			rc = wrong(i, "long_context wants threshold_input_tokens", e);
	}
	more = json_object_get(o, "next_price");
	if (!rc && json_is_object(more))
		rc = check_rates(more, i, e);
	return rc;
}

static int check(const json_t *models, struct err *e)
{
	const json_t *o;
	size_t i;

	if (!json_is_array(models))
		return err_set(e, ERR_REQUEST,
			       "a price list is an object with a list \"models\" in it");
	if (json_array_size(models) > MODELS_MAX)
		return err_set(e, ERR_REQUEST, "the price list has more than %d models",
			       MODELS_MAX);
	json_array_foreach(models, i, o) {
		int rc = check_entry(o, i, e);

		if (rc)
			return rc;
	}
	return 0;
}

int price_parse(const char *text, size_t len, struct price_list **out, struct err *e)
{
	struct price_list *p = calloc(1, sizeof(*p));
	int rc = p ? canon_parse(text, len, &p->root, NULL, e) : -ENOMEM;

	if (!rc) {
		p->models = json_object_get(p->root, "models");
		rc = check(p->models, e);
	}
	if (rc) {
		price_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

struct price_list *price_builtin(void)
{
	struct price_list *p = NULL;

	(void)price_parse(price_json_begin,
			  (size_t)((uintptr_t)price_json_end - (uintptr_t)price_json_begin), &p,
			  NULL);
	return p; /* a test sees to it that only memory can fail */
}

struct price_list *price_free(struct price_list *p)
{
	if (p)
		json_decref(p->root);
	free(p);
	return NULL;
}

const char *price_as_of(const struct price_list *p)
{
	const char *s = json_string_value(json_object_get(p->root, "as_of"));

	return s ? s : "";
}

/* ---- finding ---- */

/* Other lists know two of ours by other names. */
static const char *provider_name(const char *name)
{
	if (strcmp(name, "google") == 0)
		return "gemini";
	return strcmp(name, "llama.cpp") == 0 ? "llamacpp" : name;
}

static size_t digits(const char *s)
{
	size_t n = 0;

	while (isdigit((unsigned char)s[n]))
		n++;
	return n;
}

/* "-2024-08-06" or "-20251001": a snapshot is billed as what it is a snapshot of */
static bool is_date(const char *s)
{
	if (*s++ != '-')
		return false;
	if (digits(s) == 8 && !s[8])
		return true;
	return digits(s) == 4 && s[4] == '-' && digits(s + 5) == 2 && s[7] == '-' &&
	       digits(s + 8) == 2 && !s[10];
}

enum match { MATCH_NONE, MATCH_DATED, MATCH_ALIAS, MATCH_NAME };

static enum match match_name(const char *known, const char *model)
{
	size_t n = strlen(known);

	if (strcmp(known, model) == 0 || strcmp(known, "*") == 0)
		return MATCH_NAME;
	return strncmp(known, model, n) == 0 && is_date(model + n) ? MATCH_DATED : MATCH_NONE;
}

static enum match match(const json_t *o, const char *model)
{
	const char *known = json_string_value(json_object_get(o, "model"));
	const json_t *aliases = json_object_get(o, "aliases"), *a;
	enum match m = match_name(known, model);
	size_t i;

	json_array_foreach(aliases, i, a) {
		if (m < MATCH_ALIAS && json_is_string(a) &&
		    strcmp(json_string_value(a), model) == 0)
			m = MATCH_ALIAS;
	}
	return m;
}

static const json_t *find(const struct price_list *p, const struct price_of *of)
{
	const char *model = of->model;
	enum match best = MATCH_NONE;
	const json_t *o, *found = NULL;
	size_t i;

	if (!p || !of->provider || !model)
		return NULL;
	if (str_starts(model, "models/"))
		model += 7;
	json_array_foreach(p->models, i, o) {
		const char *who = json_string_value(json_object_get(o, "provider"));
		enum match m;

		if (strcmp(provider_name(who), provider_name(of->provider)) != 0)
			continue;
		m = match(o, model);
		if (m > best) {
			best = m;
			found = o;
		}
	}
	return found;
}

/* ---- counting ---- */

static void today(uint64_t real_ns, char out[16])
{
	time_t t = (time_t)(real_ns / 1000000000u);
	struct tm tm;

	out[0] = '\0';
	if (gmtime_r(&t, &tm))
		(void)strftime(out, 16, "%Y-%m-%d", &tm); /* years have four digits for a while */
}

static void lay_over(struct rates *r, const json_t *o)
{
	double was = r->input;

	r->input = number(o, "input", r->input);
	r->output = number(o, "output", r->output);
	r->cached = number(o, "cached_input", r->cached);
	/* a tier without a price for cache writes keeps their relation to its input */
	if (r->write >= 0 && was > 0)
		r->write = number(o, "cache_write_5m", r->write * r->input / was);
}

static struct rates rates_of(const json_t *entry, const struct price_of *of, int64_t input)
{
	const json_t *longer = json_object_get(entry, "long_context");
	const json_t *next = json_object_get(entry, "next_price");
	const char *from = json_string_value(json_object_get(next, "from"));
	struct rates r = { -1, -1, -1, number(entry, "cache_write_5m", -1) };
	char date[16];

	r.input = number(entry, "input", -1);
	r.output = number(entry, "output", -1);
	r.cached = number(entry, "cached_input", -1);
	today(of->now_real_ns, date);
	if (from && strcmp(date, from) >= 0)
		lay_over(&r, next);
	if (longer && (double)input > number(longer, "threshold_input_tokens", INFINITY))
		lay_over(&r, longer);
	if (r.cached < 0)
		r.cached = r.input;
	if (r.write < 0)
		r.write = r.input;
	return r;
}

static double tokens(int64_t n)
{
	return n > 0 ? (double)n : 0;
}

double price_cost(const struct price_list *p, const struct price_of *of,
		  const struct answer_usage *u)
{
	const json_t *entry = find(p, of);
	struct rates r;
	double plain, usd;

	if (!entry || u->input < 0)
		return -1;
	r = rates_of(entry, of, u->input);
	if (r.input < 0 || r.output < 0 || (u->output < 0 && r.output > 0))
		return -1;
	plain = tokens(u->input) - tokens(u->cached_input) - tokens(u->cache_write);
	if (plain < 0)
		return -1; /* numbers that contradict each other are no bill */
	usd = (plain * r.input + tokens(u->cached_input) * r.cached +
	       tokens(u->cache_write) * r.write + tokens(u->output) * r.output) /
	      1e6;
	if (of->batch)
		usd *= 1 - number(entry, "batch_discount", 0);
	return round(usd * 1e12) / 1e12; /* what is below is noise of the arithmetic */
}

int64_t price_context(const struct price_list *p, const struct price_of *of)
{
	return json_integer_value(json_object_get(find(p, of), "context_window"));
}

json_t *price_show(const struct price_list *p, const struct price_of *of)
{
	static const char *const members[] = { "input",		 "output",	   "cached_input",
					       "cache_write_5m", "cache_write_1h", "batch_discount",
					       "long_context",	 "next_price",	   NULL };
	const json_t *entry = find(p, of);
	json_t *o = entry ? json_object() : NULL;

	for (const char *const *m = members; o && *m; m++) {
		json_t *v = json_object_get(entry, *m);

		if (v && json_object_set(o, *m, v)) {
			json_decref(o);
			return NULL;
		}
	}
	if (o && (json_object_set_new(o, "unit", json_string("USD per 1,000,000 tokens")) ||
		  json_object_set_new(o, "as_of", json_string(price_as_of(p))))) {
		json_decref(o);
		return NULL;
	}
	return o;
}
