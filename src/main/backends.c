/*
 * main/backends.c - from sections and the environment to backends
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/str.h"
#include "infer/infer.h"
#include "infer/secret.h"
#include "main/backends.h"
#include "main/config.h"
#include "main/config_keys.h"

#include "base/banned.h"

enum { NAME_MAX_BYTES = 64, MASKED_MIN = 8 };
/* without a byte. Ollama loads a model when it is asked for one, and says nothing the while */
enum { STALL_S = 120, STALL_LOADING_S = 600 };

/* a name that needs no section */
struct builtin {
	const char *name, *type, *url; /* url NULL: the type's */
	enum backend_dialect dialect;
	bool local; /* a server of this machine's user: at its own address no key, and free there */
};

static const struct builtin builtins[] = {
	{ "mistral", "mistral", NULL, BACKEND_OPENAI, false },
	{ "openai", "openai", NULL, BACKEND_OPENAI, false },
	{ "gemini", "gemini", NULL, BACKEND_OPENAI, false },
	{ "anthropic", "anthropic", NULL, BACKEND_OPENAI, false },
	{ "vllm", "openai", "http://localhost:8000/v1", BACKEND_VLLM, true },
	{ "llamacpp", "openai", "http://127.0.0.1:8080/v1", BACKEND_LLAMACPP, true },
	{ "ollama", "ollama", NULL, BACKEND_OPENAI, true },
	{ "echo", "echo", NULL, BACKEND_OPENAI, false },
};

static int no_memory(struct err *e)
{
	(void)err_sys(e, ENOMEM, "configuration"); /* the same */
	return -ENOMEM;
}

bool backends_name_ok(const char *name)
{
	if (!name[0] || name[0] == '.' || strlen(name) > NAME_MAX_BYTES)
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			return false;
	return true;
}

/* where the host begins: past the scheme and past user info */
static const char *host_of(const char *url, size_t *out_len)
{
	const char *host = strstr(url, "://"), *at;
	size_t n;

	host = host ? host + 3 : url;
	n = strcspn(host, "/");
	at = memrchr(host, '@', n);
	if (at) {
		n -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	*out_len = n;
	return host;
}

/* By the text of the address alone: asking a name server would tell somebody, and could be lied to. */
bool backends_loopback(const char *url)
{
	size_t n;
	const char *host = host_of(url, &n);

	if (n && host[0] == '[')
		return n >= 5 && memcmp(host, "[::1]", 5) == 0;
	for (size_t i = 0; i < n; i++)
		if (host[i] == ':')
			n = i;
	if (n == 9 && strncasecmp(host, "localhost", 9) == 0)
		return true;
	if (n < 7 || strncmp(host, "127.", 4) != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)host[i]) && host[i] != '.')
			return false; /* 127.example.com is somebody's name */
	return true;
}

unsigned backends_local_port(const char *url)
{
	size_t n;
	const char *host = host_of(url, &n), *colon = memrchr(host, ':', n);
	AUTO_FREE char *digits = NULL;
	uint64_t port;

	if (!backends_loopback(url))
		return 0;
	if (!colon || memchr(colon, ']', n - (size_t)(colon - host)))
		return strncasecmp(url, "https", 5) == 0 ? 443 : 80;
	digits = str_dup_n(colon + 1, n - (size_t)(colon + 1 - host));
	if (!digits || str_parse_u64(digits, &port) < 0 || port > 65535)
		return 0;
	return (unsigned)port;
}

static const struct builtin *find_builtin(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(builtins); i++)
		if (strcmp(builtins[i].name, name) == 0)
			return &builtins[i];
	return NULL;
}

/* a dialect with a default address of its own: a server that people run themselves */
static const struct builtin *builtin_dialect(enum backend_dialect d)
{
	for (size_t i = 0; i < ARRAY_LEN(builtins); i++)
		if (builtins[i].dialect == d && d != BACKEND_OPENAI)
			return &builtins[i];
	return NULL;
}

static int unknown_type(const char *name, const char *type, struct err *e)
{
	static const char *const types[] = { "mistral",	  "openai", "ollama", "gemini",
					     "anthropic", "echo",   NULL };
	const char *near = str_nearest(type, types);

	if (strcmp(type, "vllm") == 0 || strcmp(type, "llamacpp") == 0)
		return err_set(e, ERR_REQUEST, "[backend %s]: write type = openai and dialect = %s",
			       name, type);
	return err_set(e, ERR_REQUEST,
		       "[backend %s]: there is no type \"%s\"%s%s%s; it is one of mistral, "
		       "openai, ollama, gemini, anthropic, echo",
		       name, type, near ? " (do you mean " : "", near ? near : "",
		       near ? "?)" : "");
}

/* a section named like a built-in backend has its type and dialect unless it says otherwise */
static int resolve_type(struct config_backend *s, struct err *e)
{
	const struct builtin *b = find_builtin(s->c.name);
	const char *type = s->type;

	if (!type && !b)
		return err_set(e, ERR_REQUEST,
			       "[backend %s] needs a type: mistral, openai, ollama, gemini, "
			       "anthropic or echo",
			       s->c.name);
	if (!type)
		type = b->type;
	s->c.type = infer_type(type);
	if (!s->c.type)
		return unknown_type(s->c.name, type, e);
	if (s->dialect >= 0 && strcmp(type, "openai") != 0)
		return err_set(e, ERR_REQUEST, "[backend %s]: dialect is for type = openai only",
			       s->c.name);
	s->c.dialect = s->dialect >= 0			 ? (enum backend_dialect)s->dialect
		       : b && strcmp(b->type, type) == 0 ? b->dialect
							 : BACKEND_OPENAI;
	return 0;
}

static const char *first_env(const char *const *names)
{
	for (; names && *names; names++) {
		const char *v = getenv(*names);

		if (v && v[0])
			return v;
	}
	return NULL;
}

static bool is_ollama(const struct backend_config *c)
{
	return strcmp(c->type->name, "ollama") == 0;
}

/* "ollama.com" and what is below it: the only place where its key may go */
static bool ollama_cloud(const char *url)
{
	size_t n;
	const char *host = host_of(url, &n), *colon = memchr(host, ':', n);

	if (colon)
		n = (size_t)(colon - host);
	return n >= 10 && strncasecmp(host + n - 10, "ollama.com", 10) == 0 &&
	       (n == 10 || host[n - 11] == '.');
}

/* OLLAMA_HOST may be a URL, or "host:port", or what a server listens on: "0.0.0.0" is then this machine. Only
 * a bare host has Ollama's port; a URL has its scheme's. */
static int ollama_url(char **out)
{
	const char *host = getenv("OLLAMA_HOST"), *scheme = "http://", *port = ":11434";
	bool any;

	*out = NULL;
	if (!host || !host[0])
		return 0;
	if (str_starts(host, "http://") || str_starts(host, "https://")) {
		scheme = host[4] == 's' ? "https://" : "http://";
		host += strlen(scheme);
		port = "";
	} else if (ollama_cloud(host)) {
		scheme = "https://";
		port = "";
	}
	any = str_starts(host, "0.0.0.0");
	if (any)
		host += 7;
	if (memchr(host, ':', strcspn(host, "/")))
		port = "";
	*out = str_printf("%s%s%.*s%s%s", scheme, any ? "127.0.0.1" : "", (int)strcspn(host, "/"),
			  host, port, host + strcspn(host, "/"));
	return *out ? 0 : -ENOMEM;
}

/* a dialect comes with the address of its server, a name with its own, else the provider's */
static const char *default_url(const struct backend_config *c, const struct builtin *b)
{
	const struct builtin *d = builtin_dialect(c->dialect);

	if (d)
		return d->url;
	return b && b->url ? b->url : c->type->url;
}

/* the section's url, the environment's, the default one */
static int resolve_url(struct config_backend *s, const struct builtin *b, const char *file,
		       struct err *e)
{
	const struct config_keys_section *keys = config_keys_section("backend");
	struct backend_config *c = &s->c;
	const char *def = default_url(c, b);
	const char *env = is_ollama(c) ? NULL : first_env(c->type->url_env);
	AUTO_FREE char *ollama = NULL;
	int rc = 0;

	if (is_ollama(c)) {
		if (ollama_url(&ollama) < 0)
			return no_memory(e);
		env = ollama;
	}
	if (!c->at.url && env)
		rc = config_keys_set(config_keys_find(keys, "url"), s, env, e);
	else if (!c->at.url && def)
		rc = config_keys_set(config_keys_find(keys, "url"), s, def, e);
	if (rc < 0) {
		err_prefix(e,
			   env ? "the address in the environment, for backend %s: "
			       : "backend %s: ",
			   c->name);
		return rc;
	}
	if (!c->at.url && c->type->key_env)
		return err_set(e, ERR_REQUEST, "%s:%u: [backend %s] needs a url", file, s->line,
			       c->name);
	c->at.default_url = !c->at.url || (def && strcmp(def, c->at.url) == 0);
	return 0;
}

static int explicit_key(struct config_backend *s, struct err *e)
{
	if (!!s->key_env + !!s->key_file + !!s->key_credential > 1)
		return err_set(
			e, ERR_REQUEST,
			"[backend %s]: key_env, key_file and key_credential are three ways to one key; keep one",
			s->c.name);
	if (s->key_file)
		return secret_file(s->key_file, &s->c.at.key, e);
	if (s->key_credential)
		return secret_credential(s->key_credential, &s->c.at.key, e);
	return secret_env(s->key_env, &s->c.at.key, e);
}

/* goes into ENOKEY's sentence: what to do, not only what is missing */
static int set_hint(struct config_backend *s, const char *env, struct err *e)
{
	s->c.at.key_hint =
		str_printf("set %s%skey_file in the section [backend %s] of the configuration",
			   env ? env : "", env ? " where inferfs is started, or " : "", s->c.name);
	return s->c.at.key_hint ? 0 : no_memory(e);
}

/* Explicit keys must be there, but for a variable: it may be set at the next mount, and until then a
 * request says which one. */
static int resolve_explicit(struct config_backend *s, struct err *e)
{
	struct backend_config *c = &s->c;
	int rc = explicit_key(s, e);

	if (rc == 0 && s->key_env) {
		c->at.key_from = strdup(s->key_env);
		return c->at.key_from ? 0 : no_memory(e);
	}
	if (rc == -ENOKEY && s->key_env)
		return set_hint(s, s->key_env, e);
	if (rc < 0)
		err_prefix(e, "[backend %s]: ", c->name);
	return rc;
}

/* a server that people run themselves: it wants no key, and one in the environment is not meant for it */
static bool is_own(const struct backend_config *c, const struct builtin *b)
{
	if (is_ollama(c))
		return !c->at.url || !ollama_cloud(c->at.url);
	return builtin_dialect(c->dialect) || (b && b->local);
}

/* A server of one's own at its usual address is never sent a key by itself, nor is Ollama anywhere but in the
 * cloud. */
static int resolve_key(struct config_backend *s, const struct builtin *b, struct err *e)
{
	struct backend_config *c = &s->c;
	const char *env = c->type->key_env ? c->type->key_env[0] : NULL;
	bool own = is_own(c, b);
	const char *from = NULL;
	int rc;

	if (s->key_env || s->key_file || s->key_credential)
		return resolve_explicit(s, e);
	if (!env || (own && (c->at.default_url || is_ollama(c))))
		return 0;
	rc = secret_env_any(c->type->key_env, &c->at.key, &from, e);
	if (rc == 0) {
		c->at.key_from = strdup(from);
		return c->at.key_from ? 0 : no_memory(e);
	}
	if (rc != -ENOKEY)
		return rc;
	/* servers that speak OpenAI's format often want no key; the ones the types are named for do */
	if (own || (!c->at.default_url && strcmp(c->type->name, "openai") == 0))
		return 0;
	return set_hint(s, env, e);
}

/* A server on this machine is its user's own; any other local address may be a proxy that pays. */
static int resolve_price(struct config_backend *s, const struct builtin *b, struct err *e)
{
	struct backend_config *c = &s->c;
	bool near = c->at.unix_socket || (c->at.url && backends_loopback(c->at.url));

	if (s->price >= 0)
		c->free_of_charge = s->price == 0;
	else
		c->free_of_charge = c->type->free_by_default ||
				    (near && (builtin_dialect(c->dialect) || (b && b->local)));
	if (c->provider ||
	    (strcmp(c->type->name, "openai") == 0 &&
	     (!c->at.default_url || c->dialect != BACKEND_OPENAI || (b && b->local))))
		return 0;
	c->provider = strdup(c->type->name);
	return c->provider ? 0 : no_memory(e);
}

/* what stands in headers and addresses may be a key as well */
static void mask_secrets(const struct backend_config *c)
{
	size_t n;
	const char *host = c->at.url ? host_of(c->at.url, &n) : NULL;
	const char *slashes = host ? strstr(c->at.url, "://") : NULL;

	for (char **h = c->at.headers; h && *h; h++) {
		const char *v = strchr(*h, ':') + 1;

		v += strspn(v, " \t");
		if (str_starts(v, "Bearer "))
			v += 7;
		if (strlen(v) >= MASKED_MIN)
			log_secret(v);
	}
	if (slashes && host > slashes + 3) {
		AUTO_FREE char *info = str_dup_n(slashes + 3, (size_t)(host - slashes - 4));

		if (info && strlen(info) >= MASKED_MIN)
			log_secret(info);
	}
}

/* one section, or one built-in name, to one backend; what it holds moves over */
static int finish(struct config *c, struct config_backend *s, const char *file, struct err *e)
{
	const struct builtin *b = find_builtin(s->c.name);
	int rc = resolve_type(s, e);

	if (b && strcmp(b->type, s->c.type ? s->c.type->name : "") != 0)
		b = NULL; /* the section took the name for something else */
	if (rc < 0 || !s->c.type)
		return rc;
	rc = resolve_url(s, b, file, e);
	if (rc == 0)
		rc = resolve_key(s, b, e);
	if (rc == 0)
		rc = resolve_price(s, b, e);
	if (rc < 0)
		return rc;
	if (s->c.limits.backoff_max_ms < s->c.limits.backoff_ms)
		return err_set(e, ERR_REQUEST,
			       "[backend %s]: backoff_max_ms is less than backoff_ms", s->c.name);
	if (!s->c.at.client_cert != !s->c.at.client_key)
		return err_set(e, ERR_REQUEST,
			       "[backend %s]: client_cert and client_key go together", s->c.name);
	s->c.at.http2 = s->http2 == 0;
	if (s->c.limits.timeout_s <= 0)
		s->c.limits.timeout_s = c->mount.timeout_s;
	if (s->c.limits.stall_timeout_s <= 0)
		s->c.limits.stall_timeout_s = is_ollama(&s->c) ? STALL_LOADING_S : STALL_S;
	mask_secrets(&s->c);
	c->backends[c->n_backends++] = s->c;
	s->c = (struct backend_config){ 0 };
	return 0;
}

static bool has_section(const struct config *c, const char *name)
{
	const struct backend_config *b = config_backend_find(c, name);

	return b && b < c->backends + c->n_configured;
}

static int add_builtin(struct config *c, const struct builtin *b, struct err *e)
{
	struct config_backend s = { 0 };
	int rc = config_keys_backend_defaults(&s);

	s.c.name = strdup(b->name);
	s.type = strdup(b->type);
	if (rc < 0 || !s.c.name || !s.type)
		rc = no_memory(e);
	if (rc == 0)
		rc = finish(c, &s, "", e);
	backends_section_done(&s);
	return rc;
}

/* sections first: a name that has one is not made a second time */
int backends_build(struct config *c, const char *file, struct err *e)
{
	int rc;

	c->backends = calloc(c->n_sections + ARRAY_LEN(builtins), sizeof(*c->backends));
	if (!c->backends)
		return no_memory(e);
	for (size_t i = 0; i < c->n_sections; i++) {
		unsigned line = c->sections[i].line;

		rc = finish(c, &c->sections[i], file, e);
		if (rc < 0) {
			if (e && e->message[0] == '[')
				err_prefix(e, "%s:%u: ", file, line);
			return rc;
		}
	}
	c->n_configured = c->n_backends;
	for (size_t i = 0; i < ARRAY_LEN(builtins); i++) {
		if (has_section(c, builtins[i].name))
			continue;
		rc = add_builtin(c, &builtins[i], e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void backends_done(struct backend_config *b)
{
	struct backend_endpoint *at = &b->at;

	free(b->name);
	free(b->provider);
	free(at->url);
	(void)secret_free(at->key); /* returns NULL */
	free(at->key_from);
	free(at->key_hint);
	for (char **h = at->headers; h && *h; h++) {
		explicit_bzero(*h, strlen(*h));
		free(*h);
	}
	free(at->headers);
	free(at->proxy);
	free(at->ca_file);
	free(at->client_cert);
	free(at->client_key);
	free(at->unix_socket);
	free(at->identity);
	free(at->api_version);
	*b = (struct backend_config){ 0 };
}

void backends_section_done(struct config_backend *s)
{
	backends_done(&s->c);
	free(s->type);
	free(s->key_env);
	free(s->key_file);
	free(s->key_credential);
	*s = (struct config_backend){ 0 };
}
