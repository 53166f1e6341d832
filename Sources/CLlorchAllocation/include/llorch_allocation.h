// The malloc family of the programs, and pthread_create: they end the process with one sentence where memory or
// threads run out, because Swift's runtime and libzmq would end it with a crash. Programs have it by LlorchCommandLine; the library LlorchEngine does not.
// SPDX-License-Identifier: Apache-2.0

#ifndef LLORCH_ALLOCATION_H
#define LLORCH_ALLOCATION_H

#include <stddef.h>

/// Writes to standard error that `size` more bytes are not to be had, and ends the process with status 1.
_Noreturn void llorch_end_without_memory(size_t size);

#endif
