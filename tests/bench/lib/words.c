/*
 * tests/bench/lib/words.c - prompts of one length
 */
#include <stdio.h>
#include <string.h>

#include "bench/lib/bench.h"

void words_prompt(char kind, size_t i, char out[WORDS_PROMPT + 1])
{
	static const char filler[] = "the quick answer needs a slow question and ";
	int n = snprintf(out, WORDS_PROMPT + 1, "%c question number %08zu: ", kind, i);

	for (size_t at = (size_t)n; at < WORDS_PROMPT; at++)
		out[at] = filler[(at - (size_t)n) % (sizeof(filler) - 1)];
	out[WORDS_PROMPT - 1] = '?';
	out[WORDS_PROMPT] = '\0';
}

char *words_document(char kind, size_t i, size_t *out_len)
{
	char prompt[WORDS_PROMPT + 1];
	char *s;

	words_prompt(kind, i, prompt);
	s = bench_fmt("{\"prompt\":\"%s\"}\n", prompt);
	*out_len = strlen(s);
	return s;
}

char *words_echo(char kind, size_t i, size_t *out_len)
{
	char prompt[WORDS_PROMPT + 1];
	char *s;

	words_prompt(kind, i, prompt);
	s = bench_fmt("You said: %s\n", prompt);
	*out_len = strlen(s);
	return s;
}
