"""The network: GPT-2 written out, so that training needs torch but not transformers."""
# SPDX-License-Identifier: Apache-2.0

import math

from sizes import DROPOUT, GEOMETRY, LAYER_NORM_EPSILON, SEED


def make_network(torch):
    """GPT-2 with transformers' parameter names; its linear weights lie [inputs, outputs]."""
    nn, functional = torch.nn, torch.nn.functional
    width, heads = GEOMETRY["n_embd"], GEOMETRY["n_head"]

    class Projection(nn.Module):
        def __init__(self, inputs, outputs, deviation):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(inputs, outputs) * deviation)
            self.bias = nn.Parameter(torch.zeros(outputs))

        def forward(self, x):
            return functional.linear(x, self.weight.T, self.bias)

    # The projections that write to the residual stream start smaller, so that its variance does not
    # grow with depth (GPT-2's initialisation).
    residual = 0.02 / math.sqrt(2 * GEOMETRY["n_layer"])

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.c_attn = Projection(width, 3 * width, 0.02)
            self.c_proj = Projection(width, width, residual)

        def forward(self, x):
            batch, length, _ = x.shape
            split = self.c_attn(x).view(batch, length, 3, heads, width // heads)
            query, key, value = split.permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            mixed = self.c_proj(mixed.transpose(1, 2).reshape(batch, length, width))
            return functional.dropout(mixed, DROPOUT, self.training)

    class FeedForward(nn.Module):
        def __init__(self):
            super().__init__()
            self.c_fc = Projection(width, 4 * width, 0.02)
            self.c_proj = Projection(4 * width, width, residual)

        def forward(self, x):
            x = self.c_proj(functional.gelu(self.c_fc(x), approximate="tanh"))
            return functional.dropout(x, DROPOUT, self.training)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1 = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
            self.attn = Attention()
            self.ln_2 = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
            self.mlp = FeedForward()

        def forward(self, x):
            x = x + self.attn(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte = nn.Embedding(GEOMETRY["vocab_size"], width)
            self.wpe = nn.Embedding(GEOMETRY["n_positions"], width)
            self.h = nn.ModuleList(Block() for _ in range(GEOMETRY["n_layer"]))
            self.ln_f = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
            for embedding in (self.wte, self.wpe):
                nn.init.normal_(embedding.weight, std=0.02)

        def forward(self, tokens):
            x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
            x = functional.dropout(x, DROPOUT, self.training)
            for block in self.h:
                x = block(x)
            return functional.linear(self.ln_f(x), self.wte.weight)

    torch.manual_seed(SEED)
    return Network()
