// 256-bit vectors, 16 registers. f32: 6 rows × 2 vectors of sums, 2 of weights, 1 of x.
// Bytes ahead measured on a Zen 3: f32 is best left to the hardware (20 against 17 GB/s), 4 bits gain most
// (16 to 20 GB/s).
// SPDX-License-Identifier: Apache-2.0

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define VECTOR_LANES 8
#include "vectors.h"

#define TILE_ROWS 6
#define TILE_VECTORS 2
#define BF16_PANEL_VECTORS 4
#define F32_PREFETCH 0
#define BF16_PREFETCH 1024
#define Q8_PREFETCH 1024
#define Q4_PREFETCH 2048

INLINE vector widen_halves(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

#define LLK_QUANTIZED_VECTORS 4
#define Q8_TILE_ROWS 2
#define Q8_TILE_VECTORS 4
#define Q4_TILE_ROWS 4
#define Q4_TILE_VECTORS 2

// vpmaddubsw multiplies unsigned with signed bytes and saturates sums of two. Signs move from x to w, so both
// factors are at most 128 and a sum of two at most 32,512.
#define HAS_MAGNITUDES 1
#define Q8_OFFSET 0
#define CORRECTION_8(sum) 0
INLINE integers dot_8(integers sum, integers w, integers x, integers magnitude) {
    const __m256i pairs = _mm256_maddubs_epi16(
        (__m256i)magnitude, _mm256_sign_epi8((__m256i)w, (__m256i)x));
    return sum + (integers)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
#define DOT_8(sum, w, x, magnitude) dot_8(sum, w, x, magnitude)

// Nibbles are at most 15, so sums of a whole block fit 16 bits: 15 · 127 · 16 = 30,480. Each 32-bit lane keeps
// two sums, which both start from −4 · Σx (the offset of 8, halved); that never leaves 16 bits either.
#define CORRECTS(bits) ((bits) == 4)
#define CORRECTION_4(sum) ((int32_t)((uint32_t)(uint16_t)(-4 * (sum)) * 0x10001u))
INLINE integers dot_4(integers sum, integers w, integers x) {
    return (integers)_mm256_add_epi16(
        (__m256i)sum, _mm256_maddubs_epi16((__m256i)w, (__m256i)x));
}
#define DOT_4(sum, w, x) dot_4(sum, w, x)
#define TOTAL_4(sum) ((integers)_mm256_madd_epi16((__m256i)(sum), _mm256_set1_epi16(1)))

#define KERNELS_NAME llk_kernels_avx2
#include "kernels_table.h"
#pragma clang attribute pop
#endif
