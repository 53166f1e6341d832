// The arguments of the process, and a descriptor that stands for a closed one.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "llorch_system.h"

#include <fcntl.h>
#include <stddef.h>

static int count;
static char **arguments;

// The C library hands the arguments to every constructor. Swift looks for them near the environment, by the map in
// /proc/self/maps: a process may have no /proc, and a preloaded library may have moved the environment.
__attribute__((constructor)) static void remember_arguments(int argc, char **argv) {
  if (argc < 0 || argv == NULL) return;
  count = argc;
  arguments = argv;
}

int llorch_argument_count(void) { return count; }

const char *llorch_argument(int index) {
  return index >= 0 && index < count ? arguments[index] : NULL;
}

int llorch_open_placeholder(void) { return open("/", O_PATH); }
