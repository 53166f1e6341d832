// 128-bit vectors, 32 registers, and the dot product of bytes (FEAT_DotProd: Armv8.2 and later). f32: 6 rows × 4
// vectors of sums, 4 of weights, x from memory.
// Streams are left to the hardware's prefetch.
// SPDX-License-Identifier: Apache-2.0

#if defined(__aarch64__)
#include <arm_neon.h>

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#define VECTOR_LANES 4
#include "vectors.h"

#define TILE_ROWS 6
#define TILE_VECTORS 4
#define BF16_PANEL_VECTORS 8
#define F32_PREFETCH 0
#define BF16_PREFETCH 0
#define Q8_PREFETCH 0
#define Q4_PREFETCH 0

INLINE vector widen_halves(const uint16_t *p) {
    return (vector)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

#define LLK_QUANTIZED_VECTORS 8
#define Q8_TILE_ROWS 4
#define Q8_TILE_VECTORS 4
#define Q4_TILE_ROWS 4
#define Q4_TILE_VECTORS 4

// sdot adds four products of signed bytes to a 32-bit lane: weights of q8 are what they are, nibbles of q4 are 0 … 15
// and a block's sum starts from −8 · Σx.
#define HAS_MAGNITUDES 0
#define Q8_OFFSET 0
#define CORRECTS(bits) ((bits) == 4)
#define CORRECTION_8(sum) 0
#define CORRECTION_4(sum) (-8 * (sum))
#define DOT_4(sum, w, x) \
    ((integers)vdotq_s32((int32x4_t)(sum), (int8x16_t)(w), (int8x16_t)(x)))
#define DOT_8(sum, w, x, magnitude) ((void)(magnitude), DOT_4(sum, w, x))
#define TOTAL_4(sum) (sum)

#define KERNELS_NAME llk_kernels_neon
#include "kernels_table.h"
#pragma clang attribute pop
#endif
