/*
 * fuzz_config.c - config.ini and -o words: whatever stands there, it is taken or refused with a sentence
 *
 * The first byte chooses: the text is a file, or one -o argument whose words are then settings.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "main/config.h"
#include "main/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load(const struct config_source *src)
{
	struct config *c = NULL;
	struct err e = { 0 };
	int rc = config_load(src, &c, &e);

	assert(rc <= 0);
	assert((rc == 0) == (c != NULL));
	assert(rc == 0 || e.message[0]);
	for (size_t i = 0; c && i < c->n_backends; i++)
		assert(c->backends[i].name && c->backends[i].type);
	config_free(c);
	log_close(); /* the secrets of one input are not the next one's */
}

static void words(const char *text)
{
	char *arg = strdup(text);
	char *argv[] = { (char[]){ "inferfs" }, (char[]){ "-o" }, arg, (char[]){ "m" }, NULL };
	struct options o = { 0 };
	struct err e = { 0 };
	int rc = options_parse(4, argv, &o, &e);

	assert(rc == 0 || e.message[0]);
	if (rc == 0) {
		struct config_source src = { .settings = o.settings, .n_settings = o.n_settings };

		load(&src);
	}
	options_done(&o);
	free(arg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	setenv("HOME", "/home/someone", 1);
	if (!size)
		return 0;
	text = str_dup_n((const char *)data + 1, size - 1);
	if (data[0] == 'o')
		words(text);
	else
		load(&(struct config_source){ .path = "c.ini", .text = text, .len = size - 1 });
	free(text);
	return 0;
}
