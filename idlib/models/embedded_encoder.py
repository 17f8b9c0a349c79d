"""The embedded multilingual encoder: its verified files, unpacked to what transformers names.

It is multilingual-e5-small as it was published in 4-bit blocks, its vocabulary cut to what the
embedded text needs; ``SOURCE.md`` beside the files says how. No value is changed.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from idlib.data.checksums import verified

if TYPE_CHECKING:  # transformers takes seconds to import
    from transformers import BertConfig, PreTrainedTokenizerFast

FOLDER = Path(__file__).parents[1] / "data" / "embedded" / "multilingual_e5_small"
WEIGHTS, TOKENIZER = FILES = ("encoder.safetensors", "tokenizer.json")
FORMAT = "Q4_0 blocks as uint8 [N, 18], or float32"  # of the tensors
METADATA = "encoder"  # the entry of the metadata that describes them
WORDS = "emb.word"
MAX_TOKENS = 512  # of a text
SPECIAL_TOKENS = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
_NAMES = {  # from the published name of a part to transformers'
    "word": "word_embeddings",
    "pos": "position_embeddings",
    "type": "token_type_embeddings",
    "ln": "LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def file(name: str) -> bytes:
    """One of the files, verified against ``CHECKSUMS``.

    Raises:
        DataError: it is missing or damaged; the message names it.
    """
    return verified(FOLDER, name)[0]


def config() -> BertConfig:
    """The configuration of the whole encoder, a new one at each call."""
    from transformers import BertConfig

    return BertConfig(**_opened(FOLDER)[0]["config"])


def fast_tokenizer(content: bytes) -> PreTrainedTokenizerFast:
    """The tokenizer from its ``tokenizer.json``, cut or not."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_buffer(content),
        model_max_length=MAX_TOKENS,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        **SPECIAL_TOKENS,
    )


def state(layers: int) -> dict[str, Tensor]:
    """The weights of the embeddings and the first layers, by transformers' names.

    They are kept for the next call: models take copies.
    """
    return {
        transformers_name(name): values(name)
        for name in _opened(FOLDER)[1]
        if name.startswith("emb.") or int(name.split(".")[0][1:]) < layers
    }


def values(name: str) -> Tensor:
    """The float32 values of one tensor by its published name, the same object at each call."""
    return _values(FOLDER, name)


def dequantised(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The values [N, 32] of Q4_0 blocks [N, 18].

    A block is a float16 scale and 32 values of 4 bits, each of which stands for eight more than
    itself, in units of the scale; the low halves of its bytes are the first 16. The products are
    exact in float32: 11 bits times 4.

    >>> block = np.array([0x00, 0x38, *range(16)], np.uint8)  # 0.5 and 0 to 15
    >>> dequantised(block[None])[0, [0, 8, 15, 16]].tolist()
    [-4.0, 0.0, 3.5, -4.0]
    """
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)  # [N, 1]
    halves = blocks[:, 2:] & 15, blocks[:, 2:] >> 4
    return (np.concatenate(halves, axis=1).astype(np.float32) - 8) * scales


def transformers_name(name: str) -> str:
    """The name that ``BertModel`` has for a published tensor.

    >>> transformers_name("l2.fo.b"), transformers_name("emb.word")
    ('encoder.layer.2.output.dense.bias', 'embeddings.word_embeddings.weight')
    """
    place, part, kind = (*name.split("."), "w")[:3]
    parent = "embeddings" if place == "emb" else f"encoder.layer.{place[1:]}"
    return f"{parent}.{_NAMES[part]}.{'bias' if kind == 'b' else 'weight'}"


@cache
def _opened(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The described ``format``, ``config`` and ``shapes``, and the published tensors."""
    file(WEIGHTS)
    with safe_open(folder / WEIGHTS, "numpy") as opened:
        description = json.loads(opened.metadata()[METADATA])
        return description, {name: opened.get_tensor(name) for name in opened.keys()}


@cache
def _values(folder: Path, name: str) -> Tensor:
    description, tensors = _opened(folder)
    published = tensors[name]
    if published.dtype == np.uint8:
        published = dequantised(published)
    return torch.from_numpy(published.reshape(description["shapes"][name]).copy())
