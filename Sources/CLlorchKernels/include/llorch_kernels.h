// The inner loops of the engine, one table of functions per instruction-set level. The results are the
// same to the last bit at every level: lanes are outputs, reductions have one fixed shape, and exp is one
// fixed sequence. No allocation, no I/O, no state. Readable twins: LlorchEngine/Tensor/ReferenceKernels.swift.
// SPDX-License-Identifier: Apache-2.0
#ifndef LLORCH_KERNELS_H
#define LLORCH_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Arguments are not annotated: what has no elements may have no address either.
#pragma clang diagnostic ignored "-Wnullability-completeness"

/// Rows of y hold a multiple of this many floats; every level's panel divides it.
enum { LLK_ROW_GRANULE = 64 };
/// Inputs (k) of one unit of packed weights, and values of one block of q8 and q4.
enum { LLK_UNIT = 32 };
/// Virtual lanes of every reduction; also the granule of `columns` in `product`.
enum { LLK_LANES = 16 };

/// Instruction-set levels, in ascending order of preference.
typedef enum {
    LLK_GENERIC = 0,
    LLK_AVX2 = 1,    // AVX2, FMA and F16C
    LLK_AVX512 = 2,  // AVX-512 F, BW, VL and VNNI
    LLK_NEON = 3,    // ASIMD and its dot product (FEAT_DotProd)
} llk_level;

/// How weights are held in memory; indexes `llk_kernels.formats`.
typedef enum {
    LLK_F32 = 0,
    LLK_BF16 = 1,
    LLK_Q8 = 2,  // blocks of 32 along k: int8 and a half as scale, GGUF's Q8_0
    LLK_Q4 = 3,  // blocks of 32 along k: 4 bits and a half as scale, GGUF's Q4_0
} llk_precision;

enum { LLK_PRECISIONS = 4 };

/// Blocks as GGUF files store them, along k.
typedef enum {
    LLK_STORED_Q8_0 = 0,
    LLK_STORED_Q4_0 = 1,
    LLK_STORED_Q6_K = 2,
} llk_stored;

/// Bytes of one stored block, and its values; blocks of Q8_0 and Q4_0 have LLK_UNIT values.
enum { LLK_Q8_0_BYTES = 34, LLK_Q4_0_BYTES = 18, LLK_Q6_K_BYTES = 210, LLK_Q6_K_VALUES = 256 };

/// One precision's weights: [ceil(n / columns)] panels of [ceil(k / 32)] units of `unit_bytes`.
typedef struct {
    /// Output columns of one panel: as many as register tiles of this level cover, so that a panel is one
    /// forward stream for a single row and stays in the first-level cache for many.
    ptrdiff_t columns;
    /// Bytes of one unit: 32 inputs of one panel.
    ptrdiff_t unit_bytes;
    /// Bytes that `quantize` writes for 32 values of a row; 0 where rows of x stay floats.
    ptrdiff_t row_unit_bytes;
    /// Packs w(k, n) = w[k · k_stride + n · n_stride] for k ≤ 32 inputs and n ≤ columns into one unit;
    /// what is missing becomes 0.
    void (*pack)(const float *w, ptrdiff_t k_stride, ptrdiff_t n_stride, ptrdiff_t k, ptrdiff_t n,
                 void *unit);
    /// Packs the 32 inputs from k (a multiple of 32) on of n ≤ columns outputs, whose rows of stored blocks lie
    /// `row_bytes` apart, as `pack` would their values. Q8_0 at q8 and Q4_0 at q4 are the same blocks: nothing is
    /// rounded again, but a scale that is no number and an integer −128 become the nearest that products take.
    void (*pack_stored)(llk_stored kind, const void *rows, ptrdiff_t row_bytes, ptrdiff_t k, ptrdiff_t n,
                        void *unit);
    /// The 32 values that one column of a unit stands for.
    void (*unpack)(const void *unit, ptrdiff_t column, float *w);
    /// Turns k values of one row of x into what `linear` takes; null where it takes floats.
    void (*quantize)(const float *x, ptrdiff_t k, void *row);
    /// y[r][n] = bias[n] + x[r]·w(n): f32 and bf16 add one fused multiply-add per k, upward; q8 and q4 add
    /// fma(Σ integers, w's scale · x's scale) per block, upward. bias holds a whole number of panels, or is
    /// null for 0. x_stride is in bytes, y_stride in floats.
    void (*linear)(const void *x, ptrdiff_t x_stride, ptrdiff_t rows, const void *panels,
                   const float *bias, ptrdiff_t k, ptrdiff_t n, float *y, ptrdiff_t y_stride);
} llk_format;

/// What the narrow matrix of a product holds: floats or halves.
typedef enum { LLK_ELEMENT_F32 = 0, LLK_ELEMENT_F16 = 1 } llk_element;

enum { LLK_ELEMENTS = 2 };

typedef void (*llk_product)(const float *x, ptrdiff_t x_stride, ptrdiff_t rows, const void *w,
                            ptrdiff_t w_stride, ptrdiff_t k, ptrdiff_t columns, float *y,
                            ptrdiff_t y_stride);

/// One level's functions. Strides are in elements. No pointer may alias another unless it says so.
typedef struct {
    llk_format formats[LLK_PRECISIONS];
    /// y = x·w, k upward, one fused multiply-add each, from 0, with one narrow matrix w of [k][w_stride]
    /// elements, of which `columns` (a multiple of 16) are used.
    llk_product product[LLK_ELEMENTS];
    /// The same where row r goes on to k + r: what each row of a tile sees of the values.
    llk_product causal_product[LLK_ELEMENTS];
    /// y = x as halves, ties to even, saturating at ±65504 (NaN: −65504).
    void (*narrow)(const float *x, uint16_t *y, ptrdiff_t n);
    /// y = (x − mean) / √(variance + epsilon) · weight + bias, variance over n. y may be x.
    void (*layer_norm)(const float *x, const float *weight, const float *bias, float epsilon,
                       ptrdiff_t n, float *y);
    /// x = exp(x − max) / sum, in place; n ≥ 1.
    void (*softmax)(float *x, ptrdiff_t n);
    /// x = x · factor.
    void (*scale)(float *x, float factor, ptrdiff_t n);
    /// y = y + x.
    void (*add)(const float *x, float *y, ptrdiff_t n);
    /// The tanh form that GPT-2 was trained with, in place.
    void (*gelu_tanh)(float *x, ptrdiff_t n);
    /// The exact form x · Φ(x), in place.
    void (*gelu_erf)(float *x, ptrdiff_t n);
    /// y = exp(x), within 2 ulp. y may be x.
    void (*exponential)(const float *x, float *y, ptrdiff_t n);
    /// Whether each of n floats is a number whose magnitude is at most `limit`, which is finite.
    int (*fits)(const float *x, ptrdiff_t n, float limit);
} llk_kernels;

/// Whether this processor, and the operating system on it, can run a level.
bool llk_is_supported(llk_level level);

/// The functions of a level, or null where this build has none; calling them unsupported is an illegal
/// instruction, so ask `llk_is_supported` first.
const llk_kernels *_Nullable llk_kernels_for(llk_level level);

/// The table of the level that every processor runs.
const llk_kernels *_Nonnull llk_generic_kernels(void);

#endif
