// y = x · w for rows of floats: weights in panels (linear), or a narrow matrix (the products of attention).
// One fused multiply-add per output and k, k upward: tiles and blocks change which outputs run side by side,
// never the order inside one. Weights are f32, bfloat16 widened in registers, or halves (the KV cache).
// SPDX-License-Identifier: Apache-2.0

typedef enum { WEIGHT_F32, WEIGHT_BF16_PAIRS, WEIGHT_F16 } weight_kind;
enum { MAXIMUM_ROWS = 6, MAXIMUM_VECTORS = LLK_ROW_GRANULE / VECTOR_LANES };
enum {
    TILE_COLUMNS = TILE_VECTORS * VECTOR_LANES,
    F32_PANEL = TILE_COLUMNS,
    // Half the bytes a column: a single row's stream needs more sums side by side to hide the latency of fma.
    BF16_PANEL = BF16_PANEL_VECTORS * VECTOR_LANES,
};

// The weights of one k for `vectors` vectors of columns.
INLINE void load_weights(const weight_kind kind, const int vectors, const void *w, ptrdiff_t index,
                         vector out[MAXIMUM_VECTORS]) {
    switch (kind) {
        case WEIGHT_F32:
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++)
                out[v] = load((const float *)w + index + v * VECTOR_LANES);
            break;
        case WEIGHT_BF16_PAIRS:
            // Two vectors of columns share one of 32-bit lanes: low half first (packing.h).
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v += 2) {
                const naturals pair =
                    (naturals)load_integers((const uint16_t *)w + index + v * VECTOR_LANES);
                out[v] = (vector)(pair << 16);
                out[v + 1] = (vector)(pair & 0xffff0000);
            }
            break;
        case WEIGHT_F16:
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++)
                out[v] = widen_halves((const uint16_t *)w + index + v * VECTOR_LANES);
            break;
    }
}

// One register tile: `rows` rows of x times `vectors` vectors of columns of w, over all of k. With `stairs`,
// row r goes on to k + r.
INLINE void tile(const weight_kind kind, const bool stairs, const int rows, const int vectors, const float *x,
                 ptrdiff_t x_stride, const void *w, ptrdiff_t w_stride, ptrdiff_t k,
                 const float *start, ptrdiff_t start_stride, float *y, ptrdiff_t y_stride,
                 const int prefetch) {
    vector sums[MAXIMUM_ROWS][MAXIMUM_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++)
            sums[r][v] = start ? load(start + r * start_stride + v * VECTOR_LANES) : splat(0);
#pragma clang loop unroll_count(4)
    for (ptrdiff_t i = 0; i < k; i++) {
        if (prefetch)
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors * VECTOR_LANES; v += 16)
                __builtin_prefetch(
                    (const char *)w + (i * w_stride + v) * (kind == WEIGHT_F32 ? 4 : 2) + prefetch,
                    0, 3);
        vector weights[MAXIMUM_VECTORS];
        load_weights(kind, vectors, w, i * w_stride, weights);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            const vector value = splat(x[r * x_stride + i]);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) sums[r][v] = fma_(value, weights[v], sums[r][v]);
        }
    }
    if (stairs)
#pragma clang loop unroll(full)
        for (int step = 0; step < rows - 1; step++) {
            vector weights[MAXIMUM_VECTORS];
            load_weights(kind, vectors, w, (k + step) * w_stride, weights);
#pragma clang loop unroll(full)
            for (int r = step + 1; r < rows; r++) {
                const vector value = splat(x[r * x_stride + k + step]);
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
INLINE void strip(const weight_kind kind, const bool stairs, const int vectors, const float *x, ptrdiff_t x_stride,
                  ptrdiff_t rows, const void *w, ptrdiff_t w_stride, ptrdiff_t k,
                  const float *start, ptrdiff_t start_stride, float *y, ptrdiff_t y_stride) {
    ptrdiff_t r = 0;
#define TILE(R)                                                                            \
    tile(kind, stairs, R, vectors, x + r * x_stride, x_stride, w, w_stride, stairs ? k + r : k, \
         start ? start + r * start_stride : 0, start_stride, y + r * y_stride, y_stride, 0)
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

// Rows of k in one block of a panel: 12 KiB at 16 columns of f32, so that it stays in the first-level cache
// beside the rows of x while all of them pass over it.
enum { BLOCK = 192 };

INLINE void linear_(const weight_kind kind, const float *x, ptrdiff_t x_stride, ptrdiff_t rows,
                    const char *panels, const float *bias, ptrdiff_t k, ptrdiff_t n, float *y,
                    ptrdiff_t y_stride) {
    const ptrdiff_t size = kind == WEIGHT_F32 ? 4 : 2;
    const ptrdiff_t width = kind == WEIGHT_F32 ? F32_PANEL : BF16_PANEL;
    const ptrdiff_t panel_bytes = (k + LLK_UNIT - 1) / LLK_UNIT * LLK_UNIT * width * size;
    for (ptrdiff_t column = 0; column < n; column += width, panels += panel_bytes) {
        if (rows == 1) {
            // The whole panel at once: one forward stream over memory.
            tile(kind, false, 1, kind == WEIGHT_F32 ? TILE_VECTORS : BF16_PANEL_VECTORS, x, x_stride, panels,
                 width, k, bias ? bias + column : 0, 0, y + column, y_stride,
                 kind == WEIGHT_F32 ? F32_PREFETCH : BF16_PREFETCH);
            continue;
        }
        for (ptrdiff_t first = 0; first < k; first += BLOCK) {
            const ptrdiff_t depth = k - first < BLOCK ? k - first : BLOCK;
            for (ptrdiff_t part = 0; part < width; part += TILE_COLUMNS) {
                float *out = y + column + part;
                const float *start = first ? out : bias ? bias + column + part : 0;
                strip(kind, false, TILE_VECTORS, x + first, x_stride, rows,
                      panels + (first * width + part) * size, width, depth, start,
                      first ? y_stride : 0, out, y_stride);
            }
        }
    }
}

static void linear_f32(const void *x, ptrdiff_t x_stride, ptrdiff_t rows, const void *panels,
                       const float *bias, ptrdiff_t k, ptrdiff_t n, float *y, ptrdiff_t y_stride) {
    linear_(WEIGHT_F32, x, x_stride / 4, rows, panels, bias, k, n, y, y_stride);
}

static void linear_bf16(const void *x, ptrdiff_t x_stride, ptrdiff_t rows, const void *panels,
                        const float *bias, ptrdiff_t k, ptrdiff_t n, float *y, ptrdiff_t y_stride) {
    linear_(WEIGHT_BF16_PAIRS, x, x_stride / 4, rows, panels, bias, k, n, y, y_stride);
}

INLINE void product_(const weight_kind kind, const bool stairs, const float *x, ptrdiff_t x_stride,
                     ptrdiff_t rows, const char *w, ptrdiff_t w_stride, ptrdiff_t k,
                     ptrdiff_t columns, float *y, ptrdiff_t y_stride) {
    const ptrdiff_t size = kind == WEIGHT_F32 ? 4 : 2;
    ptrdiff_t column = 0;
#define STRIP(VECTORS)                                                                             \
    strip(kind, stairs, VECTORS, x, x_stride, rows, w + column * size, w_stride, k, 0, 0, y + column, \
          y_stride)
    if (rows == 1)
        for (; column + LLK_ROW_GRANULE <= columns; column += LLK_ROW_GRANULE)
            tile(kind, false, 1, MAXIMUM_VECTORS, x, x_stride, w + column * size, w_stride, k, 0, 0,
                 y + column, y_stride, 0);
    for (; column + TILE_COLUMNS <= columns; column += TILE_COLUMNS) STRIP(TILE_VECTORS);
    for (; column < columns; column += LLK_LANES) STRIP(VECTORS_PER_LANES);
#undef STRIP
}

#define PRODUCT(NAME, KIND, STAIRS)                                                             \
    static void NAME(const float *x, ptrdiff_t x_stride, ptrdiff_t rows, const void *w,         \
                     ptrdiff_t w_stride, ptrdiff_t k, ptrdiff_t columns, float *y,              \
                     ptrdiff_t y_stride) {                                                      \
        product_(KIND, STAIRS, x, x_stride, rows, w, w_stride, k, columns, y, y_stride);        \
    }
PRODUCT(product_f32, WEIGHT_F32, false)
PRODUCT(product_f16, WEIGHT_F16, false)
PRODUCT(causal_product_f32, WEIGHT_F32, true)
PRODUCT(causal_product_f16, WEIGHT_F16, true)
#undef PRODUCT
