"""Small fast tokenizers and tiny encoders for them, as transformers loads and saves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

NAMES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


def as_fast(
    tokenizer: Tokenizer,
    special: Sequence[str],
    pair: str = "{cls} $A {sep} $B:1 {sep}:1",
    types: bool = True,
    max_length: int = 512,
) -> PreTrainedTokenizerFast:
    """A tokenizer whose special tokens are those of ``NAMES``, in this order."""
    cls, sep = special[2:4]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=pair.format(cls=cls, sep=sep),
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (cls, sep)],
    )
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=inputs if types else inputs[::2],
        model_max_length=max_length,
        **dict(zip(NAMES, special, strict=False)),
    )


def write_bert(
    folder: Path,
    tokenizer: PreTrainedTokenizerFast,
    width: int = 16,
    inner: int = 32,
    layers: int = 2,
    pooler: bool = False,
) -> Path:
    """A BERT of random weights, always the same, and its tokenizer."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=inner,
        max_position_embeddings=tokenizer.model_max_length,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=pooler).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
