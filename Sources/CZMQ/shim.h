// The only door to libzmq. Nothing but its own header; a shim that is added here says why Swift needs it.
// SPDX-License-Identifier: Apache-2.0
#ifndef LLORCH_CZMQ_SHIM_H
#define LLORCH_CZMQ_SHIM_H

#include <zmq.h>

#endif
