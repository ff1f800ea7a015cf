/*
 * infer/target: which header lines a backend's requests carry, and what a stranger gets to see of it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "infer/registry.h"
#include "infer/secret.h"
#include "infer/target.h"
#include "net/http_target.h"

static char *text(const char *s)
{
	return (char *)(uintptr_t)s; /* what a config owns is only lent here */
}

/* the first one that is not net's own */
static const struct curl_slist *first(const struct http_target *t)
{
	const struct curl_slist *h = t->headers;

	while (h && strcmp(h->data, "Expect:") == 0)
		h = h->next;
	return h;
}

/* "A: 1|B: 2": the lines in order */
static void expect(const struct backend_config *c, enum target_kind kind, const char *want)
{
	struct http_target *t = target_new(c, kind);
	char got[1024] = "";

	assert_non_null(t);
	for (const struct curl_slist *h = first(t); h; h = h->next)
		(void)snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s",
			       got[0] ? "|" : "", h->data);
	assert_string_equal(got, want);
	assert_null(http_target_free(t));
}

#define AGENT  "User-Agent: inferfs"
#define JSON   "Content-Type: application/json"
#define EVENTS "Accept: text/event-stream, application/json"
#define LINES  "Accept: application/x-ndjson, application/json"

static const struct {
	const char *type, *key;
	const char *theirs[4];
	const char *calls, *files;
} backends[] = {
	{ "openai", NULL, { NULL }, AGENT "|" JSON "|" EVENTS, AGENT },
	{ "openai",
	  "k",
	  { NULL },
	  "Authorization: Bearer k|" AGENT "|" JSON "|" EVENTS,
	  "Authorization: Bearer k|" AGENT },
	{ "ollama", NULL, { NULL }, AGENT "|" JSON "|" LINES, AGENT },
	{ "gemini",
	  "k",
	  { NULL },
	  "x-goog-api-key: k|" AGENT "|" JSON "|" EVENTS,
	  "x-goog-api-key: k|" AGENT },
	/* theirs come last, and take the place of ours, whatever the case */
	{ "openai",
	  "k",
	  { "X-A: 1", "X-B: 2" },
	  "Authorization: Bearer k|" AGENT "|" JSON "|" EVENTS "|X-A: 1|X-B: 2",
	  "Authorization: Bearer k|" AGENT "|X-A: 1|X-B: 2" },
	{ "openai",
	  "k",
	  { "authorization: Basic x" },
	  AGENT "|" JSON "|" EVENTS "|authorization: Basic x",
	  AGENT "|authorization: Basic x" },
	{ "openai",
	  "k",
	  { "USER-AGENT: me", "accept: */*" },
	  "Authorization: Bearer k|" JSON "|USER-AGENT: me|accept: */*",
	  "Authorization: Bearer k|USER-AGENT: me|accept: */*" },
	{ "openai",
	  NULL,
	  { "Content-Type: application/json; charset=utf-8" },
	  AGENT "|" EVENTS "|Content-Type: application/json; charset=utf-8",
	  AGENT "|Content-Type: application/json; charset=utf-8" },
	{ "gemini",
	  "k",
	  { "X-Goog-Api-Key: other" },
	  AGENT "|" JSON "|" EVENTS "|X-Goog-Api-Key: other",
	  AGENT "|X-Goog-Api-Key: other" },
	/* a name that only begins so is another header */
	{ "openai",
	  "k",
	  { "Authorization-X: 1", "Accept-Encoding: br", "User-Agents: 7" },
	  "Authorization: Bearer k|" AGENT "|" JSON "|" EVENTS
	  "|Authorization-X: 1|Accept-Encoding: br|User-Agents: 7",
	  "Authorization: Bearer k|" AGENT
	  "|Authorization-X: 1|Accept-Encoding: br|User-Agents: 7" },
	{ "gemini",
	  "k",
	  { "Authorization: Bearer x" },
	  "x-goog-api-key: k|" AGENT "|" JSON "|" EVENTS "|Authorization: Bearer x",
	  "x-goog-api-key: k|" AGENT "|Authorization: Bearer x" },
};

static void lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		char *theirs[4];
		struct backend_config c = {
			.name = text("b"),
			.type = registry_type(backends[i].type),
			.at = { .key = text(backends[i].key), .headers = theirs },
		};

		for (size_t k = 0; k < ARRAY_LEN(theirs); k++)
			theirs[k] = text(backends[i].theirs[k]);
		expect(&c, TARGET_CALLS, backends[i].calls);
		expect(&c, TARGET_FILES, backends[i].files);
		expect(&c, TARGET_STRANGERS, AGENT); /* whatever the user says */
	}
}

/* A host that the provider names has no business with who we are to the provider. */
static void strangers(void **state)
{
	struct backend_config c = {
		.name = text("b"),
		.type = registry_type("openai"),
		.at = { .key = text("secret"),
			.proxy = text("http://proxy"),
			.ca_file = text("/ca"),
			.client_cert = text("/cert"),
			.client_key = text("/key"),
			.unix_socket = text("/sock"),
			.http2 = true },
		.limits = { .connect_timeout_s = 1.5, .stall_timeout_s = 2 },
	};
	static const enum target_kind kinds[] = { TARGET_CALLS, TARGET_FILES, TARGET_STRANGERS };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct http_target *t = target_new(&c, kinds[i]);
		bool known = kinds[i] != TARGET_STRANGERS;

		assert_non_null(t);
		assert_string_equal(t->proxy, "http://proxy"); /* the way out is the same */
		assert_string_equal(t->ca_file, "/ca");
		assert_int_equal(t->client_cert != NULL, known);
		assert_int_equal(t->client_key != NULL, known);
		assert_int_equal(t->unix_socket != NULL, known);
		assert_true(t->http2);
		assert_int_equal(t->connect_ms, 1500);
		assert_true(t->stall_ns == 2000000000u);
		for (const struct curl_slist *h = t->headers; h && !known; h = h->next)
			assert_null(strstr(h->data, "secret"));
		assert_null(http_target_free(t));
	}
}

/* The longest key there may be goes out whole; one that is longer goes nowhere, not in part. */
static void long_keys(void **state)
{
	static const char *const types[] = { "openai", "gemini", "anthropic" };
	char *key = malloc(SECRET_MAX + 128);

	(void)state;
	assert_non_null(key);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct backend_config c = { .name = text("b"),
					    .type = registry_type(types[i]),
					    .at = { .key = key } };
		struct http_target *t;

		memset(key, 'k', SECRET_MAX + 127);
		key[SECRET_MAX + 127] = '\0';
		assert_null(target_new(&c, TARGET_CALLS));
		key[SECRET_MAX] = '\0';
		t = target_new(&c, TARGET_FILES);
		assert_non_null(t);
		assert_non_null(strstr(first(t)->data, key));
		assert_null(http_target_free(t));
	}
	free(key);
}

static void many_lines(void **state)
{
	char line[64][16], *theirs[65] = { NULL };
	struct backend_config c = { .name = text("b"),
				    .type = registry_type("openai"),
				    .at = { .key = text("k"), .headers = theirs } };
	struct http_target *t;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(line); i++) {
		(void)snprintf(line[i], sizeof(line[i]), "X-%u: %u", i, i);
		theirs[i] = line[i];
	}
	t = target_new(&c, TARGET_CALLS);
	assert_non_null(t);
	memset(line, 0, sizeof(line)); /* they are copies */
	for (const struct curl_slist *h = first(t); h; h = h->next, n++)
		if (n >= 4)
			assert_int_equal(strtoul(h->data + 2, NULL, 10), n - 4);
	assert_int_equal(n, 4 + ARRAY_LEN(line));
	assert_null(http_target_free(t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(strangers),
		cmocka_unit_test(long_keys),
		cmocka_unit_test(many_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
