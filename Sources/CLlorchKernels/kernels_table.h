// All kernels of one level and their table. The including file has included vectors.h and defined:
//   TILE_ROWS, TILE_VECTORS              the register tile of float products
//   BF16_PANEL_VECTORS                   vectors of columns in a panel of bf16
//   LLK_QUANTIZED_VECTORS                vectors of columns in a panel of q8 and q4
//   Q8_TILE_ROWS, Q8_TILE_VECTORS, Q4_…  their register tiles
//   DOT_8, DOT_4, TOTAL_4                sum + four products a lane; what sums of DOT_4 become at the end
//   HAS_MAGNITUDES                       whether DOT_8 wants |x| beside x
//   Q8_OFFSET, CORRECTS, CORRECTION_8/4  what is added to q8 weights, and how a block's sum is corrected
//   F32_PREFETCH, BF16_…, Q8_…, Q4_…     bytes ahead of a single row's stream of weights, 0 for none
//   widen_halves, KERNELS_NAME
// SPDX-License-Identifier: Apache-2.0

#include "products.h"
#include "quantized_products.h"
#include "packing.h"
#include "stored_blocks.h"
#include "reductions.h"
#include "elementwise.h"
#include "rows.h"

const llk_kernels KERNELS_NAME = {
    {
        {F32_PANEL, LLK_UNIT * F32_PANEL * 4, 0, pack_f32, pack_stored_f32, unpack_f32, 0, linear_f32},
        {BF16_PANEL, LLK_UNIT * BF16_PANEL * 2, 0, pack_bf16, pack_stored_bf16, unpack_bf16, 0, linear_bf16},
        {PANEL, Q8_UNIT, ROW_UNIT, pack_q8, pack_stored_q8, unpack_q8, quantize_q8, linear_q8},
        {PANEL, Q4_UNIT, ROW_UNIT, pack_q4, pack_stored_q4, unpack_q4, quantize_q4, linear_q4},
    },
    {product_f32, product_f16},
    {causal_product_f32, causal_product_f16},
    narrow,
    layer_norm,
    softmax,
    scale,
    add,
    gelu_tanh,
    gelu_erf,
    exponential,
    fits,
};
