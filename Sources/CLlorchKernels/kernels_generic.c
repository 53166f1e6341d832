// The level every processor has: 128-bit vectors; the fused multiply-add is the C library's where the
// instruction is missing.
// SPDX-License-Identifier: Apache-2.0

#define VECTOR_LANES 4
#include "vectors.h"

#define TILE_ROWS 4
#define TILE_VECTORS 4
#define BF16_PANEL_VECTORS 4
#define F32_PREFETCH 0
#define BF16_PREFETCH 0
#define Q8_PREFETCH 0
#define Q4_PREFETCH 0
#define widen_halves widen_halves_portably

#define LLK_QUANTIZED_VECTORS 4
#define Q8_TILE_ROWS 1
#define Q8_TILE_VECTORS 4
#define Q4_TILE_ROWS 1
#define Q4_TILE_VECTORS 4
#define HAS_MAGNITUDES 0
#define Q8_OFFSET 0
#define CORRECTS(bits) ((bits) == 4)
#define CORRECTION_8(sum) 0
#define CORRECTION_4(sum) (-8 * (sum))

// Four int8 products a lane, by shifts: 128-bit vectors of bytes have no common product.
INLINE integers dot(integers sum, integers w, integers x) {
    const naturals weights = (naturals)w, values = (naturals)x;
    for (int b = 0; b < 4; b++) {
        const integers weight = (integers)(weights << (24 - 8 * b)) >> 24;
        const integers value = (integers)(values << (24 - 8 * b)) >> 24;
        sum += weight * value;
    }
    return sum;
}
#define DOT_8(sum, w, x, magnitude) ((void)(magnitude), dot(sum, w, x))
#define DOT_4(sum, w, x) dot(sum, w, x)
#define TOTAL_4(sum) (sum)

#define KERNELS_NAME llk_kernels_generic
#include "kernels_table.h"
