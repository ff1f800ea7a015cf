/*
 * tests/lib/contract.h - the dialects of the contract tests, and files of what is expected of them
 *
 *   1. contract_open    tests/data/contract/NAME.json; with `write` it is made anew
 *   2. contract_check   a member of it is exactly this
 *   3. contract_close   with `write`: now it is written; else: was every member of it checked?
 *
 * A file is an object with a line for each leaf that a person wants to compare with a protocol page.
 */
#ifndef TESTS_CONTRACT_H
#define TESTS_CONTRACT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "infer/backend.h"

#define CONTRACT_DATA "tests/data/contract/"

struct contract_dialect {
	const char *name; /* of the file, and of the section */
	const char *type, *url, *model;
	const char *provider; /* whose description the bodies are held against */
	enum backend_dialect dialect;
	bool default_url;
};

extern const struct contract_dialect contract_dialects[];
extern const size_t contract_dialects_n;

/* contract_config - nothing in it is to be freed */
struct backend_config contract_config(const struct contract_dialect *d);

/* contract_json - a file as JSON; ends the program with a sentence when it cannot be read */
json_t *contract_json(const char *path);
/* contract_text - canonical JSON; the caller's */
char *contract_text(const json_t *v);

struct contract_book {
	char path[256];
	json_t *want, *got;
	bool write;
};

void contract_open(struct contract_book *b, const char *name, bool write);
/* contract_check - take_got is what there is now; fails the cmocka test when it is not the file's `part` of
 * `name`, byte for byte in canonical form */
void contract_check(struct contract_book *b, const char *name, const char *part, json_t *take_got);
/* contract_close - returns how many members of the file nobody asked for, and names them */
size_t contract_close(struct contract_book *b);

#endif
