// exp, GELU and the like, as fixed sequences of correctly rounded operations. No libm.
// SPDX-License-Identifier: Apache-2.0

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

static void narrow(const float *x, uint16_t *y, ptrdiff_t n) {
    ptrdiff_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)
        *(halves *)(y + i) = __builtin_convertvector(narrow_halves(load(x + i)), halves);
    if (i < n) {
        float rest[LLK_LANES];
        tail(x + i, n - i, 0, rest);
        const halves last = __builtin_convertvector(narrow_halves(load(rest)), halves);
        memcpy(y + i, &last, (size_t)(n - i) * sizeof(uint16_t));
    }
}

// Whether no magnitude is above `limit`; that of NaN always is, because bits of magnitudes are ordered as numbers.
static int fits(const float *x, ptrdiff_t n, float limit) {
    uint32_t bits;
    memcpy(&bits, &limit, sizeof bits);
    // Carries into the highest bit where a magnitude is above the limit.
    const uint32_t room = 0x7fffffff - bits;
    naturals found = (naturals)splat(0.0f);
    ptrdiff_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES) found |= ((naturals)load(x + i) & 0x7fffffff) + room;
    if (i < n) {
        float rest[LLK_LANES];
        tail(x + i, n - i, 0, rest);
        found |= ((naturals)load(rest) & 0x7fffffff) + room;
    }
    uint32_t any = 0;
    for (int lane = 0; lane < VECTOR_LANES; lane++) any |= found[lane];
    return !(any >> 31);
}
