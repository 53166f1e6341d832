// Vectors of VECTOR_LANES floats or integers, and the fixed conversions between number formats. Included by
// each level's file after it has said how wide its vectors are.
// SPDX-License-Identifier: Apache-2.0

#include <stdint.h>
#include <string.h>

#include "llorch_kernels.h"

// a * b + c must never become one operation unless it is written as fma.
#pragma clang fp contract(off)

typedef float vector __attribute__((vector_size(VECTOR_LANES * 4), aligned(4), may_alias));
typedef int32_t integers __attribute__((vector_size(VECTOR_LANES * 4), aligned(4), may_alias));
typedef uint32_t naturals __attribute__((vector_size(VECTOR_LANES * 4), aligned(4), may_alias));
typedef uint16_t halves __attribute__((vector_size(VECTOR_LANES * 2), aligned(2), may_alias));
typedef int8_t bytes __attribute__((vector_size(VECTOR_LANES), aligned(1), may_alias));

#define INLINE static inline __attribute__((always_inline))
enum { VECTORS_PER_LANES = LLK_LANES / VECTOR_LANES };

INLINE vector load(const float *p) { return *(const vector *)p; }
INLINE void store(float *p, vector v) { *(vector *)p = v; }
INLINE integers load_integers(const void *p) { return *(const integers *)p; }
INLINE vector splat(float x) { return x - (vector){}; }
INLINE integers splat_integer(int32_t x) { return x - (integers){}; }
INLINE vector fma_(vector a, vector b, vector c) { return __builtin_elementwise_fma(a, b, c); }
INLINE vector choose(integers mask, vector a, vector b) {
    return (vector)(((integers)a & mask) | ((integers)b & ~mask));
}

// The lanes of two vectors in turn: of their first halves, and of their second ones.
#if VECTOR_LANES == 4
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#elif VECTOR_LANES == 8
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define ZIP_LOW(a, b) \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HIGH(a, b) \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#endif

// |x|, and 0 for NaN. A compiler may make a maximum of a comparison, and aarch64's answers NaN where one operand is
// a signalling NaN and the number where it is a quiet one; so NaN goes first.
INLINE vector magnitude_of(vector x) {
    return (vector)((naturals)x & 0x7fffffff & (naturals)(x == x));
}

INLINE int32_t load_integer(const void *p) {
    int32_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

INLINE float load_float(const void *p) {
    float value;
    memcpy(&value, p, sizeof value);
    return value;
}

// 1.5 · 2^23: adding it to |x| < 2^22 rounds x to an integer, ties to even, in the low bits of the sum.
#define ROUNDING_MAGIC 12582912.0f

// MARK: - IEEE 754 halves. Never infinite, never NaN here: `narrow_halves` saturates.

enum { HALF_MAXIMUM = 65504 };

// A half has the exponent bias 15, a float 127; scaling by 2^112 after moving the bits covers subnormals too.
INLINE vector widen_halves_portably(const uint16_t *p) {
    const naturals bits = __builtin_convertvector(*(const halves *)p, naturals);
    const vector magnitude = (vector)((bits & 0x7fff) << 13) * splat(0x1p112f);
    return (vector)((naturals)magnitude | (bits & 0x8000) << 16);
}

// To nearest, ties to even; ±65504 for what is larger, and −65504 for NaN.
INLINE naturals narrow_halves(vector x) {
    const vector limit = splat(HALF_MAXIMUM);
    x = choose((integers)(x > -limit), x, -limit);
    x = choose((integers)(x < limit), x, limit);
    const naturals sign = (naturals)x & 0x80000000;
    const vector magnitude = (vector)((naturals)x ^ sign);
    // Normal halves: round the 13 bits that go, by adding half of their unit less the tie's parity.
    const naturals bits = (naturals)magnitude;
    const naturals normal = (bits + 0xfff + ((bits >> 13) & 1) - 0x38000000) >> 13;
    // Below 2^-14: adding 0.5 leaves units of 2^-24 in the low bits of the sum.
    const naturals small = (naturals)(magnitude + splat(0.5f)) - 0x3f000000;
    const naturals is_small = (naturals)(magnitude < splat(0x1p-14f));
    return (small & is_small) | (normal & ~is_small) | sign >> 16;
}
