/*
 * infer/target.c - the header lines of a backend
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "infer/secret.h"
#include "infer/target.h"

#include "base/banned.h"

static bool names_header(char *const *headers, const char *name)
{
	size_t n = strlen(name);

	for (; headers && *headers; headers++)
		if (strncasecmp(*headers, name, n) == 0)
			return true;
	return false;
}

/* A header of the user's own replaces ours. room: theirs and OURS and a NULL. */
enum { OURS = 8 };

static const char *const agent[] = { "User-Agent: inferfs", NULL };
static const char *const content_type[] = { "Content-Type: application/json", NULL };
/* a proxy may refuse what was not asked for */
static const char *const accepts[][2] = {
	[BACKEND_SSE] = { "Accept: text/event-stream, application/json", NULL },
	[BACKEND_NDJSON] = { "Accept: application/x-ndjson, application/json", NULL },
};

static bool same_header(char *const *theirs, const char *line)
{
	char name[64];
	size_t n = strcspn(line, ":") + 1;

	if (n >= sizeof(name))
		return false;
	memcpy(name, line, n);
	name[n] = '\0';
	return names_header(theirs, name);
}

static size_t add_ours(char *const *theirs, const char *const *ours, const char **headers, size_t n)
{
	for (; ours && *ours && n < OURS; ours++)
		if (!same_header(theirs, *ours))
			headers[n++] = *ours;
	return n;
}

static void list_headers(const struct backend_config *c, enum target_kind kind, const char *auth,
			 const char **headers)
{
	char *const *theirs = c->at.headers;
	size_t n = 0;

	if (*auth && !same_header(theirs, auth))
		headers[n++] = auth;
	n = add_ours(theirs, agent, headers, n);
	if (kind == TARGET_CALLS) {
		n = add_ours(theirs, content_type, headers, n);
		n = add_ours(theirs, accepts[c->type->framing], headers, n);
	}
	for (; theirs && *theirs; theirs++)
		headers[n++] = *theirs;
	headers[n] = NULL;
}

static int write_auth(const struct backend_config *c, struct buf *out)
{
	if (!c->at.key)
		return 0;
	if (c->type->auth)
		return c->type->auth(&c->at, out);
	return buf_addf(out, "Authorization: Bearer %s", c->at.key);
}

static struct http_target *make(const struct backend_config *c, enum target_kind kind,
				const char *const *headers)
{
	bool known = kind != TARGET_STRANGERS;
	const struct http_target_spec spec = {
		.headers = headers,
		.proxy = c->at.proxy,
		.ca_file = c->at.ca_file,
		.client_cert = known ? c->at.client_cert : NULL,
		.client_key = known ? c->at.client_key : NULL,
		.unix_socket = known ? c->at.unix_socket : NULL,
		.http2 = c->at.http2,
		.connect_timeout_s = c->limits.connect_timeout_s,
		.stall_timeout_s = c->limits.stall_timeout_s,
	};

	return http_target_new(&spec);
}

/* The key goes into a header and nowhere else. */
struct http_target *target_new(const struct backend_config *c, enum target_kind kind)
{
	AUTO_BUF struct buf auth = BUF_INIT(SECRET_MAX + 64);
	struct http_target *t = NULL;
	const char **headers;
	size_t theirs = 0;

	if (kind == TARGET_STRANGERS)
		return make(c, kind, agent);
	while (c->at.headers && c->at.headers[theirs])
		theirs++;
	headers = calloc(theirs + OURS + 1, sizeof(*headers));
	if (headers && write_auth(c, &auth) == 0) {
		list_headers(c, kind, buf_str(&auth), headers);
		t = make(c, kind, headers);
	}
	free(headers);
	if (auth.data)
		explicit_bzero(auth.data, auth.cap);
	return t;
}
