/*
 * main/config_keys.h - the one table of sections and keys of config.ini
 *
 * A row says name, type, limits and where in the section's struct the value goes. The same rows
 * check the file and the -o words, and are what the nearest name is looked for in.
 * Threads: main's only. Blocks: never.
 */
#ifndef MAIN_CONFIG_KEYS_H
#define MAIN_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct config;
struct config_backend;

enum config_keys_type {
	KEYS_TEXT,	 /* char *; empty: NULL */
	KEYS_PATH,	 /* char *; ~ and relative paths made absolute */
	KEYS_CACHE,	 /* char *; a cache URL */
	KEYS_URL,	 /* char *; http or https, no slash at its end */
	KEYS_SUFFIXES,	 /* char **; words that begin with a dot */
	KEYS_HEADER,	 /* char **; appended */
	KEYS_BOOL,	 /* bool */
	KEYS_WORD,	 /* int; the index in words */
	KEYS_SIZE,	 /* uint64_t; bytes, K M G */
	KEYS_COUNT,	 /* unsigned */
	KEYS_LONG,	 /* int64_t or uint64_t, not negative */
	KEYS_TIME,	 /* double */
	KEYS_WHOLE,	 /* unsigned; a time, decimals rounded up */
	KEYS_WHOLE_LONG, /* uint64_t, likewise */
	KEYS_LIMIT	 /* not in force in this version: any value is refused */
};

struct config_keys_row {
	const char *name;
	enum config_keys_type type;
	size_t offset;
	double min, max;	  /* of numbers */
	const char *const *words; /* of KEYS_WORD, NULL-terminated */
	const char *def;	  /* the default, as it would be written; NULL: none */
	bool later;		  /* checked, and not in force in this version */
};

/* what stands between two headings */
struct config_keys_section {
	const char *name;
	bool named;			    /* [backend NAME] */
	const struct config_keys_row *rows; /* ends with a NULL name; NULL: the keys are free */
	size_t base;			    /* of its struct in struct config, unless named */
	bool later; /* all of it is checked, and not in force in this version */
};

/* config_keys_section - NULL: no such section */
const struct config_keys_section *config_keys_section(const char *name);
/* config_keys_nearest_section / config_keys_nearest - "" or " (do you mean X?)" into out */
void config_keys_nearest_section(const char *name, char *out, size_t cap);
void config_keys_nearest(const struct config_keys_section *s, const char *key, char *out,
			 size_t cap);
/* config_keys_find - NULL: no such key */
const struct config_keys_row *config_keys_find(const struct config_keys_section *s,
					       const char *key);
/* config_keys_set - check value and store it at base + row->offset (the old one is freed) */
int config_keys_set(const struct config_keys_row *row, void *base, const char *value,
		    struct err *e);
/* config_keys_defaults - of every row in force; base zeroed before */
int config_keys_defaults(struct config *c);
int config_keys_backend_defaults(struct config_backend *b);

#endif
