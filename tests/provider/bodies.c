/* Bodies for a judge; see bodies.h. */
#define _GNU_SOURCE 1
#include "bodies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXTRAS_MAX 32

static int file = -1;
static const char *test;
static char *extras[EXTRAS_MAX];
static size_t extra_count;

int bodies_init(void)
{
	const char *dir = getenv("PROVIDER_BODIES");
	char path[4096];

	test = getenv("PROVIDER_TEST");
	if (!dir || !*dir)
		return 0;
	snprintf(path, sizeof(path), "%s/%ld.jsonl", dir, (long)getpid());
	file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (file < 0)
		perror(path);
	return file < 0 ? -1 : 0;
}

int bodies_extra(const char *text)
{
	if (!text || !*text || extra_count == EXTRAS_MAX)
		return -EINVAL;
	extras[extra_count] = strdup(text);
	if (!extras[extra_count++])
		abort();
	return 0;
}

void bodies_reset(void)
{
	while (extra_count)
		free(extras[--extra_count]);
}

static bool is_extra(const struct buf *body)
{
	for (size_t i = 0; i < extra_count; i++)
		if (memmem(body->p, body->len, extras[i], strlen(extras[i])))
			return true;
	return false;
}

static enum MHD_Result add_argument(void *cls, enum MHD_ValueKind kind, const char *key,
				    const char *value)
{
	struct buf *path = cls;

	(void)kind;
	buf_fmt(path, "%s%s%s%s", strchr(path->p, '?') ? "&" : "?", key, value ? "=" : "",
		value ? value : "");
	return MHD_YES;
}

/* Files are uploaded as they are; everything else that has a body is JSON, or ought to be. */
static bool is_wanted(const struct call *c, const char *path)
{
	if (file < 0 || !c->body.len || (strcmp(c->method, "POST") && strcmp(c->method, "DELETE")))
		return false;
	return !strstr(path, "/files");
}

/* One write for a line: several servers may be told to end at any time. */
void bodies_note(const struct call *c)
{
	const char *path = c->path.p + strlen(c->ask.dialect->prefix);
	struct buf line = { 0 }, where = { 0 };

	if (!is_wanted(c, path))
		return;
	buf_str(&where, path);
	MHD_get_connection_values(c->conn, MHD_GET_ARGUMENT_KIND, add_argument, &where);
	buf_fmt(&line, "{\"dialect\":\"%s\",\"method\":\"%s\",\"path\":", c->ask.dialect->name,
		c->method);
	buf_jstr(&line, where.p);
	buf_str(&line, ",\"test\":");
	buf_jstr(&line, test ? test : "");
	buf_fmt(&line, ",\"extra\":%s,\"body\":", is_extra(&c->body) ? "true" : "false");
	buf_add(&line, c->body.p, c->body.len);
	/* JSON has no line break but between its words */
	for (char *p = line.p; (p = memchr(p, '\n', (size_t)(line.p + line.len - p))); p++)
		*p = ' ';
	buf_str(&line, "}\n");
	if (write(file, line.p, line.len) != (ssize_t)line.len)
		perror("provider: a body could not be written down");
	buf_free(&where);
	buf_free(&line);
}
