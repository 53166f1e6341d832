// The level every processor has: 128-bit vectors; the fused multiply-add is the C library's where the
// instruction is missing.
// SPDX-License-Identifier: Apache-2.0

#define VECTOR_LANES 4
#define TILE_ROWS 4
#define TILE_VECTORS 4
#define PREFETCH 0
#define KERNELS_NAME llk_kernels_generic
#include "kernels_body.h"
