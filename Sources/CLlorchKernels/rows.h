// Layer norm and softmax of one row.
// SPDX-License-Identifier: Apache-2.0

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
