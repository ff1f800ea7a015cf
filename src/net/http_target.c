/*
 * net/http_target.c - easy handles that keep the options of one place
 */
#include <stdlib.h>
#include <string.h>

#include "net/http_target.h"

#include "base/banned.h"

static int copy(char **out, const char *s)
{
	if (!s || !*s)
		return 0;
	*out = strdup(s);
	return *out ? 0 : -1;
}

static int add_header(struct http_target *t, const char *h)
{
	struct curl_slist *p = curl_slist_append(t->headers, h);

	if (!p)
		return -1;
	t->headers = p;
	return 0;
}

/* "Expect:" switches off the pause for "100 Continue", which costs a second where a server ignores it. */
static int copy_headers(struct http_target *t, const char *const *h)
{
	if (add_header(t, "Expect:"))
		return -1;
	for (; h && *h; h++)
		if (add_header(t, *h))
			return -1;
	return 0;
}

struct http_target *http_target_new(const struct http_target_spec *s)
{
	struct http_target *t;

	/* counted, so that the handles kept here may outlive the engine */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	t = calloc(1, sizeof(*t));
	if (!t) {
		curl_global_cleanup();
		return NULL;
	}
	t->http2 = s->http2;
	t->connect_ms = s->connect_timeout_s > 0 && s->connect_timeout_s < 1e6
				? (long)(s->connect_timeout_s * 1e3 + 0.5)
				: 10000;
	if (t->connect_ms < 1)
		t->connect_ms = 1;
	if (s->stall_timeout_s > 0 && s->stall_timeout_s < 1e9)
		t->stall_ns = (uint64_t)(s->stall_timeout_s * 1e9);
	if (copy_headers(t, s->headers) || copy(&t->proxy, s->proxy) ||
	    copy(&t->ca_file, s->ca_file) || copy(&t->client_cert, s->client_cert) ||
	    copy(&t->client_key, s->client_key) || copy(&t->unix_socket, s->unix_socket))
		return http_target_free(t);
	return t;
}

struct http_target *http_target_free(struct http_target *t)
{
	if (!t)
		return NULL;
	for (unsigned i = 0; i < t->n_idle; i++)
		curl_easy_cleanup(t->idle[i]);
	for (struct curl_slist *h = t->headers; h; h = h->next)
		explicit_bzero(h->data, strlen(h->data)); /* a key may be among them */
	curl_slist_free_all(t->headers);
	free(t->proxy);
	free(t->ca_file);
	free(t->client_cert);
	free(t->client_key);
	free(t->unix_socket);
	free(t);
	curl_global_cleanup();
	return NULL;
}

static bool set_text(CURL *e, CURLoption option, const char *value)
{
	return !value || curl_easy_setopt(e, option, value) == CURLE_OK;
}

/* Results of options that cannot fail on this libcurl are not looked at; those that copy memory are. */
static bool set_options(struct http_target *t, CURL *e)
{
	(void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	(void)curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	(void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
			       t->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, t->connect_ms);
	(void)curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
	return set_text(e, CURLOPT_PROTOCOLS_STR, "http,https") &&
	       set_text(e, CURLOPT_PROXY, t->proxy) && set_text(e, CURLOPT_CAINFO, t->ca_file) &&
	       set_text(e, CURLOPT_SSLCERT, t->client_cert) &&
	       set_text(e, CURLOPT_SSLKEY, t->client_key) &&
	       set_text(e, CURLOPT_UNIX_SOCKET_PATH, t->unix_socket);
}

CURL *http_target_take(struct http_target *t)
{
	CURL *e;

	if (t->n_idle)
		return t->idle[--t->n_idle];
	e = curl_easy_init();
	if (e && !set_options(t, e)) {
		curl_easy_cleanup(e);
		return NULL;
	}
	return e;
}

void http_target_give(struct http_target *t, CURL *easy)
{
	if (t->n_idle < TARGET_IDLE_MAX)
		t->idle[t->n_idle++] = easy;
	else
		curl_easy_cleanup(easy);
}
