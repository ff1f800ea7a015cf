/* Named barriers; see gate.h. */
#include "gate.h"

#include <stdio.h>
#include <string.h>

#define GATES 512

static struct gate gates[GATES];
static unsigned epoch;

struct gate *gate_get(const char *name)
{
	for (unsigned i = 0; i < GATES; i++) {
		if (!gates[i].name[0]) {
			snprintf(gates[i].name, sizeof(gates[i].name), "%s", name);
			return &gates[i];
		}
		if (!strncmp(gates[i].name, name, sizeof(gates[i].name) - 1))
			return &gates[i];
	}
	return NULL;
}

void gate_reset(void)
{
	memset(gates, 0, sizeof(gates));
	epoch++;
}

unsigned gate_epoch(void)
{
	return epoch;
}
