/*
 * mono.c - clocks that tests can stop
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "base/mono.h"

#include "base/banned.h"

static atomic_bool test_on;
static _Atomic uint64_t test_mono, test_real;

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t); /* cannot fail: both clocks exist on every Linux */
	return (uint64_t)t.tv_sec * MONO_S + (uint64_t)t.tv_nsec;
}

uint64_t mono_ns(void)
{
	return atomic_load(&test_on) ? atomic_load(&test_mono) : read_clock(CLOCK_MONOTONIC);
}

uint64_t mono_real_ns(void)
{
	return atomic_load(&test_on) ? atomic_load(&test_real) : read_clock(CLOCK_REALTIME);
}

void mono_test_set(uint64_t mono, uint64_t real)
{
	atomic_store(&test_mono, mono);
	atomic_store(&test_real, real);
	atomic_store(&test_on, mono || real);
}
