/*
 * net/http_again.c - no second sending behind our back
 */
#include "net/http_again.h"

#include "base/banned.h"

/*
 * libcurl asks this before each sending of a request. The size of what went out counts from the transfer's
 * beginning and not from the connection's, so it is 0 also where a write to a closed connection failed.
 */
static int before_sending(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct http_again *a = arg;
	long bytes = 0;

	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	if (curl_easy_getinfo(a->easy, CURLINFO_REQUEST_SIZE, &bytes) == CURLE_OK && bytes == 0)
		return CURL_PREREQFUNC_OK;
	a->refused = true;
	return CURL_PREREQFUNC_ABORT;
}

void http_again_set(struct http_again *a, CURL *easy)
{
	a->easy = easy;
	(void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_sending);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, a);
}

bool http_again_refused(const struct http_again *a)
{
	return a->refused;
}

void http_again_drop(struct http_again *a)
{
	if (!a->easy)
		return;
	(void)curl_easy_setopt(a->easy, CURLOPT_PREREQFUNCTION, NULL);
	a->easy = NULL;
}
