"""The other engines: each module converts our model for one and runs it behind three calls.

    Engine(root, model, variant)      imports the library, reads nothing large
      .prepare()                      converts what is not converted yet
      .load()                         opens the model; this is timed
      .prefill(count) -> seconds      a prompt of so many tokens, to the logits of its last row
      .decode(depth, count) -> seconds  so many single tokens behind a prompt; the prompt is not timed

They run in the environment that `scripts/bench --install-peers` makes, one process each, told to use one
thread. Tokens are fed, not chosen: like llama-bench, this times the forward pass. CTranslate2 has no such
call and chooses its tokens.
"""
# SPDX-License-Identifier: Apache-2.0
