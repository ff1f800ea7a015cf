/*
 * mountinfo.c - what is mounted where
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fdio.h"
#include "base/mountinfo.h"

#include "base/banned.h"

enum { TEXT_MAX = 16 << 20 };

static bool octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' &&
	       p[2] <= '7';
}

/* blank, tab, newline and backslash are written \040 and so on */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (*s == '\\' && octal(s + 1)) {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/* "36 35 98:0 /root /point options optional... - type source super" */
static bool parse_line(char *line, struct mountinfo *out)
{
	char *fields[5], *type = strstr(line, " - ");

	if (!type)
		return false;
	*type = '\0';
	type += 3;
	type[strcspn(type, " ")] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		fields[i] = strsep(&line, " ");
		if (!fields[i])
			return false;
	}
	unescape(fields[4]);
	unescape(type);
	*out = (struct mountinfo){ .point = fields[4], .fstype = type };
	return true;
}

void mountinfo_parse(char *text, mountinfo_fn *fn, void *arg)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		struct mountinfo m;

		if (parse_line(line, &m) && !fn(arg, &m))
			return;
	}
}

int mountinfo_each(mountinfo_fn *fn, void *arg)
{
	AUTO_BUF struct buf text = BUF_INIT(TEXT_MAX);
	int rc = fdio_read_file(AT_FDCWD, "/proc/self/mountinfo", &text);

	if (rc < 0)
		return rc;
	if (text.data)
		mountinfo_parse(text.data, fn, arg);
	return 0;
}

struct search {
	const char *point;
	bool ours;
};

static bool compare(void *arg, const struct mountinfo *m)
{
	struct search *s = arg;

	if (strcmp(m->point, s->point) == 0)
		s->ours = strcmp(m->fstype, MOUNTINFO_OURS) == 0;
	return true;
}

bool mountinfo_ours(const char *point)
{
	struct search s = { point, false };

	(void)mountinfo_each(compare, &s); /* unreadable: nothing is known to be ours */
	return s.ours;
}
