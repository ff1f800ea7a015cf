/*
 * main/detect.h - which model answers where nobody named one, and what the choices are
 *
 * Chosen only where there is no doubt who pays: the one key is Mistral's, or there is no key and one
 * local server answers. No key is sent to find out.
 * Threads: main's only. Blocks: a moment on servers of this machine.
 * Source: the interface page, Command line.
 */
#ifndef MAIN_DETECT_H
#define MAIN_DETECT_H

#include "base/buf.h"
#include "base/err.h"
#include "main/config.h"

/* detect_probe_fn - GET url, append the body; 0 or negative errno; tests bring their own */
typedef int detect_probe_fn(const char *url, struct buf *out);
int detect_probe(const char *url, struct buf *out);

struct detect {
	char *model;   /* BACKEND/MODEL, aliases resolved; NULL: none without doubt */
	char *choices; /* "mistral/mistral-small-latest, vllm/Qwen/Qwen3-0.6B, echo/echo" */
	char *names;   /* backends that can be used now, separated by ", " */
};

/* detect_model - -ENXIO: no backend at all, or the model names none; -EINVAL: no BACKEND/MODEL */
int detect_model(const struct config *c, detect_probe_fn *probe, struct detect *out, struct err *e);
void detect_done(struct detect *d);

#endif
