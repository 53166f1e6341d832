// Reductions of 16 virtual lanes: lane j takes elements j, j + 16, …; then halves are folded. One shape at every
// level and for every length, so sums have the same bits everywhere.
// SPDX-License-Identifier: Apache-2.0

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

// MARK: - Rows
