/*
 * main/backends.h - from sections and the environment to backends
 *
 * Every [backend NAME] becomes one, and so does every built-in name without a section: mistral, openai,
 * vllm, llamacpp, ollama, echo. Keys and addresses of those come from the environment.
 * Threads: main's only. Blocks: on key files.
 */
#ifndef MAIN_BACKENDS_H
#define MAIN_BACKENDS_H

#include <stdbool.h>

#include "base/err.h"
#include "infer/backend.h"

struct config;
struct config_backend;

/* backends_name_ok - letters, digits and . _ -, no leading dot: it is a directory's name too */
bool backends_name_ok(const char *name);
/* backends_build - fills c->backends; takes the sections' contents; 0 or negative errno */
int backends_build(struct config *c, const char *file, struct err *e);
/* backends_done - frees what a section or a backend holds */
void backends_done(struct backend_config *b);
void backends_section_done(struct config_backend *s);
/* backends_loopback - an address of this machine: no name of somebody else's proxy */
bool backends_loopback(const char *url);
/* backends_local_port - the port of a loopback URL; 0: not one */
unsigned backends_local_port(const char *url);

#endif
