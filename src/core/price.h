/*
 * price.h - what a call costs, by a dated list of prices
 *
 *   1. price_builtin   the list this program carries, or price_parse: one of the user's instead of it
 *   2. price_cost      usage of one call -> USD
 *   3. price_free
 *
 * A list: {"unit","as_of","models":[{"provider","model","aliases","kind","input","output","cached_input",
 * "cache_write_5m","cache_write_1h","batch_discount","context_window","long_context":{"threshold_input_tokens",
 * "input","output","cached_input"},"next_price":{"from":"2027-01-01","input","output","cached_input"}}]};
 * prices are USD per million tokens, null is unknown, members that are not named here are let be.
 * A model is known by its name, an alias, or its name and a date after it (gpt-4o-2024-08-06).
 *
 * Threads: a list is not changed once made; any may read it. Blocks: never.
 * Source: the price list of the protocol reference; thresholds count all input tokens.
 */
#ifndef CORE_PRICE_H
#define CORE_PRICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/answer.h"

struct price_list;

/* price_builtin - NULL: out of memory */
struct price_list *price_builtin(void);
/* price_parse - text of a list; -EINVAL with line and column or the entry that is wrong; -ENOMEM */
int price_parse(const char *text, size_t len, struct price_list **out, struct err *e);
/* price_free - takes NULL, returns NULL */
struct price_list *price_free(struct price_list *p);

/* whose price and when */
struct price_of {
	const char *provider; /* NULL: nobody's list */
	const char *model;
	uint64_t now_real_ns; /* which of two prices holds */
	bool batch;	      /* through a batch API: at its discount */
};

/* price_cost - USD of one call, a negative number when it is not known: no such entry, or the provider
 * did not say how many tokens it were */
double price_cost(const struct price_list *p, const struct price_of *of,
		  const struct answer_usage *u);
/* price_show - the entry for people: {"input","output",... ,"as_of"}, a new object; NULL: none */
json_t *price_show(const struct price_list *p, const struct price_of *of);
/* price_context - tokens that the model takes, 0 when the list does not say */
int64_t price_context(const struct price_list *p, const struct price_of *of);
/* price_as_of - the date of the list, "" when it has none */
const char *price_as_of(const struct price_list *p);

#endif
