// How SIGINT, SIGTERM and SIGHUP end the process: at once, or after some that were only reported.
// Every handler here makes only calls that are safe in a handler: signal-safety(7).
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "llorch_system.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static atomic_bool line_is_open;
static atomic_int reporting_descriptor = -1;
static atomic_int requests_left;

void llorch_set_line_open(bool is_open) { atomic_store(&line_is_open, is_open); }

void llorch_clear_line(void) {
  static const char clear[] = "\r\33[2K";
  if (atomic_exchange(&line_is_open, false)) (void)!write(STDERR_FILENO, clear, sizeof clear - 1);
}

static void fill(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGHUP);
}

static void end(int number) {
  llorch_clear_line();
  // A shell wants to see that the signal ended the process.
  signal(number, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  raise(number);
  // Process 1 of a container is spared by the signals that it does not handle.
  _exit(128 + number);
}

static void report(int number) {
  int before = errno;
  if (atomic_fetch_sub(&requests_left, 1) <= 0) end(number);
  (void)!write(atomic_load(&reporting_descriptor), "", 1);
  errno = before;
}

static int handle(void (*handler)(int)) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction action = {0};
    if (numbers[i] == SIGHUP) {
      if (sigaction(SIGHUP, NULL, &action) != 0) return -1;
      if (action.sa_handler == SIG_IGN) continue;
    }
    action = (struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART};
    fill(&action.sa_mask);
    if (sigaction(numbers[i], &action, NULL) != 0) return -1;
  }
  // A parent may have blocked them.
  llorch_hold_signals(false);
  return 0;
}

int llorch_end_by_signals(void) { return handle(end); }

int llorch_report_signals(int descriptor, int requests) {
  atomic_store(&reporting_descriptor, descriptor);
  atomic_store(&requests_left, requests);
  return handle(report);
}

void llorch_hold_signals(bool is_held) {
  sigset_t set;
  fill(&set);
  pthread_sigmask(is_held ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}
