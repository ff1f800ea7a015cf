/*
 * main/routes.h - the syntax of [route NAME]: checked now, in force in a later version
 *
 *   NAME = when CONDITION -> MODEL      NAME = otherwise -> MODEL
 *   keywords = word, several words      code = pattern, pattern
 *
 * Threads: main's only. Blocks: never. Source: the request format page, Routing.
 */
#ifndef MAIN_ROUTES_H
#define MAIN_ROUTES_H

#include "base/err.h"

/* routes_check - one key of a route section; 0, -EINVAL */
int routes_check(const char *key, const char *value, struct err *e);

#endif
