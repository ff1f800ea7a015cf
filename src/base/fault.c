/* fault.c - see fault.h */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

#include "base/banned.h"

static char armed[64]; /* written before there are threads */
static atomic_long left;

void fault_init(void)
{
	const char *spec = getenv("INFERFS_FAULT");
	const char *colon = spec ? strchr(spec, ':') : NULL;

	if (!colon || (size_t)(colon - spec) >= sizeof(armed))
		return;
	memcpy(armed, spec, (size_t)(colon - spec));
	armed[colon - spec] = 0;
	atomic_init(&left, strtol(colon + 1, NULL, 10));
}

void fault_at(const char *point)
{
	if (!armed[0] || strcmp(armed, point) != 0)
		return;
	if (atomic_fetch_sub(&left, 1) == 1)
		(void)kill(getpid(), SIGKILL);
}
