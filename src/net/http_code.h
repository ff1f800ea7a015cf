/*
 * net/http_code.h - libcurl's result codes, sorted for people
 *
 * Private to net/. Threads: the loop thread. Blocks: never.
 */
#ifndef NET_HTTP_CODE_H
#define NET_HTTP_CODE_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/err.h"

/* http_code_kind - what a transfer's end means; sent: the connection stood; *out_permanent: trying again cannot
 * help */
enum err_kind http_code_kind(CURL *easy, CURLcode code, bool sent, bool *out_permanent);

#endif
