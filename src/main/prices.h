/*
 * main/prices.h - the price list of this mount: the built-in one, or the user's instead
 *
 * Threads: any. Blocks: on the file.
 */
#ifndef MAIN_PRICES_H
#define MAIN_PRICES_H

#include "base/err.h"
#include "core/price.h"

#define PRICES_FILE_MAX (8u << 20) /* bytes */

/* prices_load - file NULL: the built-in list. Errors: negative errno and a sentence that names the file */
int prices_load(const char *file, struct price_list **out, struct err *e);

#endif
