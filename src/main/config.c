/*
 * main/config.c - config.ini and the options of the command line, read and checked
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "main/backends.h"
#include "main/config.h"
#include "main/config_keys.h"
#include "main/routes.h"

#include "base/banned.h"

enum { LINE_BYTES = 4096, HEADING_BYTES = 50, SECTIONS_MAX = 256, ALIASES_MAX = 1024, NEAR = 96 };
enum { KEYS_MAX = 8192 };

/* libinih gives no line numbers and no empty sections, so the reader below it counts and looks */
struct parser {
	struct config *c;
	const char *file, *text;
	size_t len, pos;
	unsigned line, keys;
	const struct config_keys_section *section; /* NULL: before the first heading */
	char name[HEADING_BYTES];		   /* of [section NAME] */
	void *base;				   /* its struct; NULL: its keys are free */
	struct buf seen;			   /* "section NAME.key\n" of everything given */
	struct err *e;
	int rc; /* the first failure */
};

static int no_memory(struct err *e)
{
	(void)err_sys(e, ENOMEM, "configuration"); /* the same */
	return -ENOMEM;
}

/* the sentence is there; the first one counts */
static int fail(struct parser *p, int rc)
{
	if (p->rc == 0) {
		p->rc = rc;
		err_prefix(p->e, "%s:%u: ", p->file, p->line);
	}
	return rc;
}

#define FAIL(p, ...) ((p)->rc ? (p)->rc : fail(p, err_set((p)->e, ERR_REQUEST, __VA_ARGS__)))

/* names of what is read and not in force, for one line each in the log */
static void note_later(struct config *c, const char *what, const char *name)
{
	/* over the maximum: one note less is no harm */
	(void)buf_addf(&c->later, "%s%s%s\n", what, name[0] ? " " : "", name);
}

/* true: it was there before */
static bool given_before(struct parser *p, const char *key)
{
	AUTO_FREE char *entry = str_printf("\n%s %s\x1f%s\n", p->section->name, p->name, key);

	if (!entry)
		return false;
	if (strstr(buf_str(&p->seen), entry))
		return true;
	(void)buf_adds(&p->seen, entry); /* the file is smaller than the maximum */
	return false;
}

/* keys follow on the next lines: the struct is there from the heading on, also when none come */
static int begin_backend(struct parser *p)
{
	struct config *c = p->c;
	struct config_backend *longer, *s;

	if (!backends_name_ok(p->name))
		return FAIL(p, "[backend NAME] wants a name of letters, digits and . _ -");
	if (c->n_sections == SECTIONS_MAX)
		return FAIL(p, "more than %d backends", SECTIONS_MAX);
	longer = realloc(c->sections, (c->n_sections + 1) * sizeof(*longer));
	if (!longer)
		return fail(p, no_memory(p->e));
	c->sections = longer;
	s = &longer[c->n_sections++];
	*s = (struct config_backend){ .line = p->line };
	s->c.name = strdup(p->name);
	if (!s->c.name || config_keys_backend_defaults(s) < 0)
		return fail(p, no_memory(p->e));
	p->base = s;
	return 0;
}

static int begin_section(struct parser *p, const char *kind)
{
	char near[NEAR];

	p->section = config_keys_section(kind);
	p->base = NULL;
	if (!p->section) {
		config_keys_nearest_section(kind, near, sizeof(near));
		return FAIL(p, "there is no section [%s]%s", kind, near);
	}
	if (p->section->named && !p->name[0])
		return FAIL(p, "[%s] wants a name: [%s NAME]", kind, kind);
	if (!p->section->named && p->name[0])
		return FAIL(p, "[%s] takes no name", kind);
	if (given_before(p, ""))
		return FAIL(p, "[%s%s%s] is there twice", kind, p->name[0] ? " " : "", p->name);
	if (p->section->later)
		note_later(p->c, kind, p->name);
	if (strcmp(kind, "backend") == 0)
		return begin_backend(p);
	if (!p->section->named && p->section->rows)
		p->base = (char *)p->c + p->section->base;
	return 0;
}

/* "[kind name]", perhaps with a comment behind it */
static int heading(struct parser *p, const char *s)
{
	const char *end = strchr(s, ']'), *name;
	char kind[HEADING_BYTES];
	size_t n, all;

	if (!end)
		return FAIL(p, "the heading has no ]");
	s += 1 + strspn(s + 1, " \t");
	all = s < end ? (size_t)(end - s) : 0;
	while (all && strchr(" \t", s[all - 1]))
		all--;
	end += 1 + strspn(end + 1, " \t\r\n");
	if (*end && *end != ';' && *end != '#')
		return FAIL(p, "nothing but a comment may follow a heading");
	if (!all || all >= HEADING_BYTES)
		return FAIL(p, "a heading has 1 to %d bytes between [ and ]", HEADING_BYTES - 1);
	n = strcspn(s, " \t]");
	n = n > all ? all : n;
	memcpy(kind, s, n);
	kind[n] = '\0';
	name = s + n + strspn(s + n, " \t");
	n = name < s + all ? (size_t)(s + all - name) : 0;
	memcpy(p->name, name, n);
	p->name[n] = '\0';
	if (strpbrk(p->name, " \t"))
		return FAIL(p, "a name has no blanks");
	return begin_section(p, kind);
}

/* one line into inih's buffer; NULL ends it, at the end or after a failure */
static char *read_line(char *out, int cap, void *arg)
{
	struct parser *p = arg;
	const char *at = p->text + p->pos, *nl;
	size_t left = p->len - p->pos, n, blanks;

	if (!left || p->rc < 0)
		return NULL;
	nl = memchr(at, '\n', left);
	n = nl ? (size_t)(nl - at) + 1 : left;
	p->line++;
	p->pos += n;
	if (n + 3 > (size_t)cap) {
		(void)FAIL(p, "the line is longer than %d bytes", cap - 3);
		return NULL;
	}
	if (memchr(at, '\0', n) || !str_utf8_valid(at, n)) {
		(void)FAIL(p, "the line is not UTF-8 text");
		return NULL;
	}
	memcpy(out, at, n);
	out[n] = '\0';
	if (p->line == 1 && str_starts(out, "\xEF\xBB\xBF"))
		memmove(out, out + 3, n - 2);
	blanks = strspn(out, " \t");
	if (out[blanks] == '[' && heading(p, out + blanks) < 0)
		return NULL;
	return out;
}

/* "auto" is a word of its own, and BACKEND/MODEL always means what it says */
static int add_alias(struct parser *p, const char *from, const char *to)
{
	struct config *c = p->c;
	struct config_alias *longer, *a;

	if (strcmp(from, "auto") == 0 || strchr(from, '/'))
		return FAIL(p, "an alias is one word without a slash, and not auto");
	if (!to[0])
		return FAIL(p, "%s = : BACKEND/MODEL is wanted", from);
	if (c->n_aliases == ALIASES_MAX)
		return FAIL(p, "more than %d aliases", ALIASES_MAX);
	longer = realloc(c->aliases, (c->n_aliases + 1) * sizeof(*longer));
	if (!longer)
		return fail(p, no_memory(p->e));
	c->aliases = longer;
	a = &longer[c->n_aliases++];
	*a = (struct config_alias){ strdup(from), strdup(to) };
	return a->from && a->to ? 0 : fail(p, no_memory(p->e));
}

static int set_key(struct parser *p, const char *key, const char *value)
{
	const struct config_keys_row *row = config_keys_find(p->section, key);
	char near[NEAR];
	void *base = p->base ? p->base : p->c; /* a row that only refuses stores nothing */
	int rc;

	if (!row) {
		config_keys_nearest(p->section, key, near, sizeof(near));
		return FAIL(p, "[%s] has no key \"%s\"%s", p->section->name, key, near);
	}
	if (row->type != KEYS_HEADER && given_before(p, key))
		return FAIL(p, "%s is there twice", key);
	rc = config_keys_set(row, base, value, p->e);
	if (rc < 0)
		return fail(p, rc);
	if (row->later && value[0] && strcasecmp(value, row->def) != 0)
		note_later(p->c, key, "");
	return 0;
}

/* inih's callback: nonzero is good */
static int key_value(void *arg, const char *section, const char *key, const char *value)
{
	struct parser *p = arg;
	int rc;

	(void)section; /* cut at 50 bytes; ours is whole */
	if (p->rc < 0)
		return 0;
	if (++p->keys > KEYS_MAX)
		rc = FAIL(p, "more than %d keys", KEYS_MAX);
	else if (!p->section)
		rc = FAIL(p, "\"%s\" stands before the first [section]", key);
	else if (!key[0])
		rc = FAIL(p, "there is no key before the =");
	else if (p->section->rows)
		rc = set_key(p, key, value);
	else if (given_before(p, key))
		rc = FAIL(p, "%s is there twice", key);
	else if (strcmp(p->section->name, "alias") == 0)
		rc = add_alias(p, key, value);
	else {
		rc = routes_check(key, value, p->e);
		if (rc < 0)
			(void)fail(p, rc);
	}
	return rc == 0;
}

static int parse(struct config *c, const char *file, const char *text, size_t len, struct err *e)
{
	struct err own = { 0 };
	struct parser p = { .c = c, .file = file, .text = text, .len = len, .e = e ? e : &own };
	int line;

	buf_init(&p.seen, (size_t)2 * CONFIG_FILE_MAX);
	/* the library's own limits: 200 bytes a line, and an indented line would continue the one before */
	ini_use_stack = false;
	ini_max_line = LINE_BYTES;
	ini_initial_alloc = LINE_BYTES;
	ini_allow_multiline = false;
	ini_stop_on_first_error = true;
	line = ini_parse_stream(read_line, &p, key_value, &p);
	buf_done(&p.seen);
	if (p.rc < 0)
		return p.rc;
	if (line > 0)
		return FAIL(&p, "\"key = value\" or \"[section]\" is wanted");
	return line < 0 ? no_memory(e) : 0;
}

static int read_file(struct config *c, const struct config_source *src, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(CONFIG_FILE_MAX);
	int rc;

	if (src->text)
		return parse(c, src->path ? src->path : "config.ini", src->text, src->len, e);
	if (!src->path)
		return 0;
	rc = fdio_read_file(AT_FDCWD, src->path, &text);
	if (rc == -EFBIG)
		return err_set(e, ERR_REQUEST, "%s is larger than 1 MiB", src->path);
	if (rc < 0)
		return err_sys(e, -rc, "the configuration file %s", src->path);
	return parse(c, src->path, buf_str(&text), text.len, e);
}

/* -o words; a cache given twice would be a tier, all others: the last one counts, as mount(8) has it */
static int apply_settings(struct config *c, const struct config_source *src, struct err *e)
{
	const struct config_keys_section *s = config_keys_section("inferfs");
	unsigned caches = 0;

	for (size_t i = 0; i < src->n_settings; i++) {
		const struct config_setting *set = &src->settings[i];
		const struct config_keys_row *row = config_keys_find(s, set->key);
		int rc;

		if (!row)
			return err_set(e, ERR_REQUEST, "-o %s: there is no such option", set->key);
		if (row->type == KEYS_CACHE && caches++)
			return err_set(
				e, ERR_UNSUPPORTED,
				"-o cache: several caches one behind the other come in a later version; name one");
		if (!set->value && row->type != KEYS_BOOL)
			return err_set(e, ERR_REQUEST, "-o %s wants a value: %s=...", set->key,
				       set->key);
		rc = config_keys_set(row, &c->mount, set->value ? set->value : "yes", e);
		if (rc < 0) {
			err_prefix(e, "-o ");
			return rc;
		}
		if (row->later && (!set->value || strcasecmp(set->value, row->def) != 0))
			note_later(c, set->key, "");
	}
	return 0;
}

/* after reading: an alias of an alias would be a loop waiting to happen, so only full names */
static int check_aliases(const struct config *c, const char *file, struct err *e)
{
	for (size_t i = 0; i < c->n_aliases; i++) {
		const char *to = c->aliases[i].to, *slash = strchr(to, '/');

		if (!slash || slash == to || !slash[1])
			return err_set(e, ERR_REQUEST,
				       "%s: [alias] %s = %s: BACKEND/MODEL is wanted", file,
				       c->aliases[i].from, to);
	}
	return 0;
}

/* file before command line before environment: each is checked by the same rows */
int config_load(const struct config_source *src, struct config **out, struct err *e)
{
	struct config *c = calloc(1, sizeof(*c));
	const char *file = src->path ? src->path : "config.ini";
	int rc;

	if (!c)
		return no_memory(e);
	buf_init(&c->later, CONFIG_FILE_MAX);
	rc = config_keys_defaults(c) < 0 ? no_memory(e) : read_file(c, src, e);
	if (rc == 0)
		rc = apply_settings(c, src, e);
	if (rc == 0)
		rc = check_aliases(c, file, e);
	if (rc == 0)
		rc = backends_build(c, file, e);
	if (rc < 0) {
		(void)config_free(c); /* returns NULL */
		return rc;
	}
	*out = c;
	return 0;
}

const struct backend_config *config_backend_find(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_backends; i++)
		if (strcmp(c->backends[i].name, name) == 0)
			return &c->backends[i];
	return NULL;
}

struct config *config_free(struct config *c)
{
	if (!c)
		return NULL;
	free(c->mount.model);
	free(c->mount.cache);
	free(c->mount.scope);
	free(c->mount.log_file);
	for (char **s = c->mount.suffixes; s && *s; s++)
		free(*s);
	free(c->mount.suffixes);
	free(c->prices.file);
	for (size_t i = 0; i < c->n_sections; i++)
		backends_section_done(&c->sections[i]);
	free(c->sections);
	for (size_t i = 0; i < c->n_aliases; i++) {
		free(c->aliases[i].from);
		free(c->aliases[i].to);
	}
	free(c->aliases);
	for (size_t i = 0; i < c->n_backends; i++)
		backends_done(&c->backends[i]);
	free(c->backends);
	buf_done(&c->later);
	free(c);
	return NULL;
}
