"""The tokenizer of the demo model, learned from its training text."""
# SPDX-License-Identifier: Apache-2.0

import json

from sizes import END_OF_TEXT, GEOMETRY


def make_tokenizer(training_text):
    """A byte-level BPE laid out as GPT-2's: the 256 bytes, the merges by rank, the end of text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    def byte_level(model):
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        return tokenizer

    learner = byte_level(models.BPE())
    learner.train_from_iterator(
        [scene for scene in training_text.split(END_OF_TEXT) if scene],
        trainers.BpeTrainer(
            vocab_size=GEOMETRY["vocab_size"] - 1,
            min_frequency=2,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[],
            show_progress=False,
        ),
    )
    learned = json.loads(learner.to_str())["model"]
    vocabulary = dict(sorted(learned["vocab"].items(), key=lambda item: item[1]))
    merges = [tuple(merge) for merge in learned["merges"]]
    # GPT-2's readers take it for granted that a merge of rank r makes the token 256 + r.
    for rank, (left, right) in enumerate(merges):
        assert vocabulary[left + right] == 256 + rank, (rank, left, right)
    vocabulary[END_OF_TEXT] = len(vocabulary)
    assert len(vocabulary) == GEOMETRY["vocab_size"]
    tokenizer = byte_level(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer, vocabulary, merges
