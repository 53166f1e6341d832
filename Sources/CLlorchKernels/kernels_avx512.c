// 512-bit vectors, 32 registers. f32: 6 rows × 4 vectors of sums, 4 of weights, x from memory.
// A prefetch of 4 KiB ahead is worth a tenth of the bandwidth on a Zen 4.
// SPDX-License-Identifier: Apache-2.0

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#define VECTOR_LANES 16
#include "vectors.h"

#define TILE_ROWS 6
#define TILE_VECTORS 4
#define BF16_PANEL_VECTORS 4
#define F32_PREFETCH 4096
#define BF16_PREFETCH 4096
#define Q8_PREFETCH 4096
#define Q4_PREFETCH 4096

INLINE vector widen_halves(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

#define LLK_QUANTIZED_VECTORS 4
#define Q8_TILE_ROWS 4
#define Q8_TILE_VECTORS 4
#define Q4_TILE_ROWS 4
#define Q4_TILE_VECTORS 4

// vpdpbusd adds four products of unsigned with signed bytes to a 32-bit lane: weights are stored with 128 added,
// and a block's sum starts from −128 · Σx.
#define HAS_MAGNITUDES 0
#define Q8_OFFSET 128
#define CORRECTS(bits) 1
#define CORRECTION_8(sum) (-128 * (sum))
#define CORRECTION_4(sum) (-8 * (sum))
#define DOT_4(sum, w, x) \
    ((integers)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(w), (__m512i)(x)))
#define DOT_8(sum, w, x, magnitude) ((void)(magnitude), DOT_4(sum, w, x))
#define TOTAL_4(sum) (sum)

#define KERNELS_NAME llk_kernels_avx512
#include "kernels_table.h"
#pragma clang attribute pop
#endif
