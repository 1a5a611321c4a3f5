"""A Llama of random weights and its own small tokenizer: the same bytes on every machine."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tasks.training.recipe import RandomBase

TEXT = """\
AAPL news before the session: Direction: up
MSFT news before the session: Direction: down
IBM GOOG FB news headlines for the company before the session opens on the exchange today
shares of the company rise after strong results beat expectations and guidance is raised
shares of the company fall after weak results miss expectations and guidance is cut
record profit, surprise loss, upbeat outlook, gloomy outlook, upgraded, downgraded by analysts
wins a large contract, loses a large contract, strong demand, weak demand, new product, delay
stock price up, stock price down, market, trading, quarter, revenue, earnings, forecast, report
surges, slumps, jumps, drops, gains, losses, positive, negative, growth, decline, lawsuit, deal
"""
"""What the tokenizer's merges are learned from; any other text falls back to single bytes."""

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>")


def tiny_tokenizer(vocabulary: int, words: str = "") -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `vocabulary` pieces, learned from `TEXT` and words."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    spaced = [f" {word}" for word in words.split()]  # as they stand within a headline
    tokenizer.train_from_iterator([*TEXT.splitlines(), *spaced], trainer)
    names = dict(zip(("pad_token", "bos_token", "eos_token"), SPECIAL_TOKENS, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def tiny_model(base: RandomBase) -> LlamaForCausalLM:
    """A Llama of the base's shape with weights drawn from its seed (float32, on the CPU)."""
    shape = base.shape
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=shape.head_size,
        tie_word_embeddings=shape.tied_embeddings,
        max_position_embeddings=2048,
        initializer_range=0.1,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(base.weights_seed)
        return LlamaForCausalLM(config)
