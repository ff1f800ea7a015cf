/*
 * tests/lib/contract.c - the dialects of the contract tests, and files of what is expected of them
 */
#include "contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/canon.h"
#include "infer/registry.h"

#define TEXT_MAX (16u << 20)

const struct contract_dialect contract_dialects[] = {
	{ "mistral", "mistral", "https://api.mistral.ai", "mistral-small-latest", "mistral",
	  BACKEND_OPENAI, true },
	{ "openai", "openai", "https://api.openai.com/v1", "gpt-4.1", "openai", BACKEND_OPENAI,
	  true },
	/* somebody else's server at openai's type: only what every imitation knows */
	{ "compatible", "openai", "https://llm.example/v1", "model", "compatible", BACKEND_OPENAI,
	  false },
	{ "vllm", "openai", "http://localhost:8000/v1", "Qwen/Qwen3-8B", "vllm", BACKEND_VLLM,
	  true },
	{ "llamacpp", "openai", "http://127.0.0.1:8080/v1", "qwen3", "llamacpp", BACKEND_LLAMACPP,
	  true },
	{ "ollama", "ollama", "http://127.0.0.1:11434", "qwen3:8b", "ollama", BACKEND_OPENAI,
	  true },
	{ "gemini", "gemini", "https://generativelanguage.googleapis.com", "gemini-3.8-flash",
	  "gemini", BACKEND_OPENAI, true },
	{ "anthropic", "anthropic", "https://api.anthropic.com", "claude-sonnet-4-6", "anthropic",
	  BACKEND_OPENAI, true },
};
const size_t contract_dialects_n = sizeof(contract_dialects) / sizeof(contract_dialects[0]);

struct backend_config contract_config(const struct contract_dialect *d)
{
	return (struct backend_config){
		.name = (char *)(uintptr_t)d->name,
		.type = registry_type(d->type),
		.dialect = d->dialect,
		.at = { .url = (char *)(uintptr_t)d->url, .default_url = d->default_url },
	};
}

json_t *contract_json(const char *path)
{
	json_error_t e;
	json_t *o = json_load_file(path, JSON_REJECT_DUPLICATES, &e);

	if (!o) {
		fprintf(stderr, "%s:%d: %s\n", path, e.line, e.text);
		exit(1);
	}
	return o;
}

char *contract_text(const json_t *v)
{
	struct buf b = BUF_INIT(TEXT_MAX);

	assert_int_equal(canon_write(v, &b), 0);
	return buf_steal(&b, NULL);
}

void contract_open(struct contract_book *b, const char *name, bool write)
{
	memset(b, 0, sizeof(*b));
	snprintf(b->path, sizeof(b->path), CONTRACT_DATA "%s.json", name);
	b->write = write;
	b->want = write ? json_object() : contract_json(b->path);
	b->got = json_object();
}

void contract_check(struct contract_book *b, const char *name, const char *part, json_t *take_got)
{
	const json_t *want = json_object_get(json_object_get(b->want, name), part);
	json_t *mine = json_object_get(b->got, name);
	char *text, *wanted;

	assert_non_null(take_got);
	if (!mine) {
		mine = json_object();
		json_object_set_new(b->got, name, mine);
	}
	json_object_set_new(mine, part, take_got);
	if (b->write)
		return;
	text = contract_text(take_got);
	wanted = want ? contract_text(want) : strdup("nothing");
	if (strcmp(text, wanted) != 0)
		fail_msg("%s: %s: %s\nnow  %s\nfile %s", b->path, name, part, text, wanted);
	free(text);
	free(wanted);
}

/* ---- the file ---- */

static void write_name(FILE *f, const char *name)
{
	json_t *v = json_string(name);
	char *text = json_dumps(v, JSON_ENCODE_ANY);

	fputs(text, f);
	free(text);
	json_decref(v);
}

static void write_parts(FILE *f, const json_t *parts)
{
	const char *comma = "", *part;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)parts, part, v) {
		char *text = contract_text(v);

		fprintf(f, "%s\n  ", comma);
		write_name(f, part);
		fprintf(f, ": %s", text);
		comma = ",";
		free(text);
	}
}

static void write_book(const struct contract_book *b)
{
	FILE *f = fopen(b->path, "w");
	const char *comma = "", *name;
	json_t *parts;

	if (!f) {
		perror(b->path);
		exit(1);
	}
	fputs("{", f);
	json_object_foreach(b->got, name, parts) {
		fprintf(f, "%s\n ", comma);
		write_name(f, name);
		fputs(": {", f);
		write_parts(f, parts);
		fputs("\n }", f);
		comma = ",";
	}
	fputs("\n}\n", f);
	fclose(f);
}

static size_t count_strays(const struct contract_book *b)
{
	const char *name, *part;
	json_t *parts, *v;
	size_t n = 0;

	json_object_foreach(b->want, name, parts) {
		json_object_foreach(parts, part, v) {
			if (json_object_get(json_object_get(b->got, name), part))
				continue;
			fprintf(stderr, "%s: %s: %s: nothing does this any more\n", b->path, name,
				part);
			n++;
		}
	}
	return n;
}

size_t contract_close(struct contract_book *b)
{
	size_t strays = 0;

	if (b->write)
		write_book(b);
	else
		strays = count_strays(b);
	json_decref(b->want);
	json_decref(b->got);
	memset(b, 0, sizeof(*b));
	return strays;
}
