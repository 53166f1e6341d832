// SPDX-License-Identifier: Apache-2.0
#ifndef LLORCH_KERNELS_H
#define LLORCH_KERNELS_H
#endif
