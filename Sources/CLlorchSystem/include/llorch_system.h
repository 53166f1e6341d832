// What Swift cannot do of a process: see its arguments without /proc, and handle signals with calls that are safe
// in a handler. What is made of it: LlorchSystem. Memory that runs out: CLlorchAllocation.
// SPDX-License-Identifier: Apache-2.0

#ifndef LLORCH_SYSTEM_H
#define LLORCH_SYSTEM_H

#include <stdbool.h>

/// The number of arguments that the C library handed over, the program's name included; 0 if it handed over none.
int llorch_argument_count(void);

/// One of them, 0 being the program's name.
const char *llorch_argument(int index);

/// Opens a descriptor that can neither be read nor written, as if it were closed; -1 with errno where that fails.
///
/// It needs no file: a process may see neither /dev nor /proc.
int llorch_open_placeholder(void);

/// Ends the process at once by SIGINT, SIGTERM and SIGHUP from now on, as process 1 of a container too.
///
/// SIGHUP stays ignored where it is (nohup). Returns -1 with errno where that fails.
int llorch_end_by_signals(void);

/// Writes a byte to `descriptor` for each of the first `requests` of these signals; the next one ends the process.
int llorch_report_signals(int descriptor, int requests);

/// Says whether a line on standard error is redrawn just now, and must be cleared before the process ends.
void llorch_set_line_open(bool is_open);

/// Clears the line that is redrawn, if there is one; safe in a signal handler.
void llorch_clear_line(void);

/// Holds SIGINT, SIGTERM and SIGHUP back from this thread, or lets them come.
void llorch_hold_signals(bool is_held);

#endif
