/*
 * main/options.h - the command line: inferfs [options] MOUNTPOINT, and as mount(8) calls it
 *
 *   inferfs [options] MOUNTPOINT
 *   inferfs SOURCE MOUNTPOINT -o OPTIONS     SOURCE: a configuration file or "none"
 *
 * -o words are sorted here: ours become settings over the configuration file, libfuse's are handed
 * on as they were written, what fstab carries for others is dropped, and a word that looks like a
 * misspelt one of ours is an error.
 * Threads: main's only. Blocks: never.
 */
#ifndef MAIN_OPTIONS_H
#define MAIN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "main/config.h"

struct options {
	char *source, *mountpoint; /* source NULL: none was given */
	char *config, *state;	   /* NULL: not given */
	bool foreground, debug, help, version;
	struct config_setting *settings; /* keys of [inferfs]; strings owned */
	size_t n_settings;
	char **fuse_opts; /* NULL-terminated */
	size_t n_fuse_opts;
};

/* options_parse - 0, or -EINVAL with a sentence: a usage error, exit 2 */
int options_parse(int argc, char **argv, struct options *out, struct err *e);
void options_done(struct options *o);
/* options_help - the text of -h */
const char *options_help(void);
/* options_config_path - which file was named: -o config, else SOURCE; NULL: none */
const char *options_config_path(const struct options *o);

#endif
