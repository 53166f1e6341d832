"""Odd surroundings for a program: no /proc, process 1 of a container, a preloaded library.

Namespaces need root or permission for unprivileged ones; where that is missing, what is missing is said.
"""
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import shlex
import shutil
import subprocess
import time

HIDING = """
// As some preloaded libraries do: the environment is copied, so that it no longer lies behind the arguments. And the
// memory map, in which Swift's library looks for the arguments, cannot be read.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
extern char **environ;
FILE *fopen(const char *path, const char *mode) {
  if (strcmp(path, "/proc/self/maps") == 0) {
    errno = ENOENT;
    return NULL;
  }
  FILE *(*next)(const char *, const char *) = dlsym(RTLD_NEXT, "fopen");
  return next(path, mode);
}
__attribute__((constructor)) static void move(void) {
  int count = 0;
  while (environ[count]) count++;
  char **copy = calloc(count + 1, sizeof *copy);
  for (int i = 0; i < count; i++) copy[i] = strdup(environ[i]);
  environ = copy;
}
"""


def tool(name, package):
    # Where Debian has servers, which is in root's PATH only.
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    assert path, f"{name} is not there: apt-get install {package}"
    return path


def unshare(*flags):
    """The beginning of a command line that runs a program in new namespaces."""
    prefix = [tool("unshare", "util-linux"), "--map-root-user", *flags]
    done = subprocess.run([*prefix, "true"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (
        f"namespaces are not permitted here ({done.stderr.strip()}); run as root, or: "
        "sysctl kernel.unprivileged_userns_clone=1")
    return prefix


def without_proc(command):
    line = shlex.join(map(str, command))
    return [*unshare("--mount"), "sh", "-c", f"mount -t tmpfs none /proc && exec {line}"]


def as_process_1(command):
    return [*unshare("--pid", "--fork", "--kill-child"), *map(str, command)]


def preload_that_hides_arguments(directory):
    source, library = directory / "hiding.c", directory / "hiding.so"
    source.write_text(HIDING)
    subprocess.run([tool("cc", "gcc"), "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    return library


def child_of(process, seconds):
    """The number of the one child that a process has."""
    end = time.monotonic() + seconds
    path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while time.monotonic() < end:
        if numbers := path.read_text().split():
            return int(numbers[0])
    raise AssertionError(f"{process.args} has no child after {seconds} s")
