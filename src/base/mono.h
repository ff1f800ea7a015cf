/*
 * mono.h - clocks; deadlines count on the monotonic one, so a jump of the wall clock moves none
 *
 * Threads: any. Blocks: never.
 */
#ifndef BASE_MONO_H
#define BASE_MONO_H

#include <stdint.h>

#define MONO_MS 1000000ULL
#define MONO_S	1000000000ULL

/* mono_ns - CLOCK_MONOTONIC in nanoseconds (or the test clock) */
uint64_t mono_ns(void);
/* mono_real_ns - CLOCK_REALTIME in nanoseconds since 1970 (or the test clock) */
uint64_t mono_real_ns(void);
/* mono_test_set - tests only: both clocks stand still at these values; 0, 0: real clocks again */
void mono_test_set(uint64_t mono, uint64_t real);

#endif
