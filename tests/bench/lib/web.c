/*
 * tests/bench/lib/web.c - plain libcurl, as fast as it goes without knowing what it carries
 */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/bench.h"
#include "bench/lib/web.h"

enum { WIDTH_MAX = 256, ANSWER_MAX = 1 << 16 };

struct slot {
	CURL *easy;
	char *body;
	char got[ANSWER_MAX];
	size_t len;
};

struct web {
	char *url, *body;
	size_t at;
	struct curl_slist *headers;
	CURLM *multi;
	struct slot *slot[WIDTH_MAX]; /* 0 is web_one's */
};

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
	struct slot *s = arg;

	if (s->len + n * size >= sizeof(s->got))
		return 0;
	memcpy(s->got + s->len, p, n * size);
	s->len += n * size;
	return n * size;
}

static struct slot *slot_of(struct web *w, size_t i)
{
	struct slot *s = w->slot[i];

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s || !(s->easy = curl_easy_init()) || !(s->body = strdup(w->body)))
		bench_die("out of memory");
	curl_easy_setopt(s->easy, CURLOPT_URL, w->url);
	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, w->headers);
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, s->body);
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(s->body));
	curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
	curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
	return w->slot[i] = s;
}

static void aim(struct web *w, struct slot *s, size_t number)
{
	char digits[WEB_DIGITS + 1];

	snprintf(digits, sizeof(digits), "%0*zu", (int)WEB_DIGITS, number % 100000000);
	memcpy(s->body + w->at, digits, WEB_DIGITS);
	s->len = 0;
}

/* The answer repeats the question, and so its number, as one piece. */
static void check(struct web *w, struct slot *s, CURLcode rc)
{
	long status = 0;
	char digits[WEB_DIGITS + 1];

	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	s->got[s->len] = '\0';
	snprintf(digits, sizeof(digits), "%.*s", (int)WEB_DIGITS, s->body + w->at);
	if (rc != CURLE_OK || status != 200 || !strstr(s->got, digits) ||
	    !strstr(s->got, "data: [DONE]"))
		bench_die("the provider server: %s, status %ld: %s", curl_easy_strerror(rc), status,
			  s->got);
}

struct web *web_new(int port, const char *body, size_t at)
{
	struct web *w = calloc(1, sizeof(*w));

	if (!w)
		bench_die("out of memory");
	w->url = bench_fmt("http://127.0.0.1:%d/v1/chat/completions", port);
	w->body = strdup(body);
	w->at = at;
	w->headers = curl_slist_append(w->headers, "Content-Type: application/json");
	w->headers = curl_slist_append(w->headers, "Authorization: Bearer bench");
	w->headers = curl_slist_append(w->headers, "Expect:");
	w->multi = curl_multi_init();
	return w;
}

struct web *web_learn(int port, const char *digits)
{
	char *text = web_look(port, "requests?last=1");
	json_t *v = json_loads(text, 0, NULL);
	const char *body = json_string_value(
		json_object_get(json_array_get(json_object_get(v, "requests"), 0), "body"));
	const char *at = body ? strstr(body, digits) : NULL;
	struct web *w;

	if (!at)
		bench_die("the daemon's request is not among the provider server's: %s", text);
	w = web_new(port, body, (size_t)(at - body));
	json_decref(v);
	free(text);
	return w;
}

struct web *web_free(struct web *w)
{
	for (size_t i = 0; i < WIDTH_MAX; i++) {
		if (!w->slot[i])
			continue;
		curl_easy_cleanup(w->slot[i]->easy);
		free(w->slot[i]->body);
		free(w->slot[i]);
	}
	curl_multi_cleanup(w->multi);
	curl_slist_free_all(w->headers);
	free(w->url);
	free(w->body);
	free(w);
	return NULL;
}

const char *web_url(const struct web *w)
{
	return w->url;
}

const char *web_body(const struct web *w, size_t *out_at)
{
	*out_at = w->at;
	return w->body;
}

void web_one(struct web *w, size_t number)
{
	struct slot *s = slot_of(w, 0);

	aim(w, s, number);
	check(w, s, curl_easy_perform(s->easy));
}

void web_many(struct web *w, size_t from, size_t n, size_t width)
{
	size_t begun = 0, done = 0;
	int running, left;
	struct slot *s;
	CURLMsg *m;

	for (; begun < n && begun < width && begun + 1 < WIDTH_MAX; begun++) {
		s = slot_of(w, begun + 1);
		aim(w, s, from + begun);
		curl_multi_add_handle(w->multi, s->easy);
	}
	while (done < n) {
		curl_multi_perform(w->multi, &running);
		while ((m = curl_multi_info_read(w->multi, &left))) {
			CURL *easy = m->easy_handle;

			curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&s);
			check(w, s, m->data.result);
			curl_multi_remove_handle(w->multi, easy);
			done++;
			if (begun == n)
				continue;
			aim(w, s, from + begun++);
			curl_multi_add_handle(w->multi, easy);
		}
		if (done < n)
			curl_multi_poll(w->multi, NULL, 0, 1000, NULL);
	}
}

static char *control(int port, const char *what, const char *body, bool post)
{
	struct slot *s = calloc(1, sizeof(*s));
	char *url = bench_fmt("http://127.0.0.1:%d/_ctl/%s", port, what), *out;
	size_t len;
	FILE *f;
	CURLcode rc;
	long status = 0;

	if (!s || !(s->easy = curl_easy_init()) || !(f = open_memstream(&out, &len)))
		bench_die("out of memory");
	curl_easy_setopt(s->easy, CURLOPT_URL, url);
	curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, f);
	if (post)
		curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, body ? body : "");
	rc = curl_easy_perform(s->easy);
	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	fclose(f);
	if (rc != CURLE_OK || status != 200)
		bench_die("%s: %s, status %ld: %s", url, curl_easy_strerror(rc), status, out);
	curl_easy_cleanup(s->easy);
	free(s);
	free(url);
	return out;
}

char *web_control(int port, const char *what, const char *body)
{
	return control(port, what, body, true);
}

char *web_look(int port, const char *what)
{
	return control(port, what, NULL, false);
}

size_t web_count(int port)
{
	char *text = web_look(port, "count");
	size_t n = strtoul(text, NULL, 10);

	free(text);
	return n;
}
