// The inner loops of the engine, one table of functions per instruction-set level. The results are the
// same to the last bit at every level: lanes are outputs, reductions have one fixed shape, and exp is one
// fixed sequence. No allocation, no I/O, no state. Readable twins: LlorchEngine/Tensor/ReferenceKernels.swift.
// SPDX-License-Identifier: Apache-2.0
#ifndef LLORCH_KERNELS_H
#define LLORCH_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

// Arguments are not annotated: what has no elements may have no address either.
#pragma clang diagnostic ignored "-Wnullability-completeness"

/// Rows of y hold a multiple of this many floats; every level's panel divides it.
enum { LLK_ROW_GRANULE = 64 };
/// Virtual lanes of every reduction; also the granule of `columns` in `product`.
enum { LLK_LANES = 16 };

/// Instruction-set levels, in ascending order of preference.
typedef enum {
    LLK_GENERIC = 0,
    LLK_AVX2 = 1,    // AVX2 and FMA
    LLK_AVX512 = 2,  // AVX-512 F
} llk_level;

/// One level's functions. Strides are in floats. No pointer may alias another unless it says so.
typedef struct {
    /// Output columns of one weight panel: as many as one register tile of this level covers, so that a
    /// panel is one forward stream for a single row and stays in the first-level cache for many.
    ptrdiff_t panel;
    /// y[r][n] = bias[n] + sum over k, upward, one fused multiply-add each, of x[r][k] · w(k, n).
    /// `panels` is [ceil(n / panel)][k][panel]; bias holds a whole number of panels, or is null for 0.
    void (*linear)(const float *x, ptrdiff_t x_stride, ptrdiff_t rows, const float *panels,
                   const float *bias, ptrdiff_t k, ptrdiff_t n, float *y, ptrdiff_t y_stride);
    /// The same product with one narrow matrix w of [k][w_stride], of which `columns` (a multiple of 16)
    /// are used; goes on from what is in y if `accumulate`, else starts from 0.
    void (*product)(const float *x, ptrdiff_t x_stride, ptrdiff_t rows, const float *w,
                    ptrdiff_t w_stride, ptrdiff_t k, ptrdiff_t columns, bool accumulate, float *y,
                    ptrdiff_t y_stride);
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
} llk_kernels;

/// Whether this processor, and the operating system on it, can run a level.
bool llk_is_supported(llk_level level);

/// The functions of a level, or null where this build has none; calling them unsupported is an illegal
/// instruction, so ask `llk_is_supported` first.
const llk_kernels *_Nullable llk_kernels_for(llk_level level);

/// The table of the level that every processor runs.
const llk_kernels *_Nonnull llk_generic_kernels(void);

#endif
