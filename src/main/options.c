/*
 * main/options.c - the command line
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "main/config_keys.h"
#include "main/options.h"

#include "base/banned.h"

enum { WORDS_MAX = 256 };

static const char help_text[] =
	"usage: inferfs [options] MOUNTPOINT\n"
	"       inferfs SOURCE MOUNTPOINT [options]     (SOURCE: a configuration file, or none)\n"
	"\n"
	"Mounts a file system in which a file is a request to a language model.\n"
	"\n"
	"  -f, --foreground     stay in the foreground; log to standard error\n"
	"  -d, --debug          as -f, and log every operation\n"
	"  -h, --help           this text\n"
	"  -V, --version        the version\n"
	"  -o WORD[,WORD...]    options, below; a comma inside a value is written \\,\n"
	"\n"
	"options of inferfs:\n"
	"  config=FILE              configuration (~/.config/inferfs/config.ini, /etc/inferfs/config.ini)\n"
	"  state=DIR                prompts and ledger (~/.local/state/inferfs)\n"
	"  cache=URL                disk:DIR or tmp: (disk:~/.cache/inferfs)\n"
	"  model=BACKEND/MODEL      for requests that name none; echo/echo needs no key and no network\n"
	"  wait                     close(2) of a .json prompt returns when its answer is there\n"
	"  cache_mode=MODE          use, bypass, refresh or only (use)\n"
	"  lossy                    drop what a backend cannot express instead of refusing it\n"
	"  scope=TEXT               becomes part of every key: a cache of one's own in a shared one\n"
	"  durability=WHEN          group, each or none (group)\n"
	"  max_request_bytes=SIZE   the largest prompt (16M)\n"
	"  suffixes=LIST            names that are requests (.json .txt .md .jsonl .batch.jsonl)\n"
	"  queue=N                  requests that may wait (100000)\n"
	"  timeout=SECONDS          of a request, retries included (600)\n"
	"  share_namespaces=yes|no  (no)\n"
	"  log=LEVEL                error, warning, info or debug (info)\n"
	"  log_file=FILE            instead of syslog, or of standard error with -f\n"
	"  budget_usd=, budget_usd_per_day=   not in force in this version: refused\n"
	"\n"
	"options of libfuse, handed on: allow_other, allow_root, auto_unmount, ro, fsname=NAME,\n"
	"  max_read=N, noatime and others; default_permissions and subtype=inferfs are always set.\n"
	"\n"
	"To unmount: fusermount3 -u MOUNTPOINT\n";

/* what mount(8) and fstab carry along for others; dev and suid would only take safety away */
static const char *const dropped[] = { "rw",	  "dev",    "suid",	"defaults",
				       "noauto",  "auto",   "nofail",	"users",
				       "user",	  "nouser", "owner",	"group",
				       "_netdev", "exec",   "relatime", NULL };

/* libfuse's and the kernel's own, so that they are not taken for misspelt ones of ours */
static const char *const libfuse_words[] = {
	"allow_other", "allow_root",	"auto_unmount",	   "default_permissions",
	"fsname",      "subtype",	"max_read",	   "max_write",
	"ro",	       "nodev",		"nosuid",	   "noexec",
	"atime",       "noatime",	"diratime",	   "nodiratime",
	"sync",	       "async",		"dirsync",	   "remount",
	"debug",       "clone_fd",	"max_threads",	   "blkdev",
	"blksize",     "context",	"fscontext",	   "defcontext",
	"rootcontext", "setuid",	"drop_privileges", "norelatime",
	"strictatime", "nostrictatime", "lazytime",	   NULL
};

const char *options_help(void)
{
	return help_text;
}

static int no_memory(struct err *e)
{
	(void)err_sys(e, ENOMEM, "options"); /* the same */
	return -ENOMEM;
}

static bool in(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

static int set_once(char **at, const char *what, const char *value, struct err *e)
{
	if (!value || !value[0])
		return err_set(e, ERR_REQUEST, "-o %s wants a value: %s=...", what, what);
	free(*at);
	*at = strdup(value);
	return *at ? 0 : no_memory(e);
}

static int add_setting(struct options *o, const char *key, const char *value, struct err *e)
{
	struct config_setting *longer = realloc(o->settings, (o->n_settings + 1) * sizeof(*longer));
	struct config_setting *s;

	if (!longer)
		return no_memory(e);
	o->settings = longer;
	s = &longer[o->n_settings++];
	s->key = strdup(key);
	s->value = value ? strdup(value) : NULL;
	return s->key && (s->value || !value) ? 0 : no_memory(e);
}

static int add_fuse(struct options *o, const char *word, struct err *e)
{
	char **longer = realloc(o->fuse_opts, (o->n_fuse_opts + 2) * sizeof(*longer));

	if (!longer)
		return no_memory(e);
	o->fuse_opts = longer;
	longer[o->n_fuse_opts] = strdup(word);
	longer[o->n_fuse_opts + 1] = NULL;
	return longer[o->n_fuse_opts++] ? 0 : no_memory(e);
}

/* libfuse would refuse a misspelt word too, but could not say what was meant */
static int near_miss(const char *key, struct err *e)
{
	const struct config_keys_section *s = config_keys_section("inferfs");
	const char *names[48] = { "config", "state", NULL };
	const char *near;
	size_t n = 2;

	for (const struct config_keys_row *r = s->rows; r->name && n < ARRAY_LEN(names) - 1; r++)
		names[n++] = r->name;
	near = str_nearest(key, names);
	if (near)
		return err_set(e, ERR_REQUEST, "-o %s: there is no such option; do you mean %s?",
			       key, near);
	return 0;
}

/* raw is the word as written; key and value have their backslashes taken off */
/* ours first: what libfuse thinks of a word that is ours does not matter */
static int take_word(struct options *o, const char *raw, char *text, struct err *e)
{
	const struct config_keys_section *s = config_keys_section("inferfs");
	char *value = strchr(text, '=');
	int rc;

	if (value)
		*value++ = '\0';
	if (strcmp(text, "config") == 0)
		return set_once(&o->config, text, value, e);
	if (strcmp(text, "state") == 0)
		return set_once(&o->state, text, value, e);
	if (config_keys_find(s, text))
		return add_setting(o, text, value, e);
	if (in(dropped, text) || str_starts(text, "x-") || strcmp(text, "comment") == 0)
		return 0;
	if (!in(libfuse_words, text)) {
		rc = near_miss(text, e);
		if (rc < 0)
			return rc;
	}
	if (strcmp(text, "subtype") == 0 || strcmp(text, "default_permissions") == 0)
		return 0; /* always ours */
	return add_fuse(o, raw, e);
}

/* one -o argument: words between commas, a backslash keeps the next byte as it is */
static int take_words(struct options *o, const char *arg, unsigned *count, struct err *e)
{
	const char *p = arg;

	for (;;) {
		const char *start = p;
		AUTO_FREE char *raw = NULL;
		AUTO_FREE char *text = str_dup_n(p, strlen(p));
		size_t n = 0;
		int rc;

		if (!text)
			return no_memory(e);
		for (; *p && *p != ','; p++) {
			if (*p == '\\' && p[1])
				p++;
			text[n++] = *p;
		}
		text[n] = '\0';
		raw = str_dup_n(start, (size_t)(p - start));
		if (!raw)
			return no_memory(e);
		if (n) {
			if (++*count > WORDS_MAX)
				return err_set(e, ERR_REQUEST, "more than %d options", WORDS_MAX);
			rc = take_word(o, raw, text, e);
			if (rc < 0)
				return rc;
		}
		if (!*p)
			return 0;
		p++;
	}
}

/* mount(8) and autofs give the source first; a person gives only the mount point */
static int take_positionals(struct options *o, int n, char **args, struct err *e)
{
	if (o->help || o->version)
		return 0;
	if (n == 0)
		return err_set(e, ERR_REQUEST, "no mount point given");
	if (n > 2)
		return err_set(e, ERR_REQUEST, "\"%s\" is one argument too many", args[2]);
	if (n == 2) {
		o->source = strdup(args[0]);
		if (!o->source)
			return no_memory(e);
	}
	if (!args[n - 1][0])
		return err_set(e, ERR_REQUEST, "the mount point is empty");
	o->mountpoint = strdup(args[n - 1]);
	return o->mountpoint ? 0 : no_memory(e);
}

static int bad_option(int optopt_, const char *arg, struct err *e)
{
	if (optopt_ == 'o')
		return err_set(e, ERR_REQUEST, "-o wants options behind it");
	if (optopt_)
		return err_set(e, ERR_REQUEST, "there is no option -%c", optopt_);
	return err_set(e, ERR_REQUEST, "there is no option %s", arg);
}

static int parse(int argc, char **argv, struct options *o, struct err *e)
{
	static const struct option longs[] = { { "foreground", no_argument, NULL, 'f' },
					       { "debug", no_argument, NULL, 'd' },
					       { "help", no_argument, NULL, 'h' },
					       { "version", no_argument, NULL, 'V' },
					       { NULL, 0, NULL, 0 } };
	unsigned words = 0;
	int c, rc = 0;

	opterr = 0;
	optind = 0; /* again from the start: tests parse more than one line */
	while (rc == 0 && (c = getopt_long(argc, argv, "fdhVo:", longs, NULL)) != -1) {
		if (c == 'f')
			o->foreground = true;
		else if (c == 'd')
			o->debug = o->foreground = true;
		else if (c == 'h')
			o->help = true;
		else if (c == 'V')
			o->version = true;
		else if (c == 'o')
			rc = take_words(o, optarg, &words, e);
		else
			rc = bad_option(optopt, argv[optind - 1], e);
	}
	if (rc == 0)
		rc = add_fuse(o, "default_permissions", e);
	if (rc == 0)
		rc = add_fuse(o, "subtype=inferfs", e);
	if (rc == 0)
		rc = take_positionals(o, argc - optind, argv + optind, e);
	if (rc == 0 && o->config && o->source && strcmp(o->source, "none") != 0 &&
	    strcmp(o->source, o->config) != 0)
		rc = err_set(e, ERR_REQUEST, "two configuration files: %s and %s", o->source,
			     o->config);
	return rc;
}

int options_parse(int argc, char **argv, struct options *out, struct err *e)
{
	struct options o = { 0 };
	int rc = parse(argc, argv, &o, e);

	if (rc < 0) {
		options_done(&o);
		return rc;
	}
	*out = o;
	return 0;
}

const char *options_config_path(const struct options *o)
{
	if (o->config)
		return o->config;
	return o->source && strcmp(o->source, "none") != 0 ? o->source : NULL;
}

/* settings own their strings, the struct only lends them */
static void free_lent(const char *s)
{
	char *p;

	memcpy(&p, &s, sizeof(p));
	free(p);
}

void options_done(struct options *o)
{
	free(o->source);
	free(o->mountpoint);
	free(o->config);
	free(o->state);
	for (size_t i = 0; i < o->n_settings; i++) {
		free_lent(o->settings[i].key);
		free_lent(o->settings[i].value);
	}
	free(o->settings);
	for (size_t i = 0; i < o->n_fuse_opts; i++)
		free(o->fuse_opts[i]);
	free(o->fuse_opts);
	*o = (struct options){ 0 };
}
