/* test_http_code.c - what the end of a transfer means, and which of them another try can help */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/auto.h"
#include "net/http_code.h"

static CURL *easy;

static int setup(void **state)
{
	(void)state;
	easy = curl_easy_init();
	return easy ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	curl_easy_cleanup(easy);
	return 0;
}

static void sorted(CURLcode code, bool sent, enum err_kind kind, bool permanent)
{
	bool got = !permanent;
	enum err_kind k = http_code_kind(easy, code, sent, &got);

	if (k != kind || got != permanent)
		fail_msg("%s, sent %d: kind %d, permanent %d", curl_easy_strerror(code), sent,
			 (int)k, got);
}

static void no_failure(void **state)
{
	(void)state;
	sorted(CURLE_OK, false, ERR_NONE, false);
	sorted(CURLE_OK, true, ERR_NONE, false);
}

/* where another try cannot help whatever the network does */
static void permanent_ones(void **state)
{
	static const struct {
		CURLcode code;
		enum err_kind unsent, sent;
	} rows[] = {
		{ CURLE_PEER_FAILED_VERIFICATION, ERR_TLS, ERR_TLS },
		{ CURLE_SSL_CACERT_BADFILE, ERR_TLS, ERR_TLS },
		{ CURLE_SSL_CERTPROBLEM, ERR_TLS, ERR_TLS },
		{ CURLE_SSL_CIPHER, ERR_TLS, ERR_TLS },
		{ CURLE_SSL_ISSUER_ERROR, ERR_TLS, ERR_TLS },
		{ CURLE_SSL_CLIENTCERT, ERR_TLS, ERR_TLS },
		{ CURLE_URL_MALFORMAT, ERR_REQUEST, ERR_PROTOCOL },
		{ CURLE_UNSUPPORTED_PROTOCOL, ERR_REQUEST, ERR_PROTOCOL },
		{ CURLE_WEIRD_SERVER_REPLY, ERR_PROTOCOL, ERR_PROTOCOL },
		{ CURLE_BAD_CONTENT_ENCODING, ERR_PROTOCOL, ERR_PROTOCOL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		sorted(rows[i].code, false, rows[i].unsent, true);
		sorted(rows[i].code, true, rows[i].sent, true);
	}
}

static void passing_ones(void **state)
{
	static const struct {
		CURLcode code;
		enum err_kind kind;
	} rows[] = {
		{ CURLE_COULDNT_RESOLVE_HOST, ERR_UNREACHABLE },
		{ CURLE_COULDNT_RESOLVE_PROXY, ERR_UNREACHABLE },
		{ CURLE_PROXY, ERR_UNREACHABLE },
		{ CURLE_INTERFACE_FAILED, ERR_UNREACHABLE },
		{ CURLE_COULDNT_CONNECT, ERR_REFUSED }, /* no errno is known of this handle */
		{ CURLE_SSL_CONNECT_ERROR, ERR_TLS },
		{ CURLE_USE_SSL_FAILED, ERR_TLS },
		{ CURLE_SSL_ENGINE_INITFAILED, ERR_TLS },
		{ CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT },
		{ CURLE_OUT_OF_MEMORY, ERR_INTERNAL },
		{ CURLE_SEND_ERROR, ERR_PROVIDER },
		{ CURLE_RECV_ERROR, ERR_PROVIDER },
		{ CURLE_PARTIAL_FILE, ERR_PROVIDER },
		{ CURLE_GOT_NOTHING, ERR_PROVIDER },
		{ CURLE_HTTP2, ERR_PROVIDER },
		{ CURLE_HTTP2_STREAM, ERR_PROVIDER },
		{ CURLE_ABORTED_BY_CALLBACK, ERR_PROVIDER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		sorted(rows[i].code, false, rows[i].kind, false);
		sorted(rows[i].code, true, rows[i].kind, false);
	}
}

/* codes of another libcurl, or of none: a lost connection, and always with a verdict */
static void any_code_has_a_verdict(void **state)
{
	(void)state;
	for (int code = 1; code <= CURL_LAST + 10; code++) {
		for (int sent = 0; sent < 2; sent++) {
			bool permanent = true;
			enum err_kind k = http_code_kind(easy, (CURLcode)code, sent, &permanent);

			assert_true(k != ERR_NONE);
			assert_false(sent && k == ERR_REQUEST);
			if (k == ERR_PROVIDER || k == ERR_UNREACHABLE || k == ERR_TIMEOUT ||
			    k == ERR_REFUSED)
				assert_false(permanent);
		}
	}
	sorted((CURLcode)CURL_LAST, true, ERR_PROVIDER, false);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_failure),
		T(permanent_ones),
		T(passing_ones),
		T(any_code_has_a_verdict),
	};

	return cmocka_run_group_tests_name("http_code", tests, NULL, NULL);
}
