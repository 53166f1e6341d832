// How weights lie in memory, one unit at a time: 32 inputs (k) of one panel of output columns. From floats to
// the unit and, for the embedding lookup, back. Rounding is the same at every level; only the places differ.
// SPDX-License-Identifier: Apache-2.0

// out[i][j] = w[j · n_stride + i] for a square of VECTOR_LANES: a round of interleaving for each bit of an index.
INLINE void transpose(const float *w, ptrdiff_t n_stride, float *out, ptrdiff_t columns) {
    vector rows[VECTOR_LANES], zipped[VECTOR_LANES];
    for (int i = 0; i < VECTOR_LANES; i++) rows[i] = load(w + i * n_stride);
    for (int width = 1; width < VECTOR_LANES; width *= 2) {
        for (int i = 0; i < VECTOR_LANES / 2; i++) {
            zipped[2 * i] = ZIP_LOW(rows[i], rows[i + VECTOR_LANES / 2]);
            zipped[2 * i + 1] = ZIP_HIGH(rows[i], rows[i + VECTOR_LANES / 2]);
        }
        memcpy(rows, zipped, sizeof rows);
    }
    for (int i = 0; i < VECTOR_LANES; i++) store(out + i * columns, rows[i]);
}

// Copies up to 32 × `columns` floats from any strides into rows of `columns`, padded with zeros.
INLINE void gather(const float *w, ptrdiff_t k_stride, ptrdiff_t n_stride, ptrdiff_t k, ptrdiff_t n,
                   const ptrdiff_t columns, float *out) {
    if (k < LLK_UNIT || n < columns) memset(out, 0, (size_t)(LLK_UNIT * columns) * sizeof(float));
    if (n_stride == 1)
        for (ptrdiff_t i = 0; i < k; i++)
            memcpy(out + i * columns, w + i * k_stride, (size_t)n * sizeof(float));
    else if (k_stride == 1 && k == LLK_UNIT && n == columns)
        for (ptrdiff_t j = 0; j < columns; j += VECTOR_LANES)
            for (ptrdiff_t i = 0; i < LLK_UNIT; i += VECTOR_LANES)
                transpose(w + i + j * n_stride, n_stride, out + i * columns + j, columns);
    else
        for (ptrdiff_t j = 0; j < n; j++)
            for (ptrdiff_t i = 0; i < k; i++)
                out[i * columns + j] = w[i * k_stride + j * n_stride];
}

// MARK: - f32: [32][F32_PANEL]

static void pack_f32(const float *w, ptrdiff_t k_stride, ptrdiff_t n_stride, ptrdiff_t k, ptrdiff_t n,
                     void *unit) {
    gather(w, k_stride, n_stride, k, n, F32_PANEL, unit);
}

static void unpack_f32(const void *unit, ptrdiff_t column, float *w) {
    for (int i = 0; i < LLK_UNIT; i++) w[i] = ((const float *)unit)[i * F32_PANEL + column];
}

// MARK: - bfloat16: as f32, but lane j of a 32-bit vector holds the columns j (low) and VECTOR_LANES + j (high)

INLINE ptrdiff_t bf16_place(ptrdiff_t column) {
    const ptrdiff_t pair = column / (2 * VECTOR_LANES), lane = column % (2 * VECTOR_LANES);
    return pair * 2 * VECTOR_LANES + lane % VECTOR_LANES * 2 + lane / VECTOR_LANES;
}

// To nearest, ties to even; NaN stays NaN.
INLINE naturals narrow_bf16(vector x) {
    const naturals bits = (naturals)x;
    const naturals rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const naturals is_nan = (naturals)(x != x);
    return (rounded & ~is_nan) | ((bits >> 16 | 0x40) & is_nan);
}

static void pack_bf16(const float *w, ptrdiff_t k_stride, ptrdiff_t n_stride, ptrdiff_t k,
                      ptrdiff_t n, void *unit) {
    float values[LLK_UNIT * BF16_PANEL];
    gather(w, k_stride, n_stride, k, n, BF16_PANEL, values);
    for (ptrdiff_t i = 0; i < LLK_UNIT * BF16_PANEL; i += 2 * VECTOR_LANES) {
        const naturals low = narrow_bf16(load(values + i));
        const naturals high = narrow_bf16(load(values + i + VECTOR_LANES));
        *(naturals *)((uint16_t *)unit + i) = low | high << 16;
    }
}

static void unpack_bf16(const void *unit, ptrdiff_t column, float *w) {
    for (int i = 0; i < LLK_UNIT; i++) {
        const uint32_t bits =
            (uint32_t)((const uint16_t *)unit)[i * BF16_PANEL + bf16_place(column)] << 16;
        memcpy(w + i, &bits, sizeof bits);
    }
}

// MARK: - q8 and q4: [PANEL] scales as halves, then groups of four k: [8 or 4][PANEL][4 bytes]

INLINE vector reciprocal(vector scale) {
    return choose((integers)(scale == splat(0)), splat(0), splat(1) / scale);
}

// round(x · inverse), clamped; NaN becomes `low`.
INLINE vector quantum(vector x, vector inverse, float low, float high) {
    vector q = x * inverse;
    q = choose((integers)(q > splat(low)), q, splat(low));
    q = choose((integers)(q < splat(high)), q, splat(high));
    return (q + splat(ROUNDING_MAGIC)) - splat(ROUNDING_MAGIC);
}

INLINE vector half_precision(vector x) {
    const halves narrow = __builtin_convertvector(narrow_halves(x), halves);
    return widen_halves_portably((const uint16_t *)&narrow);
}

INLINE void store_scales(vector scale, void *unit, ptrdiff_t column) {
    const halves narrow = __builtin_convertvector(narrow_halves(scale), halves);
    memcpy((uint16_t *)unit + column, &narrow, sizeof narrow);
}

// Value = scale · q, scale = largest / 127 as a half, q in ±127: Q8_0's rule with the scale rounded first.
static void pack_q8(const float *w, ptrdiff_t k_stride, ptrdiff_t n_stride, ptrdiff_t k, ptrdiff_t n,
                    void *unit) {
    float values[LLK_UNIT * PANEL];
    gather(w, k_stride, n_stride, k, n, PANEL, values);
    for (ptrdiff_t column = 0; column < PANEL; column += VECTOR_LANES) {
        vector largest = splat(0);
        for (int i = 0; i < LLK_UNIT; i++) {
            const vector x = load(values + i * PANEL + column);
            const vector magnitude = magnitude_of(x);
            largest = choose((integers)(magnitude > largest), magnitude, largest);
        }
        const vector scale = half_precision(largest / splat(127));
        const vector inverse = reciprocal(scale);
        store_scales(scale, unit, column);
        for (int g = 0; g < GROUPS; g++) {
            naturals group = {};
            for (int b = 0; b < 4; b++) {
                const vector x = load(values + (4 * g + b) * PANEL + column);
                const integers q =
                    __builtin_convertvector(quantum(x, inverse, -127, 127), integers) + Q8_OFFSET;
                group |= ((naturals)q & 0xff) << (8 * b);
            }
            memcpy((char *)unit + SCALE_BYTES + g * GROUP_BYTES + 4 * column, &group, sizeof group);
        }
    }
}

static void unpack_q8(const void *unit, ptrdiff_t column, float *w) {
    const char *panel = unit;
    float scales[VECTOR_LANES];
    store(scales, widen_halves_portably((const uint16_t *)unit + column / VECTOR_LANES * VECTOR_LANES));
    for (int i = 0; i < LLK_UNIT; i++) {
        const uint8_t byte =
            (uint8_t)panel[SCALE_BYTES + i / 4 * GROUP_BYTES + column * 4 + i % 4];
        w[i] = scales[column % VECTOR_LANES] * (float)(int8_t)(uint8_t)(byte - Q8_OFFSET);
    }
}

// Σ (x − scale · q)² over the block of one vector of columns; q in −8 … 7.
INLINE vector error_q4(const float *values, vector scale) {
    const vector inverse = reciprocal(scale);
    vector error = splat(0);
    for (int i = 0; i < LLK_UNIT; i++) {
        const vector x = load(values + i * PANEL);
        const vector rest = fma_(-scale, quantum(x, inverse, -8, 7), x);
        error = fma_(rest, rest, error);
    }
    return error;
}

INLINE bool is_zero(vector x) {
    uint32_t bits = 0;
    for (int i = 0; i < VECTOR_LANES; i++) bits |= ((naturals)x)[i];
    return bits == 0;
}

// The best scale of those that are tried, where the first has the error `least`.
INLINE vector best_q4(const float *block, vector extreme, vector scale, vector least) {
    static const float factors[] = {-1 / 8.5f, 1 / 7.25f, 1 / 7.75f};
    for (size_t f = 0; f < sizeof factors / sizeof *factors; f++) {
        const vector candidate = half_precision(extreme * splat(factors[f]));
        const vector error = error_q4(block, candidate);
        const integers is_better = (integers)(error < least);
        scale = choose(is_better, candidate, scale);
        least = choose(is_better, error, least);
    }
    // The best scale for the integers that were chosen: Σ x·q / Σ q².
    const vector inverse = reciprocal(scale);
    vector dot = splat(0), square = splat(0);
    for (int i = 0; i < LLK_UNIT; i++) {
        const vector x = load(block + i * PANEL);
        const vector q = quantum(x, inverse, -8, 7);
        dot = fma_(x, q, dot);
        square = fma_(q, q, square);
    }
    const vector fitted = half_precision(dot * reciprocal(square));
    return choose((integers)(error_q4(block, fitted) < least), fitted, scale);
}

// Value = scale · (q − 8). Q4_0 takes −8 for the value of largest magnitude; here a smaller step and two of
// the other sign are tried too, the one with the least squared error is fitted to the integers it gave, and
// the better of these two is kept: 8 % less squared error than Q4_0 on normal weights, and seven more
// candidates would gain but 1 % more. A block that Q4_0 wrote comes back as it was: its own scale has no error,
// and then nothing else is tried.
static void pack_q4(const float *w, ptrdiff_t k_stride, ptrdiff_t n_stride, ptrdiff_t k, ptrdiff_t n,
                    void *unit) {
    float values[LLK_UNIT * PANEL];
    gather(w, k_stride, n_stride, k, n, PANEL, values);
    for (ptrdiff_t column = 0; column < PANEL; column += VECTOR_LANES) {
        const float *block = values + column;
        vector largest = splat(0), extreme = splat(0);
        for (int i = 0; i < LLK_UNIT; i++) {
            const vector x = load(block + i * PANEL);
            const vector magnitude = magnitude_of(x);
            const integers is_larger = (integers)(magnitude > largest);
            largest = choose(is_larger, magnitude, largest);
            extreme = choose(is_larger, x, extreme);
        }
        vector scale = half_precision(extreme * splat(-1 / 8.0f));
        vector least = error_q4(block, scale);
        if (!is_zero(least)) scale = best_q4(block, extreme, scale, least);

        const vector inverse = reciprocal(scale);
        store_scales(scale, unit, column);
        for (int g = 0; g < GROUPS / 2; g++) {
            naturals group = {};
            for (int b = 0; b < 8; b++) {
                const int i = 4 * g + b % 4 + b / 4 * (LLK_UNIT / 2);
                const vector x = load(block + i * PANEL);
                const integers q =
                    __builtin_convertvector(quantum(x, inverse, -8, 7), integers) + 8;
                group |= (naturals)q << (b % 4 * 8 + b / 4 * 4);
            }
            memcpy((char *)unit + SCALE_BYTES + g * GROUP_BYTES + 4 * column, &group, sizeof group);
        }
    }
}

static void unpack_q4(const void *unit, ptrdiff_t column, float *w) {
    const char *panel = unit;
    float scales[VECTOR_LANES];
    store(scales, widen_halves_portably((const uint16_t *)unit + column / VECTOR_LANES * VECTOR_LANES));
    for (int i = 0; i < LLK_UNIT; i++) {
        const int low = i % (LLK_UNIT / 2);
        const uint8_t byte = (uint8_t)panel[SCALE_BYTES + low / 4 * GROUP_BYTES + column * 4 + low % 4];
        const int q = i < LLK_UNIT / 2 ? byte & 15 : byte >> 4;
        w[i] = scales[column % VECTOR_LANES] * (float)(q - 8);
    }
}
