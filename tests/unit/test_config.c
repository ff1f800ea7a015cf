/*
 * test_config.c - config.ini and the settings of the command line
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/str.h"
#include "core/request.h"
#include "ledger/ledger.h"
#include "main/backends.h"
#include "main/config.h"
#include "main/config_keys.h"
#include "main/routes.h"

static const char *const variables[] = { "MISTRAL_API_KEY",	  "OPENAI_API_KEY",
					 "OPENAI_BASE_URL",	  "OLLAMA_HOST",
					 "CREDENTIALS_DIRECTORY", "TEAM_KEY",
					 "OLLAMA_API_KEY",	  "GOOGLE_API_KEY",
					 "GEMINI_API_KEY",	  "GOOGLE_GEMINI_BASE_URL",
					 "ANTHROPIC_API_KEY",	  "ANTHROPIC_AUTH_TOKEN",
					 "ANTHROPIC_BASE_URL" };

static int clean(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		unsetenv(variables[i]);
	setenv("HOME", "/home/someone", 1);
	return 0;
}

static int load(const char *text, struct config **out, struct err *e)
{
	struct config_source src = { .path = "c.ini", .text = text, .len = strlen(text) };

	return config_load(&src, out, e);
}

static struct config *good(const char *text)
{
	struct config *c = NULL;
	struct err e = { 0 };
	int rc = load(text, &c, &e);

	if (rc < 0)
		print_error("%s\n", e.message);
	assert_int_equal(rc, 0);
	return c;
}

/* the text must be refused with a sentence that begins and contains */
static void refused(const char *text, const char *begins, const char *contains)
{
	struct config *c = NULL;
	struct err e = { 0 };
	int rc = load(text, &c, &e);

	if (rc >= 0 || !str_starts(e.message, begins) || !strstr(e.message, contains))
		print_error("for <%s>:\n%d <%s>\nwanted <%s> and <%s>\n", text, rc, e.message,
			    begins, contains);
	assert_true(rc < 0);
	assert_null(c);
	assert_true(str_starts(e.message, begins));
	assert_non_null(strstr(e.message, contains));
}

static void test_syntax_refused(void **state)
{
	(void)state;
	refused("model = a/b\n", "c.ini:1: ", "before the first [section]");
	refused("[inferfs]\nmodel\n", "c.ini:2: ", "key = value");
	refused("[inferfs\n", "c.ini:1: ", "no ]");
	refused("\n\n[inferfs] x\n", "c.ini:3: ", "comment");
	refused("[]\n", "c.ini:1: ", "heading");
	refused("[inferfs]\n= 5\n", "c.ini:2: ", "no key");
	refused("[inferfs]\nwait = yes\n\xff\n", "c.ini:3: ", "UTF-8");
	refused("[inferfs x]\n", "c.ini:1: ", "takes no name");
	refused("[backend]\n", "c.ini:1: ", "wants a name");
	refused("[backend a b]\n", "c.ini:1: ", "no blanks");
	refused("[backend ../x]\n", "c.ini:1: ", "letters");
	refused("[backend .x]\n", "c.ini:1: ", "letters");
	refused("[backend 12345678901234567890123456789012345678901234567890]\n",
		"c.ini:1: ", "49 bytes");
}

static void test_nul_and_long_lines(void **state)
{
	static const char nul[] = "[inferfs]\nscope = a\0b\n";
	struct config_source src = { .path = "c.ini", .text = nul, .len = sizeof(nul) - 1 };
	struct config *c = NULL;
	struct err e = { 0 };
	AUTO_FREE char *text = NULL;
	char words[3001];

	(void)state;
	assert_true(config_load(&src, &c, &e) < 0);
	assert_true(str_starts(e.message, "c.ini:2: "));
	memset(words, 'x', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	text = str_printf("[inferfs]\nscope = %s\n", words);
	c = good(text);
	assert_int_equal(strlen(c->mount.scope), 3000);
	config_free(c);
	free(text);
	text = str_printf("[inferfs]\nscope = %s%s\n", words, words);
	refused(text, "c.ini:2: ", "longer than");
}

static void test_unknown_names_nearest(void **state)
{
	(void)state;
	refused("[infers]\n", "c.ini:1: ", "do you mean inferfs?");
	refused("[zzzzzzzzzzzz]\n", "c.ini:1: ", "there is no section");
	refused("[inferfs]\n; a comment\nmodle = x/y\n", "c.ini:3: ", "do you mean model?");
	refused("[backend a]\ntype = openai\nconcurency = 3\n",
		"c.ini:3: ", "do you mean concurrency?");
	refused("[store]\ntimeout = 3\n", "c.ini:2: ", "do you mean timeout_ms?");
	refused("[prices]\nfle = x\n", "c.ini:2: ", "do you mean file?");
	refused("[namespace a]\nbudget = 1\n", "c.ini:2: ", "[namespace] has no key");
}

static void test_twice(void **state)
{
	(void)state;
	refused("[inferfs]\nwait = no\nwait = no\n", "c.ini:3: ", "twice");
	refused("[inferfs]\n[store]\n[inferfs]\n", "c.ini:3: ", "twice");
	refused("[backend a]\ntype=echo\n[backend a]\ntype=echo\n",
		"c.ini:3: ", "[backend a] is there twice");
	refused("[alias]\nfast = a/b\nfast = a/c\n", "c.ini:3: ", "twice");
}

/* what would limit money or rate and does nothing yet must not look as if it did */
static void test_limits_refused(void **state)
{
	static const char *const texts[] = {
		"[inferfs]\nbudget_usd = 5\n",
		"[inferfs]\nbudget_usd_per_day = 5\n",
		"[namespace a]\nbudget_usd = 1\n",
		"[store]\nmax_bytes = 1G\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		refused(texts[i], "c.ini:2: ", "not in force in this version");
	refused("[inferfs]\ncache = disk:/x?max_bytes=5\n", "c.ini:2: ", "max_bytes");
	refused("[inferfs]\ncache = disk:/x?ttl=1&max_bytes=5\n", "c.ini:2: ", "max_bytes");
	/* an empty one is how the documentation writes "none" */
	config_free(good("[inferfs]\nbudget_usd =\n[store]\nmax_bytes =\n"));
}

static void test_later_refused(void **state)
{
	(void)state;
	refused("[inferfs]\ncache = redis://h/0\n", "c.ini:2: ", "later version");
	refused("[inferfs]\ncache = rediss://h/0\n", "c.ini:2: ", "later version");
	refused("[inferfs]\ncache = s3://b/p\n", "c.ini:2: ", "later version");
	refused("[inferfs]\ncache = plugin:x.so\n", "c.ini:2: ", "later version");
	refused("[inferfs]\ncache = tmp: disk:/x\n", "c.ini:2: ", "later version");
}

static void test_types_refused(void **state)
{
	(void)state;
	refused("[backend x]\n", "c.ini:1: ", "needs a type");
	refused("[backend x]\ntype = opnai\n", "c.ini:1: ", "do you mean openai?");
	refused("[backend x]\ntype = vllm\n", "c.ini:1: ", "dialect = vllm");
	refused("[backend x]\ntype = mistral\ndialect = vllm\n", "c.ini:1: ", "dialect");
	refused("[backend x]\ntype = openai\ndialect = vlm\n",
		"c.ini:3: ", "openai, vllm or llamacpp");
	refused("[backend x]\ntype = openai\nbackoff_ms = 100\nbackoff_max_ms = 5\n",
		"c.ini:1: ", "backoff_max_ms");
	refused("[backend x]\ntype = openai\nclient_cert = /a\n", "c.ini:1: ", "go together");
}

static void test_values_refused(void **state)
{
	static const struct {
		const char *text, *contains;
	} rows[] = {
		{ "[inferfs]\nwait = perhaps\n", "yes or no" },
		{ "[inferfs]\ncache_mode = used\n", "use, bypass, refresh or only" },
		{ "[inferfs]\ndurability = all\n", "group, each or none" },
		{ "[inferfs]\nlog = verbose\n", "error, warning, info or debug" },
		{ "[inferfs]\nmax_request_bytes = 16X\n", "a number" },
		{ "[inferfs]\nmax_request_bytes = 1\n", "a number from 1024" },
		{ "[inferfs]\nqueue = -1\n", "a number" },
		{ "[inferfs]\nqueue = 0\n", "a number" },
		{ "[inferfs]\ntimeout = 0\n", "a number" },
		{ "[inferfs]\ntimeout = nan\n", "a number" },
		{ "[inferfs]\ntimeout = inf\n", "a number" },
		{ "[inferfs]\ntimeout = 5s\n", "a number" },
		{ "[inferfs]\nsuffixes = json\n", "suffixes" },
		{ "[inferfs]\nsuffixes = .json /x\n", "suffixes" },
		{ "[inferfs]\nsuffixes = .\n", "suffixes" },
		{ "[inferfs]\ncache = /var/cache\n", "no cache URL" },
		{ "[inferfs]\ncache = disc:/x\n", "do you mean disk:?" },
		{ "[inferfs]\ncache = disk:\n", "no directory" },
		{ "[inferfs]\nlog_file = ~other/x\n", "~/" },
		{ "[backend x]\nurl = ftp://h/\n", "http://" },
		{ "[backend x]\nurl = http://\n", "http://" },
		{ "[backend x]\nurl = http://h/?a=b\n", "? and #" },
		{ "[backend x]\nurl = http://h/a b\n", "blanks" },
		{ "[backend x]\nheader = nothing\n", "Name: value" },
		{ "[backend x]\nheader = a b: c\n", "Name: value" },
		{ "[backend x]\nprice = cheap\n", "free or list" },
		{ "[backend x]\nhttp2 = yes\n", "auto or no" },
		{ "[backend x]\nconcurrency = 0\n", "a number from 1" },
		{ "[backend x]\nretries = 4.5\n", "a number" },
		{ "[store]\ntimeout_ms = 0\n", "a number" },
		{ "[merge]\nsize = 0\n", "a number" },
		{ "[batch]\npoll_min_s = x\n", "a number" },
		{ "[alias]\nauto = a/b\n", "auto" },
		{ "[alias]\nfast =\n", "BACKEND/MODEL" },
		{ "[route x]\na = always -> b/c\n", "when" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refused(rows[i].text, "c.ini:2: ", rows[i].contains);
	refused("[alias]\nfast = model\n", "c.ini: ", "BACKEND/MODEL");
}

static void test_defaults(void **state)
{
	struct config *c = good("");
	const struct config_mount *m = &c->mount;
	const struct backend_config *b = config_backend_find(c, "mistral");

	(void)state;
	assert_null(m->model);
	assert_null(m->cache);
	assert_null(m->scope);
	assert_false(m->wait);
	assert_int_equal(m->cache_mode, REQUEST_CACHE_USE);
	assert_int_equal(m->durability, LEDGER_GROUP);
	assert_int_equal(m->log, LOG_INFO);
	assert_int_equal(m->max_request_bytes, 16 << 20);
	assert_int_equal(m->queue, 100000);
	assert_true(m->timeout_s == 600);
	assert_string_equal(m->suffixes[0], ".json");
	assert_string_equal(m->suffixes[4], ".batch.jsonl");
	assert_null(m->suffixes[5]);
	assert_int_equal(c->store.timeout_ms, 1000);
	assert_int_equal(c->store.breaker_failures, 3);
	assert_int_equal(c->store.probe_ms, 500);
	assert_int_equal(c->store.ttl_s, 0);
	assert_int_equal(c->gather.merge_size, 16);
	assert_int_equal(c->n_configured, 0);
	assert_int_equal(c->n_backends, 8);
	assert_int_equal(b->limits.concurrency, 32);
	assert_int_equal(b->limits.retries, 4);
	assert_true(b->limits.connect_timeout_s == 10 && b->limits.stall_timeout_s == 120);
	assert_true(b->limits.backoff_ms == 500 && b->limits.backoff_max_ms == 30000);
	assert_true(b->limits.timeout_s == 600);
	assert_int_equal(b->limits.breaker_failures, 5);
	assert_int_equal(b->limits.models_ttl_s, 3600);
	assert_true(b->at.http2);
	assert_int_equal(c->later.len, 0);
	config_free(c);
}

static void test_whole_file(void **state)
{
	struct config *c = good(
		"\xEF\xBB\xBF# comment\r\n[inferfs]\r\n  model = lab/Qwen/Qwen3-0.6B ; behind\r\n"
		"\tcache = disk:~/store?ttl=5\r\ncache_mode = refresh\nwait = ON\nlossy=true\n"
		"scope = team a\ndurability = each\nmax_request_bytes = 2M\nqueue = 7\n"
		"suffixes = .json .prompt\nlog = debug\nlog_file = ~/l\ntimeout = 1.5\n"
		"\n[backend lab] ; ours\ntype = openai\ndialect = vllm\n"
		"url = http://10.0.0.9:8000/v1///\nprovider = us\nprice = free\n"
		"header = X-Team: a=b; c=d\nheader = X-Two: 2\nmax_tokens = 99\nconcurrency = 3\n"
		"timeout = 9.5\nconnect_timeout = .5\nstall_timeout = 7\nretries = 0\nbackoff_ms = 1\n"
		"backoff_max_ms = 2\nbreaker_failures = 9\nbreaker_seconds = 8\nidentity = twins\n"
		"proxy = http://p:1\nca_file = ~/ca\nunix_socket = /run/s\nhttp2 = no\n"
		"models_ttl = 0.5\napi_version = 3\n"
		"[store]\ntimeout_ms = 10.2\nttl = 3600.5\n[alias]\nfast = lab/x\n");
	const struct backend_config *b = config_backend_find(c, "lab");

	(void)state;
	assert_string_equal(c->mount.model, "lab/Qwen/Qwen3-0.6B");
	assert_string_equal(c->mount.cache, "disk:/home/someone/store?ttl=5");
	assert_int_equal(c->mount.cache_mode, REQUEST_CACHE_REFRESH);
	assert_true(c->mount.wait && c->mount.lossy);
	assert_string_equal(c->mount.scope, "team a");
	assert_int_equal(c->mount.durability, LEDGER_EACH);
	assert_int_equal(c->mount.max_request_bytes, 2 << 20);
	assert_string_equal(c->mount.suffixes[1], ".prompt");
	assert_null(c->mount.suffixes[2]);
	assert_string_equal(c->mount.log_file, "/home/someone/l");
	assert_true(c->mount.timeout_s == 1.5);
	assert_string_equal(b->type->name, "openai");
	assert_int_equal(b->dialect, BACKEND_VLLM);
	assert_string_equal(b->at.url, "http://10.0.0.9:8000/v1");
	assert_false(b->at.default_url);
	assert_string_equal(b->provider, "us");
	assert_true(b->free_of_charge);
	assert_string_equal(b->at.headers[0], "X-Team: a=b; c=d");
	assert_string_equal(b->at.headers[1], "X-Two: 2");
	assert_null(b->at.headers[2]);
	assert_int_equal(b->max_tokens, 99);
	assert_int_equal(b->limits.concurrency, 3);
	assert_true(b->limits.timeout_s == 9.5 && b->limits.connect_timeout_s == 0.5);
	assert_int_equal(b->limits.retries, 0);
	assert_string_equal(b->at.identity, "twins");
	assert_string_equal(b->at.ca_file, "/home/someone/ca");
	assert_string_equal(b->at.unix_socket, "/run/s");
	assert_false(b->at.http2);
	assert_int_equal(b->limits.models_ttl_s, 1);
	assert_int_equal(c->store.timeout_ms, 11);
	assert_int_equal(c->store.ttl_s, 3601);
	assert_string_equal(c->aliases[0].from, "fast");
	assert_string_equal(c->aliases[0].to, "lab/x");
	assert_int_equal(c->n_configured, 1);
	config_free(c);
}

/* what a later version brings is read, checked, and named for the log */
static void test_later_accepted(void **state)
{
	struct config *c = good(
		"[inferfs]\nshare_namespaces = yes\n[merge]\nsize = 8\nwindow_ms = 2.5\n"
		"[batch]\npoll_max_s = 9\n[prices]\nfile = ~/p.json\n[namespace exp]\n"
		"[route auto]\nsmall = when last_chars < 100 and not keywords and not code -> a/b\n"
		"large = otherwise -> a/c\nkeywords = analyze, explain in detail\n");

	(void)state;
	assert_true(c->mount.share_namespaces);
	assert_int_equal(c->gather.merge_size, 8);
	assert_int_equal(c->gather.merge_window_ms, 3);
	assert_string_equal(c->prices.file, "/home/someone/p.json");
	assert_string_equal(buf_str(&c->later), "share_namespaces\nnamespace exp\nroute auto\n");
	config_free(c);
}

static void test_settings_over_file(void **state)
{
	static const char text[] = "[inferfs]\nmodel = a/b\ntimeout = 5\n";
	const struct config_setting sets[] = {
		{ "model", "echo/echo" }, { "wait", NULL }, { "timeout", "6" }, { "timeout", "7" }
	};
	struct config_source src = { "c.ini", text, sizeof(text) - 1, sets, ARRAY_LEN(sets) };
	struct config *c = NULL;

	(void)state;
	assert_int_equal(config_load(&src, &c, NULL), 0);
	assert_string_equal(c->mount.model, "echo/echo");
	assert_true(c->mount.wait);
	assert_true(c->mount.timeout_s == 7);
	config_free(c);
}

static void setting_refused(const struct config_setting *sets, size_t n, const char *contains)
{
	struct config_source src = { .settings = sets, .n_settings = n };
	struct config *c = NULL;
	struct err e = { 0 };

	assert_true(config_load(&src, &c, &e) < 0);
	assert_true(str_starts(e.message, "-o "));
	assert_non_null(strstr(e.message, contains));
}

static void test_settings_refused(void **state)
{
	const struct config_setting tier[] = { { "cache", "tmp:" }, { "cache", "disk:/x" } };
	const struct config_setting none = { "model", NULL };
	const struct config_setting bad = { "timeout", "soon" };
	const struct config_setting money = { "budget_usd", "3" };
	const struct config_setting what = { "colour", "red" };

	(void)state;
	setting_refused(tier, 2, "later version");
	setting_refused(&none, 1, "wants a value");
	setting_refused(&bad, 1, "timeout = soon");
	setting_refused(&money, 1, "not in force");
	setting_refused(&what, 1, "no such option");
}

static void test_file_errors(void **state)
{
	struct config_source src = { .path = "/nonexistent/config.ini" };
	struct config *c = NULL;
	struct err e = { 0 };

	(void)state;
	assert_true(config_load(&src, &c, &e) < 0);
	assert_non_null(strstr(e.message, "/nonexistent/config.ini"));
	src.path = "/";
	assert_true(config_load(&src, &c, &e) < 0);
	assert_null(config_free(NULL));
}

static void test_builtins_without_keys(void **state)
{
	struct config *c = good("");
	const struct backend_config *vllm = config_backend_find(c, "vllm");
	const struct backend_config *llama = config_backend_find(c, "llamacpp");
	const struct backend_config *ollama = config_backend_find(c, "ollama");
	const struct backend_config *echo = config_backend_find(c, "echo");
	const struct backend_config *mistral = config_backend_find(c, "mistral");

	(void)state;
	assert_string_equal(vllm->at.url, "http://localhost:8000/v1");
	assert_string_equal(llama->at.url, "http://127.0.0.1:8080/v1");
	assert_string_equal(ollama->at.url, "http://127.0.0.1:11434");
	assert_int_equal(llama->dialect, BACKEND_LLAMACPP);
	assert_true(vllm->free_of_charge && llama->free_of_charge && ollama->free_of_charge);
	assert_true(echo->free_of_charge);
	assert_false(mistral->free_of_charge);
	assert_true(vllm->at.default_url && mistral->at.default_url);
	assert_null(vllm->at.key_hint);
	assert_null(echo->at.key_hint);
	assert_non_null(strstr(mistral->at.key_hint, "MISTRAL_API_KEY"));
	assert_non_null(strstr(config_backend_find(c, "gemini")->at.key_hint, "GOOGLE_API_KEY"));
	assert_non_null(
		strstr(config_backend_find(c, "anthropic")->at.key_hint, "ANTHROPIC_API_KEY"));
	assert_string_equal(mistral->provider, "mistral");
	assert_null(vllm->provider);
	config_free(c);
}

static void test_keys_from_environment(void **state)
{
	struct config *c;

	(void)state;
	setenv("MISTRAL_API_KEY", "mk-123456789", 1);
	setenv("OPENAI_API_KEY", "ok-123456789", 1);
	c = good(
		"[backend near]\ntype = openai\nurl = http://10.1.1.1/v1\n[backend own]\ntype = openai\n"
		"dialect = vllm\n");
	assert_string_equal(config_backend_find(c, "mistral")->at.key, "mk-123456789");
	assert_string_equal(config_backend_find(c, "openai")->at.key, "ok-123456789");
	assert_string_equal(config_backend_find(c, "near")->at.key, "ok-123456789");
	/* a server of one's own at its usual address is not sent the key of somebody else's */
	assert_null(config_backend_find(c, "vllm")->at.key);
	assert_null(config_backend_find(c, "llamacpp")->at.key);
	assert_null(config_backend_find(c, "ollama")->at.key);
	assert_null(config_backend_find(c, "own")->at.key);
	assert_null(config_backend_find(c, "echo")->at.key);
	config_free(c);
}

/* the providers' own programs take them in this order too */
static void test_keys_of_two_names(void **state)
{
	struct config *c;

	(void)state;
	setenv("GEMINI_API_KEY", "gk-123456789", 1);
	setenv("ANTHROPIC_AUTH_TOKEN", "at-123456789", 1);
	setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9997/", 1);
	setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9998", 1);
	c = good("[backend tuned]\ntype = anthropic\nurl = https://h\napi_version = 2023-06-01\n");
	assert_string_equal(config_backend_find(c, "gemini")->at.key, "gk-123456789");
	assert_string_equal(config_backend_find(c, "anthropic")->at.key_from,
			    "ANTHROPIC_AUTH_TOKEN");
	assert_string_equal(config_backend_find(c, "gemini")->at.url, "http://127.0.0.1:9997");
	assert_string_equal(config_backend_find(c, "anthropic")->at.url, "http://127.0.0.1:9998");
	assert_string_equal(config_backend_find(c, "tuned")->at.api_version, "2023-06-01");
	assert_string_equal(config_backend_find(c, "anthropic")->provider, "anthropic");
	assert_false(config_backend_find(c, "gemini")->free_of_charge);
	config_free(c);
	setenv("GOOGLE_API_KEY", "ok-123456789", 1);
	setenv("ANTHROPIC_API_KEY", "ak-123456789", 1);
	c = good("");
	assert_string_equal(config_backend_find(c, "gemini")->at.key, "ok-123456789");
	assert_string_equal(config_backend_find(c, "anthropic")->at.key, "ak-123456789");
	assert_string_equal(config_backend_find(c, "anthropic")->at.key_from, "ANTHROPIC_API_KEY");
	config_free(c);
}

static void test_url_from_environment(void **state)
{
	struct config *c;
	struct err e = { 0 };

	(void)state;
	setenv("OPENAI_BASE_URL", "http://127.0.0.1:9999/v1/", 1);
	c = good("[backend mine]\ntype = openai\nurl = https://h/v1\n");
	assert_string_equal(config_backend_find(c, "openai")->at.url, "http://127.0.0.1:9999/v1");
	assert_string_equal(config_backend_find(c, "vllm")->at.url, "http://127.0.0.1:9999/v1");
	assert_string_equal(config_backend_find(c, "ollama")->at.url, "http://127.0.0.1:11434");
	assert_string_equal(config_backend_find(c, "mine")->at.url, "https://h/v1");
	assert_false(config_backend_find(c, "openai")->at.default_url);
	assert_null(config_backend_find(c, "openai")->provider);
	config_free(c);
	setenv("OPENAI_BASE_URL", "nonsense", 1);
	assert_true(load("", &c, &e) < 0);
	assert_non_null(strstr(e.message, "environment"));
}

static void test_ollama_host(void **state)
{
	static const struct {
		const char *host, *url;
	} rows[] = {
		{ "", "http://127.0.0.1:11434" },
		{ "0.0.0.0", "http://127.0.0.1:11434" },
		{ "0.0.0.0:5000", "http://127.0.0.1:5000" },
		{ "http://0.0.0.0:5000", "http://127.0.0.1:5000" },
		{ "127.0.0.1:5001", "http://127.0.0.1:5001" },
		{ "http://localhost:5002/", "http://localhost:5002" },
		{ "http://localhost", "http://localhost" },
		{ "box", "http://box:11434" },
		{ "far.example:80", "http://far.example:80" },
		{ "https://far.example/ollama/", "https://far.example/ollama" },
		{ "ollama.com", "https://ollama.com" },
		{ "notollama.com", "http://notollama.com:11434" },
	};

	(void)state;
	setenv("OLLAMA_API_KEY", "cloud-123456789", 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config *c;
		const struct backend_config *o;

		setenv("OLLAMA_HOST", rows[i].host, 1);
		c = good("[backend mine]\ntype = ollama\n");
		o = config_backend_find(c, "ollama");
		assert_string_equal(o->at.url, rows[i].url);
		assert_string_equal(config_backend_find(c, "mine")->at.url, rows[i].url);
		/* the cloud's key goes to the cloud only */
		if (strcmp(rows[i].host, "ollama.com") == 0)
			assert_string_equal(o->at.key, "cloud-123456789");
		else
			assert_null(o->at.key);
		assert_null(o->at.key_hint);
		assert_true(o->free_of_charge);
		config_free(c);
	}
}

static void test_ollama_section(void **state)
{
	struct config *c =
		setenv("OUR_TEST_KEY", "tk-123456789", 1)
			? NULL
			: good("[backend ollama]\nurl = http://10.0.0.2:11434\n"
			       "[backend cloud]\ntype = ollama\nurl = https://api.ollama.com\n"
			       "[backend keyed]\ntype = ollama\nkey_env = OUR_TEST_KEY\nstall_timeout = 7\n");
	const struct backend_config *o = config_backend_find(c, "ollama");

	(void)state;
	assert_string_equal(o->type->name, "ollama");
	assert_string_equal(o->at.url, "http://10.0.0.2:11434");
	assert_false(o->at.default_url);
	assert_string_equal(o->provider, "ollama");
	/* it loads a model before its first byte */
	assert_true(o->limits.stall_timeout_s >= 600);
	o = config_backend_find(c, "cloud");
	assert_null(o->at.key);
	assert_non_null(strstr(o->at.key_hint, "OLLAMA_API_KEY"));
	o = config_backend_find(c, "keyed");
	assert_string_equal(o->at.key, "tk-123456789");
	/* and it is no longer where /proc shows it */
	assert_string_equal(getenv("OUR_TEST_KEY"), "");
	assert_true(o->at.default_url);
	assert_true(o->limits.stall_timeout_s <= 7);
	config_free(c);
	refused("[backend ollama]\ndialect = vllm\n", "c.ini:1: ", "dialect");
}

static void test_explicit_keys(void **state)
{
	char path[] = "/tmp/keyXXXXXX";
	int fd = mkstemp(path);
	AUTO_FREE char *text = str_printf("[backend vllm]\nkey_file = %s\n", path);
	struct config *c;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "filekey-1\n", 10), 10);
	assert_int_equal(fchmod(fd, 0600), 0);
	c = good(text);
	assert_string_equal(config_backend_find(c, "vllm")->at.key, "filekey-1");
	config_free(c);
	assert_int_equal(fchmod(fd, 0644), 0);
	refused(text, "c.ini:1: ", path);
	close(fd);
	unlink(path);
	refused(text, "c.ini:1: ", path);
	refused("[backend a]\ntype=openai\nkey_env = A\nkey_credential = B\n",
		"c.ini:1: ", "keep one");
	refused("[backend a]\ntype=openai\nkey_credential = B\n", "c.ini:1: ", "[backend a]");
	/* a variable may be set at the next mount: until then requests say which */
	c = good("[backend a]\ntype = openai\nkey_env = TEAM_KEY\n");
	assert_null(config_backend_find(c, "a")->at.key);
	assert_non_null(strstr(config_backend_find(c, "a")->at.key_hint, "TEAM_KEY"));
	config_free(c);
	setenv("TEAM_KEY", "team-key-1", 1);
	c = good("[backend a]\ntype = openai\nkey_env = TEAM_KEY\n");
	assert_string_equal(config_backend_find(c, "a")->at.key, "team-key-1");
	config_free(c);
}

static void test_section_replaces_builtin(void **state)
{
	struct config *c = good(
		"[backend mistral]\nconcurrency = 2\n[backend vllm]\nurl = http://127.0.0.1:9/v1\n"
		"[backend openai]\ntype = echo\n");
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < c->n_backends; i++)
		n += strcmp(c->backends[i].name, "mistral") == 0;
	assert_int_equal(n, 1);
	assert_int_equal(c->n_backends, 8);
	assert_int_equal(c->n_configured, 3);
	assert_int_equal(config_backend_find(c, "mistral")->limits.concurrency, 2);
	assert_int_equal(config_backend_find(c, "vllm")->dialect, BACKEND_VLLM);
	assert_true(config_backend_find(c, "vllm")->free_of_charge);
	assert_string_equal(config_backend_find(c, "openai")->type->name, "echo");
	config_free(c);
}

static void test_price(void **state)
{
	struct config *c = good(
		"[backend a]\ntype=openai\ndialect=vllm\nurl=http://10.0.0.1/v1\n"
		"[backend b]\ntype=openai\ndialect=vllm\nprice=list\n"
		"[backend c]\ntype=openai\nurl=http://127.0.0.1:1/v1\n"
		"[backend d]\ntype=openai\ndialect=llamacpp\nurl=http://x/v1\nunix_socket=/s\n");

	(void)state;
	/* another local address may be a proxy that pays */
	assert_false(config_backend_find(c, "a")->free_of_charge);
	assert_false(config_backend_find(c, "b")->free_of_charge);
	assert_false(config_backend_find(c, "c")->free_of_charge);
	assert_true(config_backend_find(c, "d")->free_of_charge);
	assert_null(config_backend_find(c, "c")->provider);
	config_free(c);
}

static void test_secrets_masked(void **state)
{
	struct config *c;
	char line[] = "sent tok-abcdefgh and hush-hush-123 and user:passw0rd";

	(void)state;
	c = good(
		"[backend a]\ntype=openai\nurl=http://user:passw0rd@h/v1\nheader=X-Auth: hush-hush-123\n"
		"header=Authorization: Bearer tok-abcdefgh\nheader=X-Team: blue\n");
	log_mask(line);
	assert_string_equal(line, "sent *** and *** and ***");
	config_free(c);
}

static void test_loopback(void **state)
{
	static const struct {
		const char *url;
		unsigned port;
	} rows[] = {
		{ "http://127.0.0.1:8080/v1", 8080 },
		{ "http://localhost:8000/v1", 8000 },
		{ "http://LOCALHOST/v1", 80 },
		{ "https://127.9.9.9", 443 },
		{ "http://[::1]:81/x", 81 },
		{ "http://u:p@127.0.0.1:5/", 5 },
		{ "http://127.0.0.1@evil.example/", 0 },
		{ "http://127.evil.example:1/", 0 },
		{ "http://localhost.example/", 0 },
		{ "http://10.0.0.1:8080", 0 },
		{ "http://[::2]:81", 0 },
		{ "http://localhost:99999", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(backends_local_port(rows[i].url), rows[i].port);
	assert_false(backends_loopback("http://127.0.0.1@evil.example/"));
}

static void test_routes(void **state)
{
	static const char *const good_rules[] = {
		"otherwise -> a/b",
		"when code -> a/b",
		"when not not images -> a/b/c",
		"when last_chars<100 and total_chars >= 5 or messages != 2->a/b",
	};
	static const char *const bad_rules[] = {
		"",
		"a/b",
		"when code",
		"when -> a/b",
		"-> a/b",
		"otherwise ->",
		"otherwise -> model",
		"otherwise -> /b",
		"whenever -> a/b",
		"when code code -> a/b",
		"when last_chars -> a/b",
		"when last_chars < x -> a/b",
		"when last_chars << 5 -> a/b",
		"when code and -> a/b",
		"when chars > 5 -> a/b",
		"otherwise -> a/ b",
		"when aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa -> a/b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good_rules); i++)
		assert_int_equal(routes_check("x", good_rules[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad_rules); i++)
		assert_true(routes_check("x", bad_rules[i], NULL) < 0);
	assert_int_equal(routes_check("keywords", "a, b", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_syntax_refused, clean),
		cmocka_unit_test_setup(test_nul_and_long_lines, clean),
		cmocka_unit_test_setup(test_unknown_names_nearest, clean),
		cmocka_unit_test_setup(test_twice, clean),
		cmocka_unit_test_setup(test_limits_refused, clean),
		cmocka_unit_test_setup(test_later_refused, clean),
		cmocka_unit_test_setup(test_types_refused, clean),
		cmocka_unit_test_setup(test_values_refused, clean),
		cmocka_unit_test_setup(test_defaults, clean),
		cmocka_unit_test_setup(test_whole_file, clean),
		cmocka_unit_test_setup(test_later_accepted, clean),
		cmocka_unit_test_setup(test_settings_over_file, clean),
		cmocka_unit_test_setup(test_settings_refused, clean),
		cmocka_unit_test_setup(test_file_errors, clean),
		cmocka_unit_test_setup(test_builtins_without_keys, clean),
		cmocka_unit_test_setup(test_keys_from_environment, clean),
		cmocka_unit_test_setup(test_keys_of_two_names, clean),
		cmocka_unit_test_setup(test_url_from_environment, clean),
		cmocka_unit_test_setup(test_ollama_host, clean),
		cmocka_unit_test_setup(test_ollama_section, clean),
		cmocka_unit_test_setup(test_explicit_keys, clean),
		cmocka_unit_test_setup(test_section_replaces_builtin, clean),
		cmocka_unit_test_setup(test_price, clean),
		cmocka_unit_test_setup(test_secrets_masked, clean),
		cmocka_unit_test_setup(test_loopback, clean),
		cmocka_unit_test_setup(test_routes, clean),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	log_close();
	return failed;
}
