/*
 * engine_url.c - an engine's URL in its parts
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/engine_url.h"

#include "base/banned.h"

static int add_option(struct engine_url *u, char *text, struct err *e)
{
	char *eq = strchr(text, '=');

	if (!eq || eq == text)
		return err_set(e, ERR_REQUEST, "cache %s: write the option \"%s\" as NAME=VALUE",
			       u->scheme, text);
	if (u->n == ENGINE_URL_OPTIONS)
		return err_set(e, ERR_REQUEST, "cache %s: more than %d options", u->scheme,
			       ENGINE_URL_OPTIONS);
	*eq = '\0';
	if (engine_url_get(u, text))
		return err_set(e, ERR_REQUEST, "cache %s: the option %s is there twice", u->scheme,
			       text);
	u->option[u->n].name = text;
	u->option[u->n++].value = eq + 1;
	return 0;
}

static int split_options(struct engine_url *u, char *text, struct err *e)
{
	int rc = 0;

	while (text && *text && !rc) {
		char *next = strchr(text, '&');

		if (next)
			*next++ = '\0';
		rc = add_option(u, text, e);
		text = next;
	}
	return rc;
}

int engine_url_parse(const char *url, struct engine_url *out, struct err *e)
{
	struct engine_url u = { .text = strdup(url) };
	char *colon, *question;
	int rc;

	if (!u.text)
		return -ENOMEM;
	colon = strchr(u.text, ':');
	if (!colon || colon == u.text) {
		rc = err_set(e, ERR_REQUEST,
			     "cache \"%s\" is no URL; write for example disk:/var/cache/inferfs",
			     url);
		engine_url_done(&u);
		return rc;
	}
	*colon = '\0';
	u.scheme = u.text;
	u.path = colon + 1;
	question = strchr(colon + 1, '?');
	if (question)
		*question++ = '\0';
	rc = split_options(&u, question, e);
	if (rc) {
		engine_url_done(&u);
		return rc;
	}
	*out = u;
	return 0;
}

void engine_url_done(struct engine_url *u)
{
	if (!u)
		return;
	free(u->text);
	memset(u, 0, sizeof(*u));
}

const char *engine_url_get(const struct engine_url *u, const char *name)
{
	for (size_t i = 0; i < u->n; i++)
		if (strcmp(u->option[i].name, name) == 0)
			return u->option[i].value;
	return NULL;
}

int engine_url_u64(const struct engine_url *u, const char *name, uint64_t *out, struct err *e)
{
	const char *v = engine_url_get(u, name);

	if (v && str_parse_u64(v, out))
		return err_set(e, ERR_REQUEST, "cache %s: %s=%s is not a whole number", u->scheme,
			       name, v);
	return 0;
}

static int in_list(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(name, *list) == 0)
			return 1;
	return 0;
}

int engine_url_known(const struct engine_url *u, const char *const *known, struct err *e)
{
	for (size_t i = 0; i < u->n; i++) {
		const char *name = u->option[i].name, *near;

		if (in_list(name, known))
			continue;
		near = str_nearest(name, known);
		return err_set(e, ERR_REQUEST, "cache %s: unknown option %s%s%s%s", u->scheme, name,
			       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	return 0;
}
