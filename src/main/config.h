/*
 * main/config.h - config.ini and the options of the command line, read and checked
 *
 *   1. config_load    file, then settings of the command line over it, then backends with their
 *                     keys from the environment
 *   2. config_free
 *
 * What a later version brings is accepted and checked, and named in `later`; what would limit
 * money or rate and is not in force yet is refused, so that nobody relies on it.
 * Threads: main's only, before there are others. Blocks: on the files it reads.
 * Errors: negative errno and a sentence that begins with FILE:LINE.
 */
#ifndef MAIN_CONFIG_H
#define MAIN_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "infer/backend.h"

#define CONFIG_FILE_MAX (1u << 20) /* bytes */

/* [inferfs] */
struct config_mount {
	char *model;	 /* NULL: none given */
	char *cache;	 /* URL, its path absolute; NULL: the default directory */
	char *scope;	 /* NULL: none */
	char *log_file;	 /* NULL: stderr or syslog */
	char **suffixes; /* NULL-terminated, each with its dot */
	bool wait, lossy, share_namespaces;
	int cache_mode; /* enum request_cache */
	int durability; /* enum ledger_durability */
	int log;	/* enum log_level */
	uint64_t max_request_bytes, queue;
	double timeout_s;
};

/* [store] */
struct config_store {
	unsigned timeout_ms, breaker_failures, probe_ms;
	uint64_t ttl_s; /* 0 none */
};

#define CONFIG_MERGE_WINDOW_MS "5"

/* [merge] and [batch] */
struct config_gather {
	unsigned merge_size, merge_window_ms;
	double poll_min_s, poll_max_s;
	unsigned resubmit;
};

/* [prices] */
struct config_prices {
	char *file; /* NULL: the built-in list */
};

/* one [backend NAME] as written; backends.c makes a backend of it */
struct config_backend {
	struct backend_config c; /* name, at, limits, max_tokens, provider */
	char *type;
	char *key_env, *key_file, *key_credential;
	int dialect; /* enum backend_dialect; -1 not given */
	int price;   /* 0 free, 1 list; -1 not given */
	int http2;   /* 0 auto, 1 no */
	unsigned line;
};

struct config_alias {
	char *from, *to;
};

struct config {
	struct config_mount mount;
	struct config_store store;
	struct config_gather gather;
	struct config_prices prices;
	struct config_backend *sections; /* emptied when backends were made of them */
	size_t n_sections;
	struct config_alias *aliases;
	size_t n_aliases;
	struct backend_config *backends; /* sections, then the built-in ones without a section */
	size_t n_backends, n_configured; /* the first n_configured have a section */
	struct buf later; /* one line for each section or key that is read and not yet in force */
};

struct config_setting {
	const char *key, *value; /* value NULL: the word alone, for yes */
};

struct config_source {
	const char *path; /* for messages, and read when text is NULL; NULL: no file */
	const char *text; /* instead of the file */
	size_t len;
	const struct config_setting *settings; /* keys of [inferfs], over the file */
	size_t n_settings;
};

/* config_load - 0 and a configuration, or a sentence */
int config_load(const struct config_source *src, struct config **out, struct err *e);
/* config_free - returns NULL; keys are wiped */
struct config *config_free(struct config *c);

/* config_backend_find - by name; NULL */
const struct backend_config *config_backend_find(const struct config *c, const char *name);

#endif
