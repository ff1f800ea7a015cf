/*
 * main/readme.h - the README.md at the top of a mount, written for its configuration
 *
 * Threads: main's only. Blocks: never.
 */
#ifndef MAIN_README_H
#define MAIN_README_H

#include "base/buf.h"
#include "main/config.h"
#include "main/detect.h"

struct readme_facts {
	const char *mountpoint;
	const struct config *config;
	const struct detect *detect;
};

#define README_MAX (256u << 10) /* bytes */

/* readme_text - append it; 0, -ENOMEM, -EFBIG */
int readme_text(const struct readme_facts *f, struct buf *out);

#endif
