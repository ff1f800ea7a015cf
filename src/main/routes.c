/*
 * main/routes.c - the syntax of [route NAME]
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "main/routes.h"

#include "base/banned.h"

enum { WORD_BYTES = 32 };

struct words {
	const char *p;
	char word[WORD_BYTES]; /* "" at the end */
};

static void next(struct words *w)
{
	size_t n;

	w->p += strspn(w->p, " \t");
	n = strspn(w->p, "<>=!");
	if (!n)
		n = strcspn(w->p, " \t<>=!");
	if (n >= sizeof(w->word))
		n = sizeof(w->word) - 1; /* no word is that long, so it will be refused */
	memcpy(w->word, w->p, n);
	w->word[n] = '\0';
	w->p += n;
}

static bool in(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

static int bad_word(const struct words *w, const char *wanted, struct err *e)
{
	return err_set(e, ERR_REQUEST, "\"%s\" where %s is wanted",
		       w->word[0] ? w->word : "the end", wanted);
}

/* [not] FLAG, or [not] NUMBER-OF-SOMETHING < N */
static int check_term(struct words *w, struct err *e)
{
	static const char *const flags[] = { "keywords", "code", "tools", "images", NULL };
	static const char *const sizes[] = { "last_chars", "total_chars", "messages", NULL };
	static const char *const compare[] = { "<", "<=", ">", ">=", "=", "==", "!=", NULL };
	uint64_t number;

	while (strcmp(w->word, "not") == 0)
		next(w);
	if (in(flags, w->word)) {
		next(w);
		return 0;
	}
	if (!in(sizes, w->word))
		return bad_word(
			w, "last_chars, total_chars, messages, keywords, code, tools or images", e);
	next(w);
	if (!in(compare, w->word))
		return bad_word(w, "< <= > >= = or !=", e);
	next(w);
	if (str_parse_u64(w->word, &number) < 0)
		return bad_word(w, "a number", e);
	next(w);
	return 0;
}

static int check_condition(const char *text, struct err *e)
{
	struct words w = { text, "" };
	int rc;

	next(&w);
	rc = check_term(&w, e);
	while (rc == 0 && w.word[0]) {
		if (strcmp(w.word, "and") != 0 && strcmp(w.word, "or") != 0)
			return bad_word(&w, "and, or, or ->", e);
		next(&w);
		rc = check_term(&w, e);
	}
	return rc;
}

static int check_model(const char *model, struct err *e)
{
	model += strspn(model, " \t");
	if (!strchr(model, '/') || model[0] == '/' || str_ends(model, "/") || strpbrk(model, " \t"))
		return err_set(e, ERR_REQUEST, "BACKEND/MODEL is wanted behind ->");
	return 0;
}

int routes_check(const char *key, const char *value, struct err *e)
{
	const char *arrow = strstr(value, "->");
	AUTO_FREE char *when = NULL;
	int rc;

	if (strcmp(key, "keywords") == 0 || strcmp(key, "code") == 0)
		return 0;
	if (!arrow)
		return err_set(e, ERR_REQUEST,
			       "a rule is \"when CONDITION -> MODEL\" or \"otherwise -> MODEL\"");
	when = str_dup_n(value, (size_t)(arrow - value));
	if (!when)
		return err_sys(e, ENOMEM, "configuration");
	while (when[0] && isspace((unsigned char)when[strlen(when) - 1]))
		when[strlen(when) - 1] = '\0';
	if (strcmp(when, "otherwise") == 0)
		rc = 0;
	else if (str_starts(when, "when ") || str_starts(when, "when\t"))
		rc = check_condition(when + 5, e);
	else
		rc = err_set(e, ERR_REQUEST, "a rule begins with \"when\" or \"otherwise\"");
	return rc < 0 ? rc : check_model(arrow + 2, e);
}
