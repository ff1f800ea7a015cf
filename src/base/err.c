/*
 * err.c - the one table from failure kinds to errno and category
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/str.h"

#include "base/banned.h"

struct err_row {
	int code;
	const char *category;
};

/* This is the errno table of the mount's interface; scripts rely on it, so rows never change. */
static const struct err_row rows[ERR_KINDS] = {
	[ERR_NONE] = { 0, "internal" },
	[ERR_REQUEST] = { EINVAL, "request" },
	[ERR_FILE_SIZE] = { EFBIG, "too_large" },
	[ERR_CONTEXT] = { EMSGSIZE, "too_large" },
	[ERR_NO_KEY] = { ENOKEY, "auth" },
	[ERR_KEY_REJECTED] = { EKEYREJECTED, "auth" },
	[ERR_NOT_FOUND] = { ENXIO, "not_found" },
	[ERR_QUOTA] = { EDQUOT, "quota" },
	[ERR_RATE_LIMIT] = { EBUSY, "rate_limit" },
	[ERR_PROVIDER] = { EREMOTEIO, "provider" },
	[ERR_PROTOCOL] = { EBADMSG, "provider" },
	[ERR_TIMEOUT] = { ETIMEDOUT, "timeout" },
	[ERR_REFUSED] = { ECONNREFUSED, "network" },
	[ERR_UNREACHABLE] = { EHOSTUNREACH, "network" },
	[ERR_TLS] = { EPROTO, "network" },
	[ERR_BREAKER] = { EHOSTDOWN, "unavailable" },
	[ERR_QUEUE_FULL] = { ENOBUFS, "unavailable" },
	[ERR_CANCELLED] = { ECANCELED, "cancelled" },
	[ERR_CACHE_ONLY] = { ENODATA, "cache" },
	[ERR_UNSUPPORTED] = { EOPNOTSUPP, "unsupported" },
	[ERR_NO_REQUEST] = { ENODATA, "request" },
	[ERR_ENDING] = { ESHUTDOWN, "unavailable" },
	[ERR_DISK_FULL] = { ENOSPC, "internal" },
	[ERR_INTERNAL] = { EIO, "internal" },
};

/* A kind out of range is a bug of ours, and EIO is what the table says for bugs. */
static const struct err_row *row_of(enum err_kind kind)
{
	return (unsigned)kind < ARRAY_LEN(rows) ? &rows[kind] : &rows[ERR_INTERNAL];
}

/* The sentence ends up in JSON, so a cut must not leave half a character. */
static void format_whole(char *out, size_t cap, const char *fmt, va_list ap)
{
	int n = vsnprintf(out, cap, fmt, ap);

	if (n < 0)
		out[0] = '\0';
	else if ((size_t)n >= cap)
		out[str_utf8_whole(out, cap - 1)] = '\0';
}

/* Through a local: the arguments may point into *e, as when a sentence is put into another. */
static void fill(struct err *e, enum err_kind kind, const char *fmt, va_list ap)
{
	char text[ERR_MESSAGE_MAX];

	format_whole(text, sizeof(text), fmt, ap);
	memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->code = err_errno(kind);
	str_copy(e->message, sizeof(e->message), text);
}

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		fill(e, kind, fmt, ap);
		va_end(ap);
	}
	return -err_errno(kind);
}

int err_field(struct err *e, enum err_kind kind, const char *field, const char *fmt, ...)
{
	char name[ERR_NAME_MAX];
	va_list ap;

	if (e) {
		if (!str_copy(name, sizeof(name), field))
			name[str_utf8_whole(name, strlen(name))] = '\0';
		va_start(ap, fmt);
		fill(e, kind, fmt, ap);
		va_end(ap);
		memcpy(e->field, name, sizeof(name));
	}
	return -err_errno(kind);
}

int err_sys(struct err *e, int sys_errno, const char *fmt, ...)
{
	bool full = sys_errno == ENOSPC || sys_errno == EDQUOT;
	char text[ERR_MESSAGE_MAX], why[128];
	va_list ap;

	if (!e)
		return -sys_errno;
	va_start(ap, fmt);
	format_whole(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)err_set(e, full ? ERR_DISK_FULL : ERR_INTERNAL, "%s: %s", text,
		      strerror_r(sys_errno, why, sizeof(why)));
	return -sys_errno;
}

void err_prefix(struct err *e, const char *fmt, ...)
{
	char text[ERR_MESSAGE_MAX];
	va_list ap;
	size_t n;

	if (!e)
		return;
	va_start(ap, fmt);
	format_whole(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = strlen(text);
	if (!str_copy(text + n, sizeof(text) - n, e->message))
		text[str_utf8_whole(text, strlen(text))] = '\0';
	memcpy(e->message, text, strlen(text) + 1);
}

int err_errno(enum err_kind kind)
{
	return row_of(kind)->code;
}

const char *err_category(enum err_kind kind)
{
	return row_of(kind)->category;
}

const char *err_name(int sys_errno)
{
	const char *name = sys_errno > 0 ? strerrorname_np(sys_errno) : NULL;

	/* One number, two names on Linux; the interface uses this one. */
	if (sys_errno == EOPNOTSUPP)
		return "EOPNOTSUPP";
	return name ? name : "E?";
}

enum err_kind err_by_name(const char *name)
{
	for (size_t i = ERR_NONE + 1; i < ARRAY_LEN(rows); i++)
		if (name && strcmp(name, err_name(rows[i].code)) == 0)
			return (enum err_kind)i;
	return ERR_NONE;
}
