/*
 * net/probe.c - one blocking GET to a server of this machine
 */
#include <curl/curl.h>
#include <errno.h>

#include "net/probe.h"

#include "base/banned.h"

static size_t take(char *p, size_t size, size_t n, void *arg)
{
	struct buf *out = arg;

	return buf_add(out, p, size * n) < 0 ? 0 : size * n;
}

static void prepare(CURL *curl, const char *url, const struct probe_limits *limits, struct buf *out)
{
	/* an option that this libcurl has not is no reason not to ask */
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, limits->connect_ms);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, limits->total_ms);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
}

int probe_get(const char *url, const struct probe_limits *limits, struct buf *out)
{
	CURL *curl = curl_easy_init();
	CURLcode code;
	long status = 0;

	if (!curl)
		return -ENOMEM;
	prepare(curl, url, limits, out);
	code = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status); /* 0 where there was none */
	curl_easy_cleanup(curl);
	if (out->failed)
		return out->failed;
	if (code != CURLE_OK)
		return -ECONNREFUSED;
	return status == 200 ? 0 : -EREMOTEIO;
}
