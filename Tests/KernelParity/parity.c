// usage: parity levels                          prints the levels that this processor can run
//        parity LEVEL [--seed N] [--reduced] [--cases FUNCTION]
//
// Computes every kernel of one level on seeded inputs and prints a digest of the result's bits per function, to be
// compared with what another level, or a build for another processor, prints: no line may differ.
// --cases prints a line per case of one function as well. Who compares is Tests/EndToEndTests/test_kernel_parity.py.
// SPDX-License-Identifier: Apache-2.0

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "llorch_kernels.h"

static const llk_kernels *kernels;
static bool reduced;
static const char *shown = "";

// MARK: - Digests: FNV-1a over words

static const char *function;
static char description[120];
static uint64_t digest, case_digest;
static long cases, values, total;

static void begin(const char *name) {
    function = name;
    digest = 0xcbf29ce484222325;
    cases = values = 0;
}

static void end(void) {
    printf("%-20s cases %5ld values %8ld digest %016llx\n", function, cases, values,
           (unsigned long long)digest);
    fflush(stdout);
    total += values;
}

static void begin_case(void) { case_digest = 0xcbf29ce484222325; }

static void end_case(void) {
    digest = (digest ^ case_digest) * 0x100000001b3;
    cases++;
    if (strcmp(shown, function) == 0)
        printf("%s, %s: %016llx\n", function, description, (unsigned long long)case_digest);
}

static void take_word(uint32_t word) {
    case_digest = (case_digest ^ word) * 0x100000001b3;
    values++;
}

// NaN is one value: its sign and payload are the processor's business.
static void take(const float *y, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, y + i, sizeof word);
        take_word((word & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : word);
    }
}

static void fail(const char *what) {
    printf("FAILED: %s (%s, %s)\n", what, function, description);
    exit(1);
}

// MARK: - Memory: what must not be written holds a mark, and is looked at afterwards

enum { MARK = 0x7fabcdef };

static void *allocate(ptrdiff_t bytes) {
    void *memory = aligned_alloc(64, (size_t)(bytes / 64 + 1) * 64);
    if (!memory) fail("out of memory");
    return memory;
}

static float *marked(ptrdiff_t n) {
    uint32_t *words = allocate(n * 4);
    for (ptrdiff_t i = 0; i < n; i++) words[i] = MARK;
    return (float *)words;
}

static void expect_marks(const float *y, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, y + i, sizeof word);
        if (word != MARK) fail("wrote beside its result");
    }
}

// MARK: - linear

// What is multiplied with values of a kind: plain ones where products of two of them would all be 0.
static input_kind partner(input_kind kind) {
    return kind == INPUT_SUBNORMAL || kind == INPUT_TINY ? INPUT_PLAIN : kind;
}

static ptrdiff_t up_to_multiple(ptrdiff_t n, ptrdiff_t of) { return (n + of - 1) / of * of; }

// Packs w(k, n) as the engine does, from rows of k ([n][k], as transposed) or of n.
static char *packed(const llk_format *format, const float *w, ptrdiff_t k, ptrdiff_t n,
                    bool transposed) {
    const ptrdiff_t units = up_to_multiple(k, LLK_UNIT) / LLK_UNIT;
    const ptrdiff_t panels = up_to_multiple(n, format->columns) / format->columns;
    const ptrdiff_t k_stride = transposed ? 1 : n, n_stride = transposed ? k : 1;
    char *all = allocate(units * panels * format->unit_bytes), *unit = all;
    for (ptrdiff_t column = 0; column < n; column += format->columns)
        for (ptrdiff_t i = 0; i < k; i += LLK_UNIT, unit += format->unit_bytes)
            format->pack(w + i * k_stride + column * n_stride, k_stride, n_stride,
                         k - i < LLK_UNIT ? k - i : LLK_UNIT,
                         n - column < format->columns ? n - column : format->columns, unit);
    return all;
}

static void take_linear(const llk_format *format, const float *x, ptrdiff_t x_stride,
                        ptrdiff_t rows, const char *panels, const float *bias, ptrdiff_t k,
                        ptrdiff_t n) {
    const ptrdiff_t width = up_to_multiple(n, LLK_ROW_GRANULE), y_stride = width + 64;
    float *y = marked(rows * y_stride);
    const void *input = x;
    ptrdiff_t input_stride = x_stride * 4;
    char *quantized = 0;
    if (format->row_unit_bytes) {
        input_stride = up_to_multiple(k, LLK_UNIT) / LLK_UNIT * format->row_unit_bytes;
        input = quantized = allocate(rows * input_stride);
        for (ptrdiff_t r = 0; r < rows; r++)
            format->quantize(x + r * x_stride, k, quantized + r * input_stride);
    }
    format->linear(input, input_stride, rows, panels, bias, k, n, y, y_stride);
    for (ptrdiff_t r = 0; r < rows; r++) {
        take(y + r * y_stride, n);
        expect_marks(y + r * y_stride + width, y_stride - width);
    }
    free(quantized);
    free(y);
}

static void linear_case(const llk_format *format, ptrdiff_t rows, ptrdiff_t k, ptrdiff_t n) {
    const input_kind kind = (input_kind)(cases % INPUT_FINITE_KINDS);
    const bool has_bias = cases % 3 != 0, transposed = cases % 2;
    const ptrdiff_t x_stride = k + between(0, 9);
    snprintf(description, sizeof description, "case %ld: rows %td k %td n %td inputs %d", cases,
             rows, k, n, kind);
    float *x = allocate(rows * x_stride * 4), *w = allocate(k * n * 4);
    float *bias = allocate(up_to_multiple(n, LLK_ROW_GRANULE) * 4);
    fill(x, rows * x_stride, kind);
    fill(w, k * n, partner(kind));
    fill(bias, up_to_multiple(n, LLK_ROW_GRANULE), kind);
    char *panels = packed(format, w, k, n, transposed);
    begin_case();
    take_linear(format, x, x_stride, rows, panels, has_bias ? bias : 0, k, n);
    end_case();
    free(x), free(w), free(bias), free(panels);
}

static void linear_small(const llk_format *format) {
    static const ptrdiff_t depths[] = {1, 2, 3, 31, 32, 33, 64, 65};
    static const ptrdiff_t widths[] = {1, 15, 16, 17, 31, 32, 33, 63, 64, 65};
    const int step = reduced ? 3 : 1;
    for (ptrdiff_t rows = 1; rows <= 13; rows += rows < 7 ? 1 : 3)
        for (int d = 0; d < 8; d += step)
            for (int w = reduced ? (int)(rows % 3) : 0; w < 10; w += step)
                linear_case(format, rows, depths[d], widths[w]);
}

// k beyond what a block of any level holds, so that sums go through memory.
static void linear_large(const llk_format *format) {
    const ptrdiff_t deep = format->row_unit_bytes ? 2300 : 900;
    for (int i = 0; i < (reduced ? 2 : 12); i++) {
        const ptrdiff_t rows = i % 4 ? between(2, 20) : 1;
        const ptrdiff_t k = between(i % 2 ? 193 : deep / 2, deep);
        linear_case(format, rows, k, between(20, reduced ? 70 : 200));
    }
}

// Weights to the unit and back.
static void pack_unpack(const llk_format *format) {
    for (int i = 0; i < (reduced ? 12 : 60); i++) {
        const ptrdiff_t k = between(1, 100), n = between(1, 140);
        const input_kind kind = (input_kind)(i % INPUT_KINDS);
        snprintf(description, sizeof description, "case %d: k %td n %td inputs %d", i, k, n, kind);
        float *w = allocate(k * n * 4), found[LLK_UNIT];
        fill(w, k * n, kind);
        char *panels = packed(format, w, k, n, i & 1);
        const ptrdiff_t units = up_to_multiple(k, LLK_UNIT) / LLK_UNIT;
        begin_case();
        for (ptrdiff_t column = 0; column < n; column++)
            for (ptrdiff_t u = 0; u < units; u++) {
                const ptrdiff_t panel = column / format->columns;
                format->unpack(panels + (panel * units + u) * format->unit_bytes,
                               column % format->columns, found);
                take(found, LLK_UNIT);
            }
        end_case();
        free(w), free(panels);
    }
}

// Stored blocks of any bytes to the unit, seen through what each column stands for.
static void pack_stored(const llk_format *format) {
    static const ptrdiff_t block_bytes[] = {34, 18, 210}, block_values[] = {32, 32, 256};
    for (int i = 0; i < (reduced ? 12 : 60); i++) {
        const int kind = i % 3;
        const ptrdiff_t blocks = between(1, 4), n = between(1, 140);
        const ptrdiff_t row_bytes = blocks * block_bytes[kind] + between(0, 9), k = blocks * block_values[kind];
        snprintf(description, sizeof description, "case %d: kind %d k %td n %td", i, kind, k, n);
        uint8_t *rows = allocate(n * row_bytes);
        for (ptrdiff_t b = 0; b < n * row_bytes; b++) rows[b] = (uint8_t)between(0, 255);
        char *unit = allocate(format->unit_bytes);
        begin_case();
        // Results in the order of columns, whatever the panel.
        for (ptrdiff_t column = 0; column < n; column++)
            for (ptrdiff_t first = 0; first < k; first += LLK_UNIT) {
                const ptrdiff_t panel = column / format->columns * format->columns;
                float found[LLK_UNIT];
                format->pack_stored((llk_stored)kind, rows + panel * row_bytes, row_bytes, first,
                                    n - panel < format->columns ? n - panel : format->columns, unit);
                format->unpack(unit, column - panel, found);
                take(found, LLK_UNIT);
            }
        end_case();
        free(rows), free(unit);
    }
}

// How a row is laid out is the level's own, so its integers and scales are seen through a unit matrix.
static void quantize(const llk_format *format) {
    float unit_matrix[LLK_UNIT * LLK_UNIT] = {0};
    for (int i = 0; i < LLK_UNIT; i++) unit_matrix[i * LLK_UNIT + i] = 1;
    char *panels = packed(format, unit_matrix, LLK_UNIT, LLK_UNIT, false);
    for (int i = 0; i < (reduced ? 60 : 600); i++) {
        const ptrdiff_t k = i < 64 ? i / 2 + 1 : LLK_UNIT;
        const input_kind kind = (input_kind)(i % INPUT_KINDS);
        snprintf(description, sizeof description, "case %d: k %td inputs %d", i, k, kind);
        float x[LLK_UNIT];
        fill(x, LLK_UNIT, kind);
        begin_case();
        take_linear(format, x, LLK_UNIT, 1, panels, 0, k, LLK_UNIT);
        end_case();
    }
    free(panels);
}

// MARK: - Products of attention

static void products(llk_element element, bool is_causal) {
    static const ptrdiff_t depths[] = {1, 2, 5, 64, 65, 200};
    for (ptrdiff_t rows = 1; rows <= 13; rows++)
        for (int d = 0; d < 6; d++)
            for (ptrdiff_t columns = 16; columns <= 144; columns += 16) {
                if (reduced && (rows + d + columns / 16) % 5) continue;
                const ptrdiff_t k = depths[d], x_stride = k + rows - 1 + between(0, 5);
                const ptrdiff_t w_stride = columns + between(0, 20), slack = between(1, 20);
                const ptrdiff_t y_stride = columns + slack;
                const ptrdiff_t depth = is_causal ? k + rows - 1 : k;
                const input_kind kind = (input_kind)(cases % INPUT_FINITE_KINDS);
                snprintf(description, sizeof description,
                         "case %ld: rows %td k %td columns %td inputs %d", cases, rows, k, columns, kind);
                float *x = allocate(rows * x_stride * 4), *y = marked(rows * y_stride);
                void *w = allocate(depth * w_stride * 4);
                fill(x, rows * x_stride, kind);
                if (element == LLK_ELEMENT_F16) fill_halves(w, depth * w_stride);
                else fill(w, depth * w_stride, partner(kind));
                (is_causal ? kernels->causal_product : kernels->product)[element](
                    x, x_stride, rows, w, w_stride, k, columns, y, y_stride);
                begin_case();
                for (ptrdiff_t r = 0; r < rows; r++) {
                    take(y + r * y_stride, columns);
                    expect_marks(y + r * y_stride + columns, slack);
                }
                end_case();
                free(x), free(w), free(y);
            }
}

// MARK: - Rows and elements

typedef enum { NARROW, LAYER_NORM, SOFTMAX, SCALE, ADD, GELU_TANH, GELU_ERF, EXPONENTIAL } row_function;

static void row_case(row_function which, ptrdiff_t n, input_kind kind) {
    snprintf(description, sizeof description, "case %ld: n %td inputs %d", cases, n, kind);
    float *x = allocate(n * 4), *weight = allocate(n * 4), *bias = allocate(n * 4);
    float *y = marked(n + 16);
    fill(x, n, kind);
    fill(weight, n, INPUT_PLAIN);
    fill(bias, n, INPUT_WIDE);
    const float epsilon = cases % 2 ? 1e-5f : 1e-12f;
    if (which != NARROW && which != LAYER_NORM && which != EXPONENTIAL)
        memcpy(y, x, (size_t)n * 4);
    begin_case();
    switch (which) {
        case NARROW: {
            uint16_t *halves = (uint16_t *)y;
            kernels->narrow(x, halves, n);
            for (ptrdiff_t i = 0; i < n; i++) take_word(halves[i]);
            expect_marks(y + (n + 1) / 2, n + 16 - (n + 1) / 2);
            break;
        }
        case LAYER_NORM: kernels->layer_norm(x, weight, bias, epsilon, n, y); break;
        case SOFTMAX: kernels->softmax(y, n); break;
        case SCALE: kernels->scale(y, weight[0], n); break;
        case ADD: kernels->add(bias, y, n); break;
        case GELU_TANH: kernels->gelu_tanh(y, n); break;
        case GELU_ERF: kernels->gelu_erf(y, n); break;
        case EXPONENTIAL: kernels->exponential(x, y, n); break;
    }
    if (which != NARROW) {
        take(y, n);
        expect_marks(y + n, 16);
    }
    // In place, where that is allowed, must be the same.
    if (which == LAYER_NORM || which == EXPONENTIAL) {
        if (which == LAYER_NORM) kernels->layer_norm(x, weight, bias, epsilon, n, x);
        else kernels->exponential(x, x, n);
        take(x, n);
    }
    end_case();
    free(x), free(y), free(weight), free(bias);
}

static void row_functions(row_function which) {
    static const ptrdiff_t large[] = {96, 127, 128, 129, 768, 1000, 1024, 3072, 4099};
    for (ptrdiff_t n = 1; n <= 67; n++)
        for (int kind = 0; kind < INPUT_KINDS; kind++)
            if (!reduced || (n + kind) % 4 == 0) row_case(which, n, (input_kind)kind);
    for (int i = 0; i < (reduced ? 6 : 9); i++)
        for (int kind = 0; kind < INPUT_KINDS; kind++)
            if (!reduced || (i + kind) % 3 == 0) row_case(which, large[i], (input_kind)kind);
}

// Every half, what lies in the middle between it and the next, and the floats on both sides of that.
static void narrow_ties(void) {
    for (uint32_t half = 0; half < 0x7c00; half += reduced ? 37 : 1) {
        snprintf(description, sizeof description, "half %04x", (unsigned)half);
        const bool is_subnormal = half < 0x400;
        const float value =
            is_subnormal ? (float)half * 0x1p-24f : from_bits((half << 13) + 0x38000000);
        float middle = is_subnormal ? (float)(2 * half + 1) * 0x1p-25f
                                    : from_bits((half << 13) + 0x38001000);
        uint32_t bits;
        memcpy(&bits, &middle, sizeof bits);
        float x[8] = {value, middle, from_bits(bits - 1), from_bits(bits + 1)};
        for (int i = 0; i < 4; i++) x[4 + i] = -x[i];
        uint16_t y[8];
        kernels->narrow(x, y, 8);
        begin_case();
        for (int i = 0; i < 8; i++) take_word(y[i]);
        end_case();
    }
}

// MARK: - The command line

static const struct {
    const char *name;
    llk_level level;
} levels[] = {
    {"generic", LLK_GENERIC}, {"avx2", LLK_AVX2}, {"avx512", LLK_AVX512}, {"neon", LLK_NEON}};
enum { LEVELS = sizeof levels / sizeof *levels };

static void all(void) {
    static const char *const formats[LLK_PRECISIONS] = {"f32", "bf16", "q8", "q4"};
    static const char *const row_names[] = {"narrow", "layer_norm", "softmax", "scale", "add",
                                            "gelu_tanh", "gelu_erf", "exponential"};
    char name[40];
#define WITH(TITLE, CALL) (snprintf(name, sizeof name, TITLE, formats[f]), begin(name), CALL, end())
    for (int f = 0; f < LLK_PRECISIONS; f++) {
        const llk_format *format = &kernels->formats[f];
        WITH("linear_%s_small", linear_small(format));
        WITH("linear_%s_large", linear_large(format));
        WITH("pack_%s", pack_unpack(format));
        WITH("pack_stored_%s", pack_stored(format));
        if (format->quantize) WITH("quantize_%s", quantize(format));
    }
    begin("product_f32"), products(LLK_ELEMENT_F32, false), end();
    begin("product_f16"), products(LLK_ELEMENT_F16, false), end();
    begin("causal_product_f32"), products(LLK_ELEMENT_F32, true), end();
    begin("causal_product_f16"), products(LLK_ELEMENT_F16, true), end();
    for (int i = 0; i < (int)(sizeof row_names / sizeof *row_names); i++)
        begin(row_names[i]), row_functions((row_function)i), end();
    begin("narrow_ties"), narrow_ties(), end();
}

int main(int count, char **arguments) {
    uint64_t seed = 1;
    if (count > 1 && strcmp(arguments[1], "levels") == 0) {
        for (int i = 0; i < LEVELS; i++)
            if (llk_is_supported(levels[i].level)) puts(levels[i].name);
        return 0;
    }
    for (int i = 0; count > 1 && i < LEVELS; i++)
        if (strcmp(arguments[1], levels[i].name) == 0 && llk_is_supported(levels[i].level))
            kernels = llk_kernels_for(levels[i].level);
    bool is_understood = kernels != 0;
    for (int i = 2; i < count; i++) {
        if (strcmp(arguments[i], "--reduced") == 0) reduced = true;
        else if (strcmp(arguments[i], "--seed") == 0 && i + 1 < count)
            seed = strtoull(arguments[++i], 0, 0);
        else if (strcmp(arguments[i], "--cases") == 0 && i + 1 < count) shown = arguments[++i];
        else is_understood = false;
    }
    if (!is_understood) {
        fputs("usage: parity levels | LEVEL [--seed N] [--reduced] [--cases FUNCTION]; LEVEL is "
              "one of those that `parity levels` prints\n", stderr);
        return 2;
    }
    state = seed;
    printf("seed %llu%s\n", (unsigned long long)seed, reduced ? " reduced" : "");
    all();
    printf("%ld values\n", total);
    return 0;
}
