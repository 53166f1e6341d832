// Seeded inputs of the parity program: the same bits on every machine, so made of integers and single,
// correctly rounded operations.
// SPDX-License-Identifier: Apache-2.0

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint64_t state;

// SplitMix64: https://prng.di.unimi.it/splitmix64.c
static uint64_t next(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static ptrdiff_t between(ptrdiff_t low, ptrdiff_t high) {
    return low + (ptrdiff_t)((next() >> 16) % (uint64_t)(high - low + 1));
}

typedef enum {
    INPUT_PLAIN,      // ±4
    INPUT_WIDE,       // 2^-40 … 2^20, some ±0
    INPUT_SUBNORMAL,  // around the smallest normal number, some ±0
    INPUT_TINY,       // below all normal numbers
    INPUT_LARGE,      // to 2^60: squares overflow nothing
    INPUT_FINITE_KINDS,
    INPUT_RANGE = INPUT_FINITE_KINDS,  // ±110: all that exp tells apart
    INPUT_SPECIAL,                     // plain, and among them infinities, quiet and signalling NaN, limits
    INPUT_ANY,                         // any bits
    INPUT_KINDS
} input_kind;

static float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float uniform(float limit) {
    return (float)((int32_t)(next() >> 40) - 0x800000) * 0x1p-23f * limit;
}

static float of_exponents(int low, int high) {
    const uint32_t exponent = (uint32_t)between(127 + low, 127 + high);
    const uint32_t rest = (uint32_t)(next() >> 32) & 0x807fffff;
    return from_bits(exponent << 23 | rest);
}

static float input(input_kind kind) {
    static const uint32_t special[] = {
        0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,  // ±0, ±∞, NaN
        0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0xff7fffff,  // limits of both ranges
        0xc2d00000, 0x42b20000, 0x42b17218, 0xc2aeac50,              // limits of exp
        0x477fe000, 0x477ff000, 0x38800000, 0x387fffff, 0x33000000, 0x33000001,  // of halves
    };
    const unsigned zero = (unsigned)(next() >> 32);
    switch (kind) {
        case INPUT_WIDE:
            return zero % 16 ? of_exponents(-40, 20) : from_bits(zero & 0x80000000);
        case INPUT_SUBNORMAL:
            return zero % 16 ? of_exponents(-127, -120) : from_bits(zero & 0x80000000);
        case INPUT_TINY: return of_exponents(-127, -127);
        case INPUT_LARGE: return of_exponents(30, 60);
        case INPUT_RANGE: return uniform(110);
        case INPUT_SPECIAL:
            return zero % 8 ? uniform(4)
                            : from_bits(special[zero / 8 % (sizeof special / sizeof *special)]);
        case INPUT_ANY: return from_bits((uint32_t)(next() >> 32));
        default: return uniform(4);
    }
}

static void fill(float *x, ptrdiff_t n, input_kind kind) {
    for (ptrdiff_t i = 0; i < n; i++) x[i] = input(kind);
}

// Finite halves of any exponent, subnormals and ±0 among them; neither infinite nor NaN, as `narrow` writes them.
static void fill_halves(uint16_t *x, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) {
        const uint16_t bits = (uint16_t)(next() >> 48);
        x[i] = (bits & 0x7c00) == 0x7c00 ? (uint16_t)(bits & 0x83ff) : bits;
    }
}
