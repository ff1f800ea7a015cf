/*
 * request_say.c - sentences about what is wrong in a request
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "core/canon.h"
#include "core/request_say.h"

#include "base/banned.h"

void request_say_quote(const char *s, char *out, size_t cap)
{
	char cut[41];

	if (!str_copy(cut, sizeof(cut), s)) {
		cut[str_utf8_whole(cut, strlen(cut))] = '\0';
		(void)snprintf(out, cap, "\"%s...\"", cut); /* cap is REQUEST_SAY_FOUND_MAX */
	} else {
		(void)snprintf(out, cap, "\"%s\"", cut);
	}
}

void request_say_found(const json_t *v, char *out, size_t cap)
{
	char number[32];

	if (json_is_string(v)) {
		request_say_quote(json_string_value(v), out, cap);
	} else if (json_is_integer(v)) {
		(void)snprintf(out, cap, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	} else if (json_is_real(v) && !canon_number(json_real_value(v), number)) {
		str_copy(out, cap, number);
	} else {
		str_copy(out, cap,
			 json_is_object(v)  ? "an object"
			 : json_is_array(v) ? "a list"
			 : json_is_true(v)  ? "true"
			 : json_is_false(v) ? "false"
					    : "null");
	}
}

void request_say_path(char out[ERR_NAME_MAX], const char *path, const char *member)
{
	size_t n;

	str_copy(out, ERR_NAME_MAX, path);
	n = strlen(out);
	if (*member && n + 1 < ERR_NAME_MAX) {
		out[n++] = '.';
		str_copy(out + n, ERR_NAME_MAX - n, member);
	}
	out[str_utf8_whole(out, strlen(out))] = '\0';
}

int request_say(struct err *e, enum err_kind kind, const char *path, const char *fmt, ...)
{
	char text[ERR_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* short: all parts are limited */
	va_end(ap);
	return err_field(e, kind, path, "%s %s", path, text);
}

int request_say_wrong(struct err *e, const char *path, const char *allowed, const json_t *v)
{
	char found[REQUEST_SAY_FOUND_MAX];

	if (!v)
		return request_say(e, ERR_REQUEST, path, "is missing; give %s", allowed);
	request_say_found(v, found, sizeof(found));
	return request_say(e, ERR_REQUEST, path, "must be %s, found %s", allowed, found);
}

int request_say_unknown(struct err *e, const char *path, const char *name, const char *const *known,
			const char *has)
{
	const char *near = str_nearest(name, known);
	char full[ERR_NAME_MAX], cut[33];

	if (!str_copy(cut, sizeof(cut), name))
		cut[str_utf8_whole(cut, strlen(cut))] = '\0';
	request_say_path(full, path, cut);
	if (near)
		return request_say(e, ERR_REQUEST, full, "is not known; did you mean \"%s\"?",
				   near);
	return request_say(e, ERR_REQUEST, full, "is not known; %s, remove it", has);
}

bool request_say_name(const json_t *v, size_t max)
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);

	if (!s || !n || n > max)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

bool request_say_is(const json_t *v, const char *text)
{
	return json_is_string(v) && strcmp(json_string_value(v), text) == 0;
}
