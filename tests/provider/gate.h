/*
 * Named barriers. A closed barrier comes into being when somebody first names it; once
 * released it stays open until the next reset.
 */
#ifndef PROVIDER_GATE_H
#define PROVIDER_GATE_H

#include <stdbool.h>

/* `waiting` counts the connections held here now; call.c keeps it. */
struct gate {
	char name[64];
	bool open;
	unsigned waiting;
};

/* Finds or makes; the address stays valid for ever. NULL when all places are taken. */
struct gate *gate_get(const char *name);
/* Opens every gate and forgets the names; held connections see the new epoch and go on. */
void gate_reset(void);
/* Changes with each reset: what was held before it must not be held after it. */
unsigned gate_epoch(void);

#endif
