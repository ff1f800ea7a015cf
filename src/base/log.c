/*
 * log.c - lines for the operator, secrets masked
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

/* syslog.h and log.h want the same names; here ours win. */
enum { SYS_ERROR = LOG_ERR, SYS_WARNING = LOG_WARNING, SYS_INFO = LOG_INFO, SYS_DEBUG = LOG_DEBUG };
#undef LOG_WARNING
#undef LOG_INFO
#undef LOG_DEBUG

#include "base/auto.h"
#include "base/fdio.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/str.h"

#include "base/banned.h"

enum { LINE_MAX_BYTES = 4096 };

struct secret {
	struct secret *next; /* the longer first: one may hold the other */
	size_t len;
	char text[];
};

static struct lock log_lock = { .m = PTHREAD_MUTEX_INITIALIZER, .rank = LOCK_LOG };
static struct secret *secrets;
static int log_fd = STDERR_FILENO;
static bool to_syslog;
static int threshold = LOG_INFO; /* atomic: read without the lock */

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static const int sys_levels[] = { SYS_ERROR, SYS_WARNING, SYS_INFO, SYS_DEBUG };

static void close_file_locked(void)
{
	if (log_fd != STDERR_FILENO)
		(void)close(log_fd); /* lines already written are with the kernel */
	log_fd = STDERR_FILENO;
}

int log_open(const char *path, enum log_level level)
{
	int fd = STDERR_FILENO;

	if (path) {
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
		if (fd < 0)
			return -errno;
	}
	__atomic_store_n(&threshold, (int)level, __ATOMIC_RELAXED);
	LOCK_SCOPE(&log_lock);
	close_file_locked();
	to_syslog = false;
	log_fd = fd;
	return 0;
}

void log_to_syslog(void)
{
	LOCK_SCOPE(&log_lock);
	close_file_locked();
	if (!to_syslog)
		openlog("inferfs", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	to_syslog = true;
}

int log_level_parse(const char *name, enum log_level *out_level)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcmp(name, level_names[i]) != 0)
			continue;
		*out_level = (enum log_level)i;
		return 0;
	}
	return -EINVAL;
}

int log_enabled(enum log_level level)
{
	return (int)level <= __atomic_load_n(&threshold, __ATOMIC_RELAXED);
}

static bool secret_known_locked(const char *text)
{
	for (const struct secret *s = secrets; s; s = s->next)
		if (strcmp(s->text, text) == 0)
			return true;
	return false;
}

void log_secret(const char *text)
{
	size_t n = text ? strlen(text) : 0;
	struct secret *s, **at = &secrets;

	LOCK_SCOPE(&log_lock);
	if (!n || secret_known_locked(text))
		return;
	s = malloc(sizeof(*s) + n + 1);
	if (!s)
		abort(); /* rather no daemon than a key in a log */
	s->len = n;
	memcpy(s->text, text, n + 1);
	while (*at && (*at)->len > n)
		at = &(*at)->next;
	s->next = *at;
	*at = s;
}

/* In place, so a secret shorter than the stars gets only as many as fit. */
static void mask_one(char *text, const struct secret *s)
{
	size_t stars = s->len < 3 ? s->len : 3;
	char *p = text;

	while ((p = strstr(p, s->text))) {
		memset(p, '*', stars);
		memmove(p + stars, p + s->len, strlen(p + s->len) + 1);
		p += stars;
	}
}

static void mask_locked(char *text)
{
	for (const struct secret *s = secrets; s; s = s->next)
		mask_one(text, s);
}

void log_mask(char *text)
{
	LOCK_SCOPE(&log_lock);
	mask_locked(text);
}

/* A model's or user's bytes must not forge a second line or move the terminal's cursor. */
static void add_escaped(struct buf *out, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p && !out->failed; p++) {
		if (*p == '\n')
			(void)buf_adds(out, "\\n"); /* over the maximum: the line is cut there */
		else if (*p < 0x20 || *p == 0x7f)
			(void)buf_addf(out, "\\x%02X", *p);
		else
			(void)buf_addc(out, (char)*p);
	}
}

static void emit_locked(enum log_level level, const char *text)
{
	AUTO_BUF struct buf line = BUF_INIT(LINE_MAX_BYTES - 1);
	char when[32];

	if (!to_syslog) {
		str_iso8601(mono_real_ns(), when, sizeof(when));
		(void)buf_addf(&line, "%s %s ", when, level_names[level]);
	}
	add_escaped(&line, text);
	line.max = LINE_MAX_BYTES;
	line.failed = 0;
	line.len = str_utf8_whole(buf_str(&line), line.len);
	if (to_syslog) {
		syslog(sys_levels[level], "%s", buf_str(&line));
		return;
	}
	(void)buf_addc(&line, '\n');
	(void)fdio_write_all(log_fd, line.data, line.len); /* where would we complain? */
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	if ((unsigned)level > LOG_DEBUG || !log_enabled(level))
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text) {
		/* whole before it is cut: half a secret at the end would not be recognised */
		LOCK_SCOPE(&log_lock);
		mask_locked(text);
		emit_locked(level, text);
	}
	free(text);
}

void log_close(void)
{
	LOCK_SCOPE(&log_lock);
	close_file_locked();
	if (to_syslog)
		closelog();
	to_syslog = false;
	while (secrets) {
		struct secret *s = secrets;

		secrets = s->next;
		explicit_bzero(s->text, s->len);
		free(s);
	}
}
