// From blocks as GGUF files store them to units of packed weights. Where the unit holds the same blocks, their bytes
// only move; all other pairs go through floats, which hold every stored value exactly.
// Layouts: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h. The readable twin of the widening:
// LlorchEngine/ModelFile/StoredFormat+widening.swift.
// SPDX-License-Identifier: Apache-2.0

// Any half, infinities and NaN too: a file may hold them.
INLINE float widen_half(const uint8_t *p) {
    const uint32_t bits = (uint32_t)p[0] | (uint32_t)p[1] << 8;
    const uint32_t magnitude = (bits & 0x7fff) << 13;
    const float scaled = load_float(&magnitude) * 0x1p112f;
    uint32_t wide;
    memcpy(&wide, &scaled, sizeof wide);
    if ((bits & 0x7c00) == 0x7c00) wide = magnitude | 0x7f800000;
    wide |= (bits & 0x8000) << 16;
    return load_float(&wide);
}

// The 32 values from k on of one stored row.
INLINE void widen_stored(llk_stored kind, const uint8_t *row, ptrdiff_t k, float *w) {
    if (kind == LLK_STORED_Q8_0) {
        const uint8_t *block = row + k / LLK_UNIT * LLK_Q8_0_BYTES;
        const float scale = widen_half(block);
        for (int i = 0; i < LLK_UNIT; i++) w[i] = scale * (float)(int8_t)block[2 + i];
    } else if (kind == LLK_STORED_Q4_0) {
        // A byte holds a value of the first half in its low bits and one of the second in its high ones, 8 too large.
        const uint8_t *block = row + k / LLK_UNIT * LLK_Q4_0_BYTES;
        const float scale = widen_half(block);
        for (int i = 0; i < LLK_UNIT / 2; i++) {
            w[i] = scale * (float)((block[2 + i] & 15) - 8);
            w[i + LLK_UNIT / 2] = scale * (float)((block[2 + i] >> 4) - 8);
        }
    } else {
        // The low four bits of 256 values, their upper two, 16 sub-scales of 16 values, scale; values are 32 too
        // large. Of each 128 values the first and third 32 share the bytes of their low bits, as do the others.
        const uint8_t *block = row + k / LLK_Q6_K_VALUES * LLK_Q6_K_BYTES;
        const ptrdiff_t half = k % LLK_Q6_K_VALUES / 128, quarter = k % 128 / LLK_UNIT;
        const uint8_t *low = block + 64 * half + 32 * (quarter & 1);
        const uint8_t *high = block + 128 + 32 * half;
        const int8_t *subscales = (const int8_t *)block + 192 + 8 * half + 2 * quarter;
        const int low_shift = quarter < 2 ? 0 : 4, high_shift = 2 * (int)quarter;
        const float scale = widen_half(block + 208);
        for (int s = 0; s < 2; s++) {
            const float subscale = scale * (float)subscales[s];
            for (int i = 16 * s; i < 16 * (s + 1); i++) {
                const int q = (low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4;
                w[i] = subscale * (float)(q - 32);
            }
        }
    }
}

// MARK: - The same blocks

// A scale as the products take it, never infinite and never NaN: as `narrow_halves` saturates.
INLINE uint16_t finite_half(const uint8_t *p) {
    const uint16_t bits = (uint16_t)(p[0] | p[1] << 8);
    if ((bits & 0x7c00) != 0x7c00) return bits;
    return (bits & 0x3ff) ? 0xfbff : (uint16_t)((bits & 0x8000) | 0x7bff);
}

// Four int8 at once: −128, which quantizers of Q8_0 do not write, becomes −127, because products may need its
// magnitude in seven bits.
INLINE uint32_t without_minus_128(uint32_t word) {
    const uint32_t rest = word ^ 0x80808080;
    const uint32_t is_nonzero = (((rest & 0x7f7f7f7f) + 0x7f7f7f7f) | rest) & 0x80808080;
    return word + ((is_nonzero ^ 0x80808080) >> 7);
}

// Words of four bytes go to [word][PANEL]; `bits` per value are as many words a block.
INLINE void move_blocks(const int bits, const uint8_t *rows, ptrdiff_t row_bytes, ptrdiff_t k, ptrdiff_t n,
                        char *unit) {
    const ptrdiff_t block_bytes = bits == 8 ? LLK_Q8_0_BYTES : LLK_Q4_0_BYTES;
    const uint32_t offset = bits == 8 ? Q8_OFFSET * 0x01010101u : 0;
    if (n < PANEL) {
        memset(unit, 0, SCALE_BYTES);
        memset(unit + SCALE_BYTES, bits == 8 ? Q8_OFFSET : 0x88, (size_t)(bits * GROUP_BYTES));
    }
    rows += k / LLK_UNIT * block_bytes;
    for (ptrdiff_t j = 0; j < n; j++) {
        const uint8_t *block = rows + j * row_bytes;
        const uint16_t scale = finite_half(block);
        memcpy(unit + 2 * j, &scale, sizeof scale);
        for (int g = 0; g < bits; g++) {
            uint32_t word;
            memcpy(&word, block + 2 + 4 * g, sizeof word);
            if (bits == 8) word = without_minus_128(word) ^ offset;
            memcpy(unit + SCALE_BYTES + g * GROUP_BYTES + 4 * j, &word, sizeof word);
        }
    }
}

// MARK: - Every pair

enum { WIDEST_PANEL = LLK_ROW_GRANULE };

INLINE void pack_widened(llk_stored kind, const uint8_t *rows, ptrdiff_t row_bytes, ptrdiff_t k, ptrdiff_t n,
                         void *unit,
                         void (*pack)(const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, void *)) {
    float values[WIDEST_PANEL * LLK_UNIT];
    for (ptrdiff_t j = 0; j < n; j++) widen_stored(kind, rows + j * row_bytes, k, values + j * LLK_UNIT);
    pack(values, 1, LLK_UNIT, LLK_UNIT, n, unit);
}

static void pack_stored_f32(llk_stored kind, const void *rows, ptrdiff_t row_bytes, ptrdiff_t k, ptrdiff_t n,
                            void *unit) {
    pack_widened(kind, rows, row_bytes, k, n, unit, pack_f32);
}

static void pack_stored_bf16(llk_stored kind, const void *rows, ptrdiff_t row_bytes, ptrdiff_t k, ptrdiff_t n,
                             void *unit) {
    pack_widened(kind, rows, row_bytes, k, n, unit, pack_bf16);
}

static void pack_stored_q8(llk_stored kind, const void *rows, ptrdiff_t row_bytes, ptrdiff_t k, ptrdiff_t n,
                           void *unit) {
    if (kind == LLK_STORED_Q8_0)
        move_blocks(8, rows, row_bytes, k, n, unit);
    else
        pack_widened(kind, rows, row_bytes, k, n, unit, pack_q8);
}

static void pack_stored_q4(llk_stored kind, const void *rows, ptrdiff_t row_bytes, ptrdiff_t k, ptrdiff_t n,
                           void *unit) {
    if (kind == LLK_STORED_Q4_0)
        move_blocks(4, rows, row_bytes, k, n, unit);
    else
        pack_widened(kind, rows, row_bytes, k, n, unit, pack_q4);
}
