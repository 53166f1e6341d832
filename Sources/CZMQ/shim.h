// The only door to libzmq. A shim that is added here says why Swift needs it.
// SPDX-License-Identifier: Apache-2.0
#ifndef LLORCH_CZMQ_SHIM_H
#define LLORCH_CZMQ_SHIM_H

#include <zmq.h>

// zmq.h shows this option among the drafts only; released builds of libzmq from 4.3 on know it.
enum { LLORCH_ZMQ_ZAP_ENFORCE_DOMAIN = 93 };

#endif
