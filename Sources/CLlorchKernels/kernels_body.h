// The one text of all kernels, compiled once per instruction-set level: the including file defines
// VECTOR_LANES, TILE_ROWS, TILE_VECTORS, KERNELS_NAME and PREFETCH, the bytes ahead of a single row's stream
// of weights (0 for none). Widths and tiles change which outputs run side by side, never the order of
// operations inside one output, so all levels agree to the last bit.
// SPDX-License-Identifier: Apache-2.0

#include <string.h>

#include "llorch_kernels.h"

// a * b + c must never become one operation unless it is written as fma.
#pragma clang fp contract(off)

typedef float vector __attribute__((vector_size(VECTOR_LANES * 4), aligned(4), may_alias));
typedef int integers __attribute__((vector_size(VECTOR_LANES * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))
enum { VECTORS_PER_LANES = LLK_LANES / VECTOR_LANES };

INLINE vector load(const float *p) { return *(const vector *)p; }
INLINE void store(float *p, vector v) { *(vector *)p = v; }
INLINE vector splat(float x) { return x - (vector){}; }
INLINE vector fma_(vector a, vector b, vector c) { return __builtin_elementwise_fma(a, b, c); }
INLINE vector choose(integers mask, vector a, vector b) {
    return (vector)(((integers)a & mask) | ((integers)b & ~mask));
}

// MARK: - Products

enum { MAXIMUM_ROWS = 6, MAXIMUM_VECTORS = LLK_ROW_GRANULE / VECTOR_LANES };

// One register tile: `rows` rows of x times `vectors` vectors of columns of w, over all of k.
INLINE void tile(const int rows, const int vectors, const float *x, ptrdiff_t x_stride, const float *w,
                 ptrdiff_t w_stride, ptrdiff_t k, const float *start, ptrdiff_t start_stride, float *y,
                 ptrdiff_t y_stride, const int prefetch) {
    vector sums[MAXIMUM_ROWS][MAXIMUM_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++)
            sums[r][v] = start ? load(start + r * start_stride + v * VECTOR_LANES) : splat(0);
    for (ptrdiff_t i = 0; i < k; i++) {
        const float *row = w + i * w_stride;
        if (prefetch)
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors * VECTOR_LANES; v += 16)
                __builtin_prefetch(row + v + prefetch / 4, 0, 3);
        vector weights[MAXIMUM_VECTORS];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) weights[v] = load(row + v * VECTOR_LANES);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            const vector value = splat(x[r * x_stride + i]);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) sums[r][v] = fma_(value, weights[v], sums[r][v]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++)
            store(y + r * y_stride + v * VECTOR_LANES, sums[r][v]);
}

// All rows of x against one column strip that a tile covers. start_stride 0 repeats a bias row.
INLINE void strip(const int vectors, const float *x, ptrdiff_t x_stride, ptrdiff_t rows, const float *w,
                  ptrdiff_t w_stride, ptrdiff_t k, const float *start, ptrdiff_t start_stride,
                  float *y, ptrdiff_t y_stride) {
    ptrdiff_t r = 0;
#define TILE(R)                                                                                      \
    tile(R, vectors, x + r * x_stride, x_stride, w, w_stride, k, start ? start + r * start_stride : 0, \
         start_stride, y + r * y_stride, y_stride, 0)
    for (; r + TILE_ROWS <= rows; r += TILE_ROWS) TILE(TILE_ROWS);
    switch (rows - r) {
#if TILE_ROWS > 4
        case 5: TILE(5); break;
        case 4: TILE(4); break;
#endif
        case 3: TILE(3); break;
        case 2: TILE(2); break;
        case 1: TILE(1); break;
        default: break;
    }
#undef TILE
}

// Rows of k in one block of a panel: 16 KiB at 16 columns, so that it stays in the first-level cache while
// all rows of x pass over it.
enum { BLOCK = 256, TILE_COLUMNS = TILE_VECTORS * VECTOR_LANES };

static void linear(const float *x, ptrdiff_t x_stride, ptrdiff_t rows, const float *panels,
                   const float *bias, ptrdiff_t k, ptrdiff_t n, float *y, ptrdiff_t y_stride) {
    for (ptrdiff_t column = 0; column < n; column += TILE_COLUMNS) {
        const float *weights = panels + column * k;
        const float *row = bias ? bias + column : 0;
        float *out = y + column;
        if (rows == 1) {
            // The whole panel at once: one forward stream over memory.
            tile(1, TILE_VECTORS, x, x_stride, weights, TILE_COLUMNS, k, row, 0, out, y_stride,
                 PREFETCH);
            continue;
        }
        for (ptrdiff_t first = 0; first < k; first += BLOCK) {
            const ptrdiff_t depth = k - first < BLOCK ? k - first : BLOCK;
            strip(TILE_VECTORS, x + first, x_stride, rows, weights + first * TILE_COLUMNS,
                  TILE_COLUMNS, depth, first ? out : row, first ? y_stride : 0, out, y_stride);
        }
    }
}

static void product(const float *x, ptrdiff_t x_stride, ptrdiff_t rows, const float *w,
                    ptrdiff_t w_stride, ptrdiff_t k, ptrdiff_t columns, bool accumulate, float *y,
                    ptrdiff_t y_stride) {
    ptrdiff_t column = 0;
#define STRIP(VECTORS)                                                                             \
    strip(VECTORS, x, x_stride, rows, w + column, w_stride, k, accumulate ? y + column : 0, y_stride, \
          y + column, y_stride)
    if (rows == 1)
        for (; column + LLK_ROW_GRANULE <= columns; column += LLK_ROW_GRANULE)
            tile(1, MAXIMUM_VECTORS, x, x_stride, w + column, w_stride, k,
                 accumulate ? y + column : 0, y_stride, y + column, y_stride, 0);
    for (; column + TILE_COLUMNS <= columns; column += TILE_COLUMNS) STRIP(TILE_VECTORS);
    for (; column < columns; column += LLK_LANES) STRIP(VECTORS_PER_LANES);
#undef STRIP
}

// MARK: - Reductions of 16 virtual lanes: lane j takes elements j, j + 16, …; then halves are folded.

typedef struct {
    vector part[VECTORS_PER_LANES];
} lanes;

INLINE float fold_sum(lanes a) {
    float v[LLK_LANES];
    for (int i = 0; i < VECTORS_PER_LANES; i++) store(v + i * VECTOR_LANES, a.part[i]);
    for (int half = LLK_LANES / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++) v[j] = v[j] + v[j + half];
    return v[0];
}

// The elements left after the last whole 16, padded with `fill`.
INLINE void tail(const float *x, ptrdiff_t count, float fill, float out[LLK_LANES]) {
    for (int j = 0; j < LLK_LANES; j++) out[j] = j < count ? x[j] : fill;
}

INLINE float sum(const float *x, ptrdiff_t n) {
    lanes a = {};
    ptrdiff_t i = 0;
    for (; i + LLK_LANES <= n; i += LLK_LANES)
        for (int p = 0; p < VECTORS_PER_LANES; p++)
            a.part[p] = a.part[p] + load(x + i + p * VECTOR_LANES);
    if (i < n) {
        float rest[LLK_LANES];
        tail(x + i, n - i, 0, rest);
        for (int p = 0; p < VECTORS_PER_LANES; p++)
            a.part[p] = a.part[p] + load(rest + p * VECTOR_LANES);
    }
    return fold_sum(a);
}

INLINE float maximum(const float *x, ptrdiff_t n) {
    float v[LLK_LANES];
    for (int j = 0; j < LLK_LANES; j++) v[j] = x[0];
    lanes a;
    for (int p = 0; p < VECTORS_PER_LANES; p++) a.part[p] = load(v + p * VECTOR_LANES);
    ptrdiff_t i = 0;
    for (; i + LLK_LANES <= n; i += LLK_LANES)
        for (int p = 0; p < VECTORS_PER_LANES; p++) {
            const vector e = load(x + i + p * VECTOR_LANES);
            a.part[p] = choose((integers)(e > a.part[p]), e, a.part[p]);
        }
    for (int p = 0; p < VECTORS_PER_LANES; p++) store(v + p * VECTOR_LANES, a.part[p]);
    float best = v[0];
    for (int j = 1; j < LLK_LANES; j++) best = v[j] > best ? v[j] : best;
    for (; i < n; i++) best = x[i] > best ? x[i] : best;
    return best;
}

// MARK: - Elementwise

// e^x: x = n·ln 2 + r, e^r by a polynomial of degree 6 (minimax on |r| ≤ ln 2 / 2, 3e-9), 2^n in two
// factors so that results below the normal range round once more and nothing else.
INLINE vector exp_(vector x) {
    const vector low = splat(-104.0f), high = splat(89.0f);
    x = choose((integers)(x < low), low, x);
    x = choose((integers)(x > high), high, x);
    const vector magic = splat(12582912.0f);  // 1.5 · 2^23: adding it rounds to an integer
    const vector shifted = fma_(x, splat(1.44269504f), magic);
    const vector n = shifted - magic;
    vector r = fma_(n, splat(-0.693359375f), x);
    r = fma_(n, splat(2.12194440e-4f), r);
    vector p = splat(0.0013814487f);
    p = fma_(p, r, splat(0.00836877991f));
    p = fma_(p, r, splat(0.0416683927f));
    p = fma_(p, r, splat(0.166665196f));
    p = fma_(p, r, splat(0.49999994f));
    p = fma_(p, r * r, r) + splat(1.0f);
    const integers whole = (integers)shifted - (integers)magic;
    const integers half = whole >> 1;
    const vector first = (vector)((half + 127) << 23);
    const vector second = (vector)((whole - half + 127) << 23);
    return p * first * second;
}

// x · σ(2u) with u = √(2/π)·(x + 0.044715·x³); equals 0.5·x·(1 + tanh u).
INLINE vector gelu_tanh_(vector x) {
    const vector inner = fma_(x * x, splat(0.0356774081f), splat(0.797884561f));
    const vector u = x * inner;
    return x / (splat(1.0f) + exp_(u * splat(-2.0f)));
}

// x · Φ(x); Φ(−z) = exp(−z²/2) · t·P(t), t = 1 / (1 + 0.3·z), fitted on 0 ≤ z ≤ 13 to 4e-9.
INLINE vector gelu_erf_(vector x) {
    const integers negative = (integers)(x < splat(0.0f));
    vector z = choose(negative, -x, x);
    z = choose((integers)(z > splat(14.0f)), splat(14.0f), z);
    const vector t = splat(1.0f) / fma_(z, splat(0.3f), splat(1.0f));
    vector p = splat(-0.0205654427f);
    p = fma_(p, t, splat(0.112109154f));
    p = fma_(p, t, splat(-0.227416009f));
    p = fma_(p, t, splat(0.190675929f));
    p = fma_(p, t, splat(-0.0784593523f));
    p = fma_(p, t, splat(0.0956139043f));
    p = fma_(p, t, splat(0.0785871819f));
    p = fma_(p, t, splat(0.110190749f));
    p = fma_(p, t, splat(0.119577505f));
    p = fma_(p, t, splat(0.11968638f));
    const vector area = exp_(z * z * splat(-0.5f)) * (p * t);
    return x * choose(negative, area, splat(1.0f) - area);
}

// Applies a vector function to n floats; the last few go through a padded buffer.
#define ELEMENTWISE(FUNCTION, x, y, n)                                       \
    do {                                                                     \
        ptrdiff_t i_ = 0;                                                    \
        for (; i_ + VECTOR_LANES <= (n); i_ += VECTOR_LANES)                 \
            store((y) + i_, FUNCTION(load((x) + i_)));                       \
        if (i_ < (n)) {                                                      \
            float rest_[LLK_LANES];                                          \
            tail((x) + i_, (n) - i_, 0, rest_);                              \
            store(rest_, FUNCTION(load(rest_)));                             \
            memcpy((y) + i_, rest_, (size_t)((n) - i_) * sizeof(float));     \
        }                                                                    \
    } while (0)

static void gelu_tanh(float *x, ptrdiff_t n) { ELEMENTWISE(gelu_tanh_, x, x, n); }
static void gelu_erf(float *x, ptrdiff_t n) { ELEMENTWISE(gelu_erf_, x, x, n); }
static void exponential(const float *x, float *y, ptrdiff_t n) { ELEMENTWISE(exp_, x, y, n); }

static void scale(float *x, float factor, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) x[i] = x[i] * factor;
}

static void add(const float *x, float *y, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) y[i] = y[i] + x[i];
}

// MARK: - Rows

static void softmax(float *x, ptrdiff_t n) {
    const float best = maximum(x, n);
#define SHIFTED(v) exp_((v) - splat(best))
    ELEMENTWISE(SHIFTED, x, x, n);
#undef SHIFTED
    scale(x, 1.0f / sum(x, n), n);
}

static void layer_norm(const float *x, const float *weight, const float *bias, float epsilon,
                       ptrdiff_t n, float *y) {
    const float mean = sum(x, n) / (float)n;
    lanes squares = {};
    ptrdiff_t i = 0;
    for (; i + LLK_LANES <= n; i += LLK_LANES)
        for (int p = 0; p < VECTORS_PER_LANES; p++) {
            const vector d = load(x + i + p * VECTOR_LANES) - splat(mean);
            squares.part[p] = fma_(d, d, squares.part[p]);
        }
    if (i < n) {
        float rest[LLK_LANES];
        tail(x + i, n - i, mean, rest);
        for (int p = 0; p < VECTORS_PER_LANES; p++) {
            const vector d = load(rest + p * VECTOR_LANES) - splat(mean);
            squares.part[p] = fma_(d, d, squares.part[p]);
        }
    }
    const float variance = fold_sum(squares) / (float)n;
    const float inverse = 1.0f / __builtin_sqrtf(variance + epsilon);
    for (i = 0; i < n; i++)
        y[i] = __builtin_elementwise_fma((x[i] - mean) * inverse, weight[i], bias[i]);
}

const llk_kernels KERNELS_NAME = {
    TILE_COLUMNS, linear, product,   layer_norm, softmax,
    scale,        add,    gelu_tanh, gelu_erf,   exponential,
};
