// What one core can do at most: read memory in one stream, multiply f32, bf16 and 8-bit integers.
// Prints one JSON object of the best of several tries, in bytes and operations per second. x86-64 with
// AVX2 or more; compiled with -march=native, as its only user, limits.py, does.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#ifndef __AVX2__
#error "the limits can be measured on x86-64 with AVX2 or more"
#endif

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double larger(double a, double b) { return a > b ? a : b; }

// Keeps the compiler from leaving the work out.
static volatile float sink;

#ifdef __AVX512F__
typedef __m512 vector;
#define ZERO _mm512_setzero_ps
#define LOAD _mm512_loadu_ps
#define ADD _mm512_add_ps
#else
typedef __m256 vector;
#define ZERO _mm256_setzero_ps
#define LOAD _mm256_loadu_ps
#define ADD _mm256_add_ps
#endif
enum { LANES = sizeof(vector) / sizeof(float), SUMS = 8 };

// One stream; `ahead` bytes are asked for early, 0 leaves it to the processor.
static void read_all(const float *values, size_t count, size_t ahead) {
    vector sums[SUMS];
    for (int i = 0; i < SUMS; i++) sums[i] = ZERO();
    for (size_t at = 0; at + SUMS * LANES <= count; at += SUMS * LANES) {
        const float *here = values + at;
        if (ahead)
            for (int i = 0; i < SUMS * LANES; i += 16)
                _mm_prefetch((const char *)(here + i) + ahead, _MM_HINT_T0);
        for (int i = 0; i < SUMS; i++) sums[i] = ADD(sums[i], LOAD(here + i * LANES));
    }
    for (int i = 1; i < SUMS; i++) sums[0] = ADD(sums[0], sums[i]);
    float parts[LANES];
    __builtin_memcpy(parts, &sums[0], sizeof parts);
    sink = parts[0];
}

static double read_rate(size_t bytes) {
    float *values = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (values == MAP_FAILED) {
        perror("roofline: no memory for the stream");
        exit(1);
    }
    madvise(values, bytes, MADV_HUGEPAGE);
    size_t count = bytes / sizeof(float);
    for (size_t i = 0; i < count; i++) values[i] = (float)(i & 7);
    static const size_t distances[] = {0, 512, 1024, 2048, 4096};
    double best = 0;
    for (int try = 0; try < 4; try++)
        for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
            double start = now();
            read_all(values, count, distances[i]);
            best = larger(best, (double)bytes / (now() - start));
        }
    munmap(values, bytes);
    return best;
}

// Ten chains that do not wait for each other: enough for the longest latency at two a cycle.
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
enum { CHAIN_COUNT = 10, TURNS = 8000000, TRIES = 5 };

#define DECLARE(i) vector x##i = ZERO();
#define KEEP(i) x0 = ADD(x0, x##i);
#define RATE(NAME, STEP, OPERATIONS)                                                   \
    static double NAME(void) {                                                         \
        double best = 0;                                                               \
        vector a = ZERO(), b = ZERO();                                                 \
        for (int try = 0; try < TRIES; try++) {                                        \
            CHAINS(DECLARE)                                                            \
            double start = now();                                                      \
            for (int turn = 0; turn < TURNS; turn++) { CHAINS(STEP) }                  \
            best = larger(best, (OPERATIONS) * (double)CHAIN_COUNT * TURNS / (now() - start)); \
            CHAINS(KEEP)                                                               \
            float parts[LANES];                                                        \
            __builtin_memcpy(parts, &x0, sizeof parts);                                \
            sink = parts[0];                                                           \
        }                                                                              \
        return best;                                                                   \
    }

#ifdef __AVX512F__
#define F32(i) __asm__ volatile("vfmadd231ps %1, %2, %0" : "+v"(x##i) : "v"(a), "v"(b));
#else
#define F32(i) __asm__ volatile("vfmadd231ps %1, %2, %0" : "+x"(x##i) : "x"(a), "x"(b));
#endif
RATE(f32_rate, F32, 2.0 * LANES)

// bf16 without an instruction of its own is widened and multiplied as f32.
#ifdef __AVX512BF16__
#define BF16(i) __asm__ volatile("vdpbf16ps %1, %2, %0" : "+v"(x##i) : "v"(a), "v"(b));
RATE(bf16_rate, BF16, 4.0 * LANES)
#define BF16_UNIT "vdpbf16ps"
#else
static double bf16_rate(void) { return f32_rate(); }
#define BF16_UNIT "fma"
#endif

// Sums of products of bytes in 32 bits: one instruction, or three.
#if defined __AVX512VNNI__
#define INT8(i) __asm__ volatile("vpdpbusd %1, %2, %0" : "+v"(x##i) : "v"(a), "v"(b));
#define INT8_UNIT "vpdpbusd"
#elif defined __AVXVNNI__ && !defined __AVX512F__
#define INT8(i) __asm__ volatile("%{vex%} vpdpbusd %1, %2, %0" : "+x"(x##i) : "x"(a), "x"(b));
#define INT8_UNIT "vpdpbusd"
#elif defined __AVX512BW__
#define INT8(i)                                                                        \
    {                                                                                  \
        vector t;                                                                      \
        __asm__ volatile("vpmaddubsw %2, %3, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0" \
                         : "+v"(x##i), "=&v"(t) : "v"(a), "v"(b));                     \
    }
#define INT8_UNIT "vpmaddubsw + vpmaddwd"
#else
#define INT8(i)                                                                        \
    {                                                                                  \
        __m256 t;                                                                      \
        __asm__ volatile("vpmaddubsw %2, %3, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0" \
                         : "+x"(x##i), "=&x"(t) : "x"(a), "x"(b));                     \
    }
#define INT8_UNIT "vpmaddubsw + vpmaddwd"
#endif
RATE(int8_rate, INT8, 8.0 * LANES)

// vpmaddubsw saturates sums of two products; moving the signs to one factor avoids that for one instruction more.
#if defined __AVX512VNNI__ || (defined __AVXVNNI__ && !defined __AVX512F__)
static double int8_exact_rate(void) { return int8_rate(); }
#define INT8_EXACT_UNIT INT8_UNIT
#else
#define INT8_EXACT(i)                                                                          \
    {                                                                                          \
        __m256 t;                                                                              \
        __asm__ volatile("vpsignb %3, %2, %1\n\tvpmaddubsw %1, %3, %1\n\tvpmaddwd %3, %1, %1\n\t" \
                         "vpaddd %1, %0, %0"                                                   \
                         : "+x"(*(__m256 *)&x##i), "=&x"(t)                                    \
                         : "x"(*(__m256 *)&a), "x"(*(__m256 *)&b));                            \
    }
RATE(int8_exact_rate, INT8_EXACT, 64.0)
#define INT8_EXACT_UNIT "vpsignb + vpmaddubsw + vpmaddwd"
#endif

int main(int count, char **arguments) {
    long megabytes = count > 1 ? atol(arguments[1]) : 512;
    if (megabytes < 1 || megabytes > 1 << 16) {
        fprintf(stderr, "roofline: the size must be from 1 to 65536 MiB, found %s\n", arguments[1]);
        return 2;
    }
    printf("{\"read\": %.0f, ", read_rate((size_t)megabytes << 20));
    printf("\"f32\": %.0f, \"bf16\": %.0f, \"int8\": %.0f, ", f32_rate(), bf16_rate(), int8_rate());
    printf("\"int8_exact\": %.0f, \"int8_exact_unit\": \"" INT8_EXACT_UNIT "\", ", int8_exact_rate());
    printf("\"bf16_unit\": \"" BF16_UNIT "\", \"int8_unit\": \"" INT8_UNIT "\"}\n");
    return 0;
}
