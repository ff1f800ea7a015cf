/*
 * infer/target.h - where a backend's requests go: its key and header lines, proxy, certificates, time limits
 *
 * Threads: any. Blocks: never.
 */
#ifndef INFER_TARGET_H
#define INFER_TARGET_H

#include "infer/backend.h"
#include "net/http.h"

enum target_kind {
	TARGET_CALLS, /* JSON out, JSON or events in */
	TARGET_FILES, /* each request says what it carries */
	TARGET_STRANGERS /* a host that the backend has sent us to: neither the key nor the user's lines */
};

/* target_new - NULL: out of memory; http_target_free lets it go */
struct http_target *target_new(const struct backend_config *c, enum target_kind kind);

#endif
