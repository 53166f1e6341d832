// y = x · w where both are blocks of 32 integers with a scale: GGUF's Q8_0 and Q4_0 against rows of int8. The
// sum inside a block is of integers, exact in any order; then one fused multiply-add per block, blocks upward:
// y = fma(sum, w's scale · x's scale, y). How four products become one lane is the level's own (DOT_8, DOT_4).
// SPDX-License-Identifier: Apache-2.0

enum {
    GROUPS = LLK_UNIT / 4,  // of four k, one 32-bit lane
    PANEL = LLK_QUANTIZED_VECTORS * VECTOR_LANES,
    SCALE_BYTES = PANEL * 2,
    GROUP_BYTES = PANEL * 4,
    Q8_UNIT = SCALE_BYTES + GROUPS * GROUP_BYTES,
    Q4_UNIT = SCALE_BYTES + GROUPS / 2 * GROUP_BYTES,
};

// A row's block: 32 int8, their magnitudes where the level multiplies those, scale, correction (see `quantize_`).
enum {
    MAGNITUDES = LLK_UNIT,
    ROW_SCALE = HAS_MAGNITUDES ? 2 * LLK_UNIT : LLK_UNIT,
    ROW_CORRECTION = ROW_SCALE + 4,
    ROW_UNIT = ROW_CORRECTION + 4,
};

// Adds the products of one block of `rows` rows and `vectors` vectors of columns to `sums`.
INLINE void multiply_block(const int bits, const int rows, const int vectors, const char *x,
                           ptrdiff_t x_stride, const char *w, const int first,
                           vector sums[][LLK_QUANTIZED_VECTORS]) {
    integers totals[MAXIMUM_ROWS][LLK_QUANTIZED_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        const integers correction =
            splat_integer(CORRECTS(bits) ? load_integer(x + r * x_stride + ROW_CORRECTION) : 0);
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) totals[r][v] = correction;
    }
    const char *columns = w + SCALE_BYTES + first * VECTOR_LANES * 4;
    if (bits == 8) {
#pragma clang loop unroll(disable)
        for (int g = 0; g < GROUPS; g++) {
            integers weights[LLK_QUANTIZED_VECTORS];
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++)
                weights[v] = load_integers(columns + g * GROUP_BYTES + v * VECTOR_LANES * 4);
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                const char *row = x + r * x_stride + 4 * g;
                const integers value = splat_integer(load_integer(row));
                const integers magnitude =
                    HAS_MAGNITUDES ? splat_integer(load_integer(row + MAGNITUDES)) : value;
#pragma clang loop unroll(full)
                for (int v = 0; v < vectors; v++)
                    totals[r][v] = DOT_8(totals[r][v], weights[v], value, magnitude);
            }
        }
    } else {
        // A byte holds k in its low and k + 16 in its high half.
#pragma clang loop unroll(disable)
        for (int g = 0; g < GROUPS / 2; g++) {
            naturals low[LLK_QUANTIZED_VECTORS], high[LLK_QUANTIZED_VECTORS];
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                const naturals both =
                    (naturals)load_integers(columns + g * GROUP_BYTES + v * VECTOR_LANES * 4);
                low[v] = both & 0x0f0f0f0f;
                high[v] = both >> 4 & 0x0f0f0f0f;
            }
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                const char *row = x + r * x_stride + 4 * g;
                const integers near = splat_integer(load_integer(row));
                const integers far = splat_integer(load_integer(row + LLK_UNIT / 2));
#pragma clang loop unroll(full)
                for (int v = 0; v < vectors; v++) {
                    totals[r][v] = DOT_4(totals[r][v], (integers)low[v], near);
                    totals[r][v] = DOT_4(totals[r][v], (integers)high[v], far);
                }
            }
        }
    }
    vector scales[LLK_QUANTIZED_VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++)
        scales[v] = widen_halves((const uint16_t *)w + (first + v) * VECTOR_LANES);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        const vector scale = splat(load_float(x + r * x_stride + ROW_SCALE));
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            const integers total = bits == 8 ? totals[r][v] : TOTAL_4(totals[r][v]);
            sums[r][v] =
                fma_(__builtin_convertvector(total, vector), scales[v] * scale, sums[r][v]);
        }
    }
}

INLINE void quantized_tile(const int bits, const int rows, const int vectors, const char *x,
                           ptrdiff_t x_stride, const char *w, const int first, ptrdiff_t units,
                           const float *start, ptrdiff_t start_stride, float *y, ptrdiff_t y_stride,
                           const int prefetch) {
    const ptrdiff_t unit = bits == 8 ? Q8_UNIT : Q4_UNIT;
    vector sums[MAXIMUM_ROWS][LLK_QUANTIZED_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++)
            sums[r][v] = start ? load(start + r * start_stride + v * VECTOR_LANES) : splat(0);
    for (ptrdiff_t u = 0; u < units; u++) {
        if (prefetch)
            for (ptrdiff_t line = 0; line < unit; line += 64)
                __builtin_prefetch(w + u * unit + line + prefetch, 0, 3);
        multiply_block(bits, rows, vectors, x + u * ROW_UNIT, x_stride, w + u * unit, first, sums);
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++)
            store(y + r * y_stride + v * VECTOR_LANES, sums[r][v]);
}

// Units of one block of a panel: 17 KiB or less, for the first-level cache.
enum { Q8_BLOCK = 16384 / (PANEL * LLK_UNIT), Q4_BLOCK = 2 * Q8_BLOCK };

INLINE void quantized_linear(const int bits, const int tile_rows, const int tile_vectors,
                             const char *x, ptrdiff_t x_stride, ptrdiff_t rows, const char *panels,
                             const float *bias, ptrdiff_t k, ptrdiff_t n, float *y,
                             ptrdiff_t y_stride) {
    const ptrdiff_t unit = bits == 8 ? Q8_UNIT : Q4_UNIT;
    const ptrdiff_t block = bits == 8 ? Q8_BLOCK : Q4_BLOCK;
    const ptrdiff_t units = (k + LLK_UNIT - 1) / LLK_UNIT;
    for (ptrdiff_t column = 0; column < n; column += PANEL, panels += units * unit) {
        if (rows == 1) {
            quantized_tile(bits, 1, LLK_QUANTIZED_VECTORS, x, x_stride, panels, 0, units,
                           bias ? bias + column : 0, 0, y + column, y_stride,
                           bits == 8 ? Q8_PREFETCH : Q4_PREFETCH);
            continue;
        }
        for (ptrdiff_t u = 0; u < units; u += block) {
            const ptrdiff_t depth = units - u < block ? units - u : block;
#pragma clang loop unroll(disable)
            for (int first = 0; first < LLK_QUANTIZED_VECTORS; first += tile_vectors) {
                float *out = y + column + first * VECTOR_LANES;
                const float *start = u ? out : bias ? bias + column + first * VECTOR_LANES : 0;
                const ptrdiff_t start_stride = u ? y_stride : 0;
                ptrdiff_t r = 0;
#define TILE(R)                                                                              \
    quantized_tile(bits, R, tile_vectors, x + r * x_stride + u * ROW_UNIT, x_stride,         \
                   panels + u * unit, first, depth, start ? start + r * start_stride : 0,    \
                   start_stride, out + r * y_stride, y_stride, 0)
                for (; r + tile_rows <= rows; r += tile_rows) TILE(tile_rows);
                for (; r < rows; r++) TILE(1);
#undef TILE
            }
        }
    }
}

static void linear_q8(const void *x, ptrdiff_t x_stride, ptrdiff_t rows, const void *panels,
                      const float *bias, ptrdiff_t k, ptrdiff_t n, float *y, ptrdiff_t y_stride) {
    quantized_linear(8, Q8_TILE_ROWS, Q8_TILE_VECTORS, x, x_stride, rows, panels, bias, k, n, y,
                     y_stride);
}

static void linear_q4(const void *x, ptrdiff_t x_stride, ptrdiff_t rows, const void *panels,
                      const float *bias, ptrdiff_t k, ptrdiff_t n, float *y, ptrdiff_t y_stride) {
    quantized_linear(4, Q4_TILE_ROWS, Q4_TILE_VECTORS, x, x_stride, rows, panels, bias, k, n, y,
                     y_stride);
}

// MARK: - Rows of activations

// One row as blocks of 32: value ≈ scale · integer, scale = largest / 127, ties to even. Values behind k are 0;
// NaN counts as 0, and so does a block below 2^-119, for whose scale the reciprocal would be infinite. The correction takes the weights' offset back: it is what a block's sum starts from.
INLINE void quantize_(const int bits, const float *x, ptrdiff_t k, char *row) {
    for (; k > 0; k -= LLK_UNIT, x += LLK_UNIT, row += ROW_UNIT) {
        enum { VECTORS = LLK_UNIT / VECTOR_LANES };
        float padded[LLK_UNIT];
        const float *block = x;
        if (k < LLK_UNIT) {
            for (int i = 0; i < LLK_UNIT; i++) padded[i] = i < k ? x[i] : 0;
            block = padded;
        }
        vector largest = splat(0);
        for (int v = 0; v < VECTORS; v++) {
            const vector magnitude = magnitude_of(load(block + v * VECTOR_LANES));
            largest = choose((integers)(magnitude > largest), magnitude, largest);
        }
        float lanes[VECTOR_LANES], most = 0;
        store(lanes, largest);
        for (int i = 0; i < VECTOR_LANES; i++) most = lanes[i] > most ? lanes[i] : most;
        const float inverse = most >= 0x1p-119f ? 127 / most : 0;
        integers total = {};
        for (int v = 0; v < VECTORS; v++) {
            const vector value = load(block + v * VECTOR_LANES);
            const vector scaled = value * splat(inverse);
            const vector known = choose((integers)(scaled == scaled), scaled, splat(0));
            const integers whole =
                (integers)(known + splat(ROUNDING_MAGIC)) - (integers)splat(ROUNDING_MAGIC);
            total += whole;
            *(bytes *)(row + v * VECTOR_LANES) = __builtin_convertvector(whole, bytes);
            const integers sign = whole >> 31;
            if (HAS_MAGNITUDES)
                *(bytes *)(row + MAGNITUDES + v * VECTOR_LANES) =
                    __builtin_convertvector((whole ^ sign) - sign, bytes);
        }
        int32_t sum = 0;
        for (int i = 0; i < VECTOR_LANES; i++) sum += total[i];
        const float scale = most / 127;
        const int32_t correction = bits == 8 ? CORRECTION_8(sum) : CORRECTION_4(sum);
        memcpy(row + ROW_SCALE, &scale, sizeof scale);
        memcpy(row + ROW_CORRECTION, &correction, sizeof correction);
    }
}

static void quantize_q8(const float *x, ptrdiff_t k, void *row) { quantize_(8, x, k, row); }
static void quantize_q4(const float *x, ptrdiff_t k, void *row) { quantize_(4, x, k, row); }
