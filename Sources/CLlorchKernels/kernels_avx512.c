// 512-bit vectors, 32 registers: 6 rows × 4 vectors of sums, 4 of weights, x from memory.
// A prefetch of 4 KiB ahead is worth a tenth of the bandwidth on a Zen 4.
// SPDX-License-Identifier: Apache-2.0

#if defined(__x86_64__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx2,fma"))), apply_to = function)
#define VECTOR_LANES 16
#define TILE_ROWS 6
#define TILE_VECTORS 4
#define PREFETCH 4096
#define KERNELS_NAME llk_kernels_avx512
#include "kernels_body.h"
#pragma clang attribute pop
#endif
