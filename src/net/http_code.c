/*
 * net/http_code.c - libcurl's result codes, sorted for people
 */
#include <errno.h>

#include "base/auto.h"
#include "net/http_code.h"

#include "base/banned.h"

/* libcurl has one code for "nobody listens" and "no route"; the errno behind it tells them
 * apart. */
static enum err_kind refused_kind(CURL *e)
{
	long os = 0;

	(void)curl_easy_getinfo(e, CURLINFO_OS_ERRNO, &os); /* 0 when unknown */
	return os == ENETUNREACH || os == EHOSTUNREACH || os == ENETDOWN || os == EHOSTDOWN
		       ? ERR_UNREACHABLE
		       : ERR_REFUSED;
}

/* What libcurl says, sorted for people. Everything else (send, receive, partial body, HTTP/2 stream, nothing
 * at all) is a lost connection. A certificate or a URL does not get better by trying again. */
struct meaning {
	CURLcode code;
	enum err_kind kind;
	bool permanent;
};

static const struct meaning codes[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, ERR_UNREACHABLE, false },
	{ CURLE_COULDNT_RESOLVE_PROXY, ERR_UNREACHABLE, false },
	{ CURLE_PROXY, ERR_UNREACHABLE, false },
	{ CURLE_INTERFACE_FAILED, ERR_UNREACHABLE, false },
	{ CURLE_PEER_FAILED_VERIFICATION, ERR_TLS, true },
	{ CURLE_SSL_CACERT_BADFILE, ERR_TLS, true },
	{ CURLE_SSL_CERTPROBLEM, ERR_TLS, true },
	{ CURLE_SSL_CIPHER, ERR_TLS, true },
	{ CURLE_SSL_ISSUER_ERROR, ERR_TLS, true },
	{ CURLE_SSL_CLIENTCERT, ERR_TLS, true },
	{ CURLE_SSL_CONNECT_ERROR, ERR_TLS, false },
	{ CURLE_USE_SSL_FAILED, ERR_TLS, false },
	{ CURLE_SSL_ENGINE_INITFAILED, ERR_TLS, false },
	{ CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT, false },
	{ CURLE_URL_MALFORMAT, ERR_REQUEST, true },
	{ CURLE_UNSUPPORTED_PROTOCOL, ERR_REQUEST, true },
	{ CURLE_WEIRD_SERVER_REPLY, ERR_PROTOCOL, true },
	{ CURLE_BAD_CONTENT_ENCODING, ERR_PROTOCOL, true },
	{ CURLE_OUT_OF_MEMORY, ERR_INTERNAL, false },
};

enum err_kind http_code_kind(CURL *easy, CURLcode code, bool sent, bool *out_permanent)
{
	*out_permanent = false;
	if (code == CURLE_OK)
		return ERR_NONE;
	if (code == CURLE_COULDNT_CONNECT)
		return refused_kind(easy);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (codes[i].code != code)
			continue;
		*out_permanent = codes[i].permanent;
		/* an answer that is no HTTP is an unsupported protocol, too */
		return codes[i].kind == ERR_REQUEST && sent ? ERR_PROTOCOL : codes[i].kind;
	}
	return ERR_PROVIDER;
}
