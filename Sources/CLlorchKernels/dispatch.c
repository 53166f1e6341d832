// Which levels this processor can run, and their tables.
// SPDX-License-Identifier: Apache-2.0

#include "llorch_kernels.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

extern const llk_kernels llk_kernels_generic;
#if defined(__x86_64__)
extern const llk_kernels llk_kernels_avx2;
extern const llk_kernels llk_kernels_avx512;
#elif defined(__aarch64__)
extern const llk_kernels llk_kernels_neon;
#endif

bool llk_is_supported(llk_level level) {
    switch (level) {
        case LLK_GENERIC: return true;
#if defined(__x86_64__)
        // These builtins ask the operating system's register state (XGETBV) as well.
        case LLK_AVX2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
                && __builtin_cpu_supports("f16c");
        case LLK_AVX512:
            return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__) && defined(__linux__)
        case LLK_NEON: return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
        default: return false;
    }
}

const llk_kernels *llk_kernels_for(llk_level level) {
    switch (level) {
        case LLK_GENERIC: return &llk_kernels_generic;
#if defined(__x86_64__)
        case LLK_AVX2: return &llk_kernels_avx2;
        case LLK_AVX512: return &llk_kernels_avx512;
#elif defined(__aarch64__)
        case LLK_NEON: return &llk_kernels_neon;
#endif
        default: return 0;
    }
}

const llk_kernels *llk_generic_kernels(void) { return &llk_kernels_generic; }
