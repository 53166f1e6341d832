// Counts what the process takes from the heap. A program that links this has its malloc family
// replaced by one that counts and then calls glibc's own.
// SPDX-License-Identifier: Apache-2.0

#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

// Calls of malloc, calloc, realloc, memalign and their kin since the start, by any thread.
uint64_t allocation_count(void);

// Bytes those calls asked for.
uint64_t allocation_bytes(void);

// While true, each allocation prints the calls that led to it to standard error.
void allocation_show(bool isShown);

#endif
