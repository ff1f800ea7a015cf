/*
 * main/config_keys.c - the one table of sections and keys of config.ini
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/str.h"
#include "main/config.h"
#include "main/config_keys.h"
#include "main/paths.h"

#include "base/banned.h"

enum { LIST_MAX = 64, NAMES_MAX = 40, ONE_DAY_S = 86400 };
#define YEAR_S (366.0 * ONE_DAY_S)

static const char *const cache_modes[] = { "use", "bypass", "refresh", "only", NULL };
static const char *const durabilities[] = { "group", "each", "none", NULL };
static const char *const log_levels[] = { "error", "warning", "info", "debug", NULL };
static const char *const dialects[] = { "openai", "vllm", "llamacpp", NULL };
static const char *const prices[] = { "free", "list", NULL };
static const char *const http2s[] = { "auto", "no", NULL };

#define M(member) offsetof(struct config_mount, member)
static const struct config_keys_row mount_rows[] = {
	{ "model", KEYS_TEXT, M(model), 0, 0, NULL, NULL, false },
	{ "cache", KEYS_CACHE, M(cache), 0, 0, NULL, NULL, false },
	{ "cache_mode", KEYS_WORD, M(cache_mode), 0, 0, cache_modes, "use", false },
	{ "wait", KEYS_BOOL, M(wait), 0, 0, NULL, "no", false },
	{ "lossy", KEYS_BOOL, M(lossy), 0, 0, NULL, "no", false },
	{ "scope", KEYS_TEXT, M(scope), 0, 0, NULL, NULL, false },
	{ "durability", KEYS_WORD, M(durability), 0, 0, durabilities, "group", false },
	{ "max_request_bytes", KEYS_SIZE, M(max_request_bytes), 1024, 1 << 30, NULL, "16M", false },
	{ "suffixes", KEYS_SUFFIXES, M(suffixes), 0, 0, NULL, ".json .txt .md .jsonl .batch.jsonl",
	  false },
	{ "queue", KEYS_LONG, M(queue), 1, 1e9, NULL, "100000", false },
	{ "log", KEYS_WORD, M(log), 0, 0, log_levels, "info", false },
	{ "log_file", KEYS_PATH, M(log_file), 0, 0, NULL, NULL, false },
	{ "timeout", KEYS_TIME, M(timeout_s), 0.001, YEAR_S, NULL, "600", false },
	{ "budget_usd", KEYS_LIMIT, 0, 0, 0, NULL, NULL, false },
	{ "budget_usd_per_day", KEYS_LIMIT, 0, 0, 0, NULL, NULL, false },
	{ "share_namespaces", KEYS_BOOL, M(share_namespaces), 0, 0, NULL, "no", true },
	{ NULL, KEYS_TEXT, 0, 0, 0, NULL, NULL, false },
};

#define B(member) offsetof(struct config_backend, member)
static const struct config_keys_row backend_rows[] = {
	{ "type", KEYS_TEXT, B(type), 0, 0, NULL, NULL, false },
	{ "dialect", KEYS_WORD, B(dialect), 0, 0, dialects, NULL, false },
	{ "url", KEYS_URL, B(c.at.url), 0, 0, NULL, NULL, false },
	{ "provider", KEYS_TEXT, B(c.provider), 0, 0, NULL, NULL, false },
	{ "price", KEYS_WORD, B(price), 0, 0, prices, NULL, false },
	{ "key_env", KEYS_TEXT, B(key_env), 0, 0, NULL, NULL, false },
	{ "key_file", KEYS_PATH, B(key_file), 0, 0, NULL, NULL, false },
	{ "key_credential", KEYS_TEXT, B(key_credential), 0, 0, NULL, NULL, false },
	{ "header", KEYS_HEADER, B(c.at.headers), 0, 0, NULL, NULL, false },
	{ "api_version", KEYS_TEXT, B(c.at.api_version), 0, 0, NULL, NULL, false },
	{ "max_tokens", KEYS_LONG, B(c.max_tokens), 1, 1e9, NULL, NULL, false },
	{ "concurrency", KEYS_COUNT, B(c.limits.concurrency), 1, 10000, NULL, "32", false },
	{ "rpm", KEYS_COUNT, B(c.limits.rpm), 1, 1e6, NULL, NULL, false },
	{ "tpm", KEYS_WHOLE_LONG, B(c.limits.tpm), 1, 1e12, NULL, NULL, false },
	{ "timeout", KEYS_TIME, B(c.limits.timeout_s), 0.001, YEAR_S, NULL, NULL, false },
	{ "connect_timeout", KEYS_TIME, B(c.limits.connect_timeout_s), 0.001, ONE_DAY_S, NULL, "10",
	  false },
	{ "stall_timeout", KEYS_TIME, B(c.limits.stall_timeout_s), 0.001, ONE_DAY_S, NULL, NULL,
	  false },
	{ "retries", KEYS_COUNT, B(c.limits.retries), 0, 100, NULL, "4", false },
	{ "backoff_ms", KEYS_TIME, B(c.limits.backoff_ms), 0, 3.6e6, NULL, "500", false },
	{ "backoff_max_ms", KEYS_TIME, B(c.limits.backoff_max_ms), 0, 8.64e7, NULL, "30000",
	  false },
	{ "breaker_failures", KEYS_COUNT, B(c.limits.breaker_failures), 0, 1e6, NULL, "5", false },
	{ "breaker_seconds", KEYS_TIME, B(c.limits.breaker_seconds), 0, ONE_DAY_S, NULL, "30",
	  false },
	{ "identity", KEYS_TEXT, B(c.at.identity), 0, 0, NULL, NULL, false },
	{ "proxy", KEYS_TEXT, B(c.at.proxy), 0, 0, NULL, NULL, false },
	{ "ca_file", KEYS_PATH, B(c.at.ca_file), 0, 0, NULL, NULL, false },
	{ "client_cert", KEYS_PATH, B(c.at.client_cert), 0, 0, NULL, NULL, false },
	{ "client_key", KEYS_PATH, B(c.at.client_key), 0, 0, NULL, NULL, false },
	{ "unix_socket", KEYS_PATH, B(c.at.unix_socket), 0, 0, NULL, NULL, false },
	{ "http2", KEYS_WORD, B(http2), 0, 0, http2s, "auto", false },
	{ "models_ttl", KEYS_WHOLE, B(c.limits.models_ttl_s), 0, YEAR_S, NULL, "3600", false },
	{ NULL, KEYS_TEXT, 0, 0, 0, NULL, NULL, false },
};

#define S(member) offsetof(struct config_store, member)
static const struct config_keys_row store_rows[] = {
	{ "timeout_ms", KEYS_WHOLE, S(timeout_ms), 1, 3.6e6, NULL, "1000", false },
	{ "breaker_failures", KEYS_COUNT, S(breaker_failures), 1, 1e6, NULL, "3", false },
	{ "probe_ms", KEYS_WHOLE, S(probe_ms), 1, 3.6e6, NULL, "500", false },
	{ "ttl", KEYS_WHOLE_LONG, S(ttl_s), 0, 1e10, NULL, NULL, false },
	{ "max_bytes", KEYS_LIMIT, 0, 0, 0, NULL, NULL, false },
	{ NULL, KEYS_TEXT, 0, 0, 0, NULL, NULL, false },
};

#define L(member) offsetof(struct config_gather, member)
static const struct config_keys_row merge_rows[] = {
	{ "size", KEYS_COUNT, L(merge_size), 1, 1000, NULL, "16", false },
	{ "window_ms", KEYS_WHOLE, L(merge_window_ms), 0, 60000, NULL, CONFIG_MERGE_WINDOW_MS,
	  false },
	{ NULL, KEYS_TEXT, 0, 0, 0, NULL, NULL, false },
};
static const struct config_keys_row batch_rows[] = {
	{ "poll_min_s", KEYS_TIME, L(poll_min_s), 0.001, ONE_DAY_S, NULL, "10", false },
	{ "poll_max_s", KEYS_TIME, L(poll_max_s), 0.001, ONE_DAY_S, NULL, "300", false },
	{ "resubmit", KEYS_COUNT, L(resubmit), 0, 100, NULL, "2", false },
	{ NULL, KEYS_TEXT, 0, 0, 0, NULL, NULL, false },
};
static const struct config_keys_row prices_rows[] = {
	{ "file", KEYS_PATH, offsetof(struct config_prices, file), 0, 0, NULL, NULL, false },
	{ NULL, KEYS_TEXT, 0, 0, 0, NULL, NULL, false },
};
static const struct config_keys_row namespace_rows[] = {
	{ "budget_usd", KEYS_LIMIT, 0, 0, 0, NULL, NULL, false },
	{ NULL, KEYS_TEXT, 0, 0, 0, NULL, NULL, false },
};

#define C(member) offsetof(struct config, member)
static const struct config_keys_section sections[] = {
	{ "inferfs", false, mount_rows, C(mount), false },
	{ "backend", true, backend_rows, 0, false },
	{ "merge", false, merge_rows, C(gather), false },
	{ "batch", false, batch_rows, C(gather), false },
	{ "store", false, store_rows, C(store), false },
	{ "route", true, NULL, 0, true },
	{ "alias", false, NULL, 0, false },
	{ "prices", false, prices_rows, C(prices), false },
	{ "namespace", true, namespace_rows, 0, true },
};

const struct config_keys_section *config_keys_section(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		if (strcmp(sections[i].name, name) == 0)
			return &sections[i];
	return NULL;
}

const struct config_keys_row *config_keys_find(const struct config_keys_section *s, const char *key)
{
	for (const struct config_keys_row *r = s->rows; r && r->name; r++)
		if (strcmp(r->name, key) == 0)
			return r;
	return NULL;
}

static void say_nearest(const char *name, const char *const *names, char *out, size_t cap)
{
	const char *near = str_nearest(name, names);

	out[0] = '\0';
	if (near)
		(void)snprintf(out, cap, " (do you mean %s?)", near);
}

void config_keys_nearest_section(const char *name, char *out, size_t cap)
{
	const char *names[ARRAY_LEN(sections) + 1] = { NULL };

	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		names[i] = sections[i].name;
	say_nearest(name, names, out, cap);
}

void config_keys_nearest(const struct config_keys_section *s, const char *key, char *out,
			 size_t cap)
{
	const char *names[NAMES_MAX + 1] = { NULL };
	size_t n = 0;

	for (const struct config_keys_row *r = s->rows; r && r->name && n < NAMES_MAX; r++)
		names[n++] = r->name;
	say_nearest(key, names, out, cap);
}

static int bad(struct err *e, const struct config_keys_row *r, const char *value,
	       const char *wanted)
{
	return err_set(e, ERR_REQUEST, "%s = %s: %s is wanted", r->name, value, wanted);
}

static int replace(char **at, char *take_text)
{
	free(*at);
	*at = take_text;
	return 0;
}

/* empty is absent: nobody needs an empty text, and "scope =" is how the documentation writes none */
static int set_text(char **at, const char *value, struct err *e)
{
	char *copy = value[0] ? strdup(value) : NULL;

	if (value[0] && !copy)
		return err_sys(e, ENOMEM, "configuration");
	return replace(at, copy);
}

static int set_path(char **at, const char *value, struct err *e)
{
	char *full = NULL;
	int rc = value[0] ? paths_expand(value, &full, e) : 0;

	return rc < 0 ? rc : replace(at, full);
}

static int set_cache(char **at, const char *value, struct err *e)
{
	char *url = NULL;
	int rc = value[0] ? paths_cache(value, &url, e) : 0;

	return rc < 0 ? rc : replace(at, url);
}

/* What would end up in a path, a query or a log line must not hide in an address; the slash at its
 * end would be a second one in every path. */
static int set_url(const struct config_keys_row *r, char **at, const char *value, struct err *e)
{
	const char *host = NULL;
	size_t n = strlen(value);
	char *url;

	if (!n)
		return replace(at, NULL);
	if (strncasecmp(value, "http://", 7) == 0)
		host = value + 7;
	else if (strncasecmp(value, "https://", 8) == 0)
		host = value + 8;
	if (!host || !host[0] || strchr("/:?#", host[0]))
		return bad(e, r, value, "http://HOST... or https://HOST...");
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("?#\"<>\\", *p))
			return bad(e, r, value, "an address without blanks, ? and #");
	while (n && value[n - 1] == '/')
		n--;
	url = str_dup_n(value, n);
	return url ? replace(at, url) : err_sys(e, ENOMEM, "configuration");
}

static void free_list(char **list)
{
	for (char **l = list; l && *l; l++)
		free(*l);
	free(list);
}

static int add_word(char ***list, size_t *n, const char *word, size_t len)
{
	char **longer = realloc(*list, (*n + 2) * sizeof(*longer));

	if (!longer)
		return -ENOMEM;
	*list = longer;
	longer[*n] = str_dup_n(word, len);
	longer[*n + 1] = NULL;
	return longer[(*n)++] ? 0 : -ENOMEM;
}

/* a suffix becomes part of file names, and its stem names a directory */
static bool good_suffix(const char *w, size_t n)
{
	if (n < 2 || n > 31 || w[0] != '.' || w[n - 1] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)w[i]) && !strchr("._-", w[i]))
			return false;
	return true;
}

static int set_suffixes(const struct config_keys_row *r, char ***at, const char *value,
			struct err *e)
{
	char **list = NULL;
	size_t n = 0;

	for (const char *p = value + strspn(value, " \t"); *p; p += strspn(p, " \t")) {
		size_t len = strcspn(p, " \t");
		int rc = !good_suffix(p, len) || n == LIST_MAX ? -EINVAL
							       : add_word(&list, &n, p, len);

		if (rc < 0) {
			free_list(list);
			return rc == -ENOMEM ? err_sys(e, ENOMEM, "configuration")
					     : bad(e, r, value,
						   "a list of suffixes such as \".json .txt\"");
		}
		p += len;
	}
	if (!list)
		return bad(e, r, value, "at least one suffix");
	free_list(*at);
	*at = list;
	return 0;
}

/* RFC 9110, 5.6.2: what a field name is made of; the value must not begin a second line */
static int set_header(const struct config_keys_row *r, char ***at, const char *value, struct err *e)
{
	size_t n = 0, name = strcspn(value, ":");

	if (!value[0])
		return 0;
	for (size_t i = 0; i < name; i++)
		if (!isalnum((unsigned char)value[i]) && !strchr("!#$%&'*+-.^_`|~", value[i]))
			name = 0;
	if (!name || value[name] != ':')
		return err_set(e, ERR_REQUEST, "%s: \"Name: value\" is wanted", r->name);
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' && *p != '\t')
			return err_set(e, ERR_REQUEST, "%s: a control character in the value",
				       r->name);
	while (*at && (*at)[n])
		n++;
	if (n == LIST_MAX)
		return err_set(e, ERR_REQUEST, "%s: more than %d of them", r->name, LIST_MAX);
	return add_word(at, &n, value, strlen(value)) ? err_sys(e, ENOMEM, "configuration") : 0;
}

/* the spellings that mount(8), systemd and git take */
static int set_bool(const struct config_keys_row *r, bool *at, const char *value, struct err *e)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(words[i], value) == 0) {
			*at = i % 2;
			return 0;
		}
	return bad(e, r, value, "yes or no");
}

static int set_word(const struct config_keys_row *r, int *at, const char *value, struct err *e)
{
	char wanted[128] = "";
	size_t n = 0;

	for (int i = 0; r->words[i]; i++) {
		if (strcmp(r->words[i], value) == 0) {
			*at = i;
			return 0;
		}
		n += (size_t)snprintf(wanted + n, sizeof(wanted) - n, "%s%s",
				      !i		? ""
				      : r->words[i + 1] ? ", "
							: " or ",
				      r->words[i]);
	}
	return bad(e, r, value, wanted);
}

static int out_of_range(const struct config_keys_row *r, const char *value, struct err *e)
{
	char wanted[96];

	(void)snprintf(wanted, sizeof(wanted), "a number from %.15g to %.15g", r->min, r->max);
	return bad(e, r, value, wanted);
}

/* every kind of number; WHOLE ones are times, where half a second must not become none */
static int set_number(const struct config_keys_row *r, void *at, const char *value, struct err *e)
{
	uint64_t whole = 0;
	double d = 0;
	int rc;

	if (r->type == KEYS_SIZE)
		rc = str_parse_size(value, &whole);
	else if (r->type == KEYS_COUNT || r->type == KEYS_LONG)
		rc = str_parse_u64(value, &whole);
	else
		rc = str_parse_double(value, &d);
	if (rc == 0 && (r->type == KEYS_SIZE || r->type == KEYS_COUNT || r->type == KEYS_LONG))
		d = (double)whole;
	if (rc < 0 || !(d >= r->min && d <= r->max))
		return out_of_range(r, value, e);
	if (r->type == KEYS_WHOLE || r->type == KEYS_WHOLE_LONG)
		whole = (uint64_t)ceil(d);
	if (r->type == KEYS_TIME)
		*(double *)at = d;
	else if (r->type == KEYS_COUNT || r->type == KEYS_WHOLE)
		*(unsigned *)at = (unsigned)whole;
	else
		*(uint64_t *)at = whole;
	return 0;
}

/* A budget that nobody holds is worse than none: whoever wrote it relies on it. */
static int set_limit(const struct config_keys_row *r, const char *value, struct err *e)
{
	if (!value[0])
		return 0;
	return err_set(
		e, ERR_UNSUPPORTED,
		"%s is not in force in this version, so nothing would hold it; leave it out to start without that limit",
		r->name);
}

static bool takes_text(enum config_keys_type t)
{
	return t == KEYS_TEXT || t == KEYS_PATH || t == KEYS_CACHE || t == KEYS_URL ||
	       t == KEYS_HEADER || t == KEYS_LIMIT;
}

/* the one place where a value, from file or command line, meets its rules */
int config_keys_set(const struct config_keys_row *row, void *base, const char *value, struct err *e)
{
	void *at = (char *)base + row->offset;

	/* "ttl =" is how the documentation writes "not set" */
	if (!value[0] && !takes_text(row->type)) {
		if (!row->def)
			return 0;
		value = row->def;
	}
	switch (row->type) {
	case KEYS_TEXT:
		return set_text(at, value, e);
	case KEYS_PATH:
		return set_path(at, value, e);
	case KEYS_CACHE:
		return set_cache(at, value, e);
	case KEYS_URL:
		return set_url(row, at, value, e);
	case KEYS_SUFFIXES:
		return set_suffixes(row, at, value, e);
	case KEYS_HEADER:
		return set_header(row, at, value, e);
	case KEYS_BOOL:
		return set_bool(row, at, value, e);
	case KEYS_WORD:
		return set_word(row, at, value, e);
	case KEYS_LIMIT:
		return set_limit(row, value, e);
	default:
		return set_number(row, at, value, e);
	}
}

static int apply_defaults(const struct config_keys_row *rows, void *base)
{
	for (const struct config_keys_row *r = rows; r && r->name; r++)
		if (r->def && config_keys_set(r, base, r->def, NULL) < 0)
			return -ENOMEM; /* the table's own values are good */
	return 0;
}

/* the defaults go the way of every value, so a wrong one in the table shows in the first test */
int config_keys_defaults(struct config *c)
{
	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		if (!sections[i].named &&
		    apply_defaults(sections[i].rows, (char *)c + sections[i].base) < 0)
			return -ENOMEM;
	return 0;
}

int config_keys_backend_defaults(struct config_backend *b)
{
	b->dialect = b->price = -1;
	return apply_defaults(backend_rows, b);
}
