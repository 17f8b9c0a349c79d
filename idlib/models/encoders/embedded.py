"""The embedded multilingual encoder: its verified files, unpacked to what transformers names.

It is multilingual-e5-small as it was published in 4-bit blocks, its vocabulary cut to what the
embedded text needs; ``SOURCE.md`` beside the files tells how. No value is changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load
from torch import Tensor

from idlib.data import tables

EMBEDDED = "embedded"
FOLDER = Path(__file__).parents[2] / "data" / "embedded" / "multilingual_e5_small"
WEIGHTS, TOKENIZER = FILES = ("encoder.safetensors", "tokenizer.json")
FORMAT = "Q4_0 blocks as uint8 [N, 18], or float32"  # of the tensors
METADATA = "encoder"  # the entry of the metadata that describes them
WORDS = "emb.word"
MOST_PIECES = 512  # of a text
SPECIAL = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
_EMBEDDINGS = {  # from the published name to transformers'
    "word": "word_embeddings",
    "pos": "position_embeddings",
    "type": "token_type_embeddings",
    "ln": "LayerNorm",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_KINDS = {"w": "weight", "b": "bias"}


def file(name: str, folder: Path | None = None) -> bytes:
    """One of the files, verified against ``CHECKSUMS``.

    Raises:
        DataError: if it is missing or damaged; the message names it.
    """
    folder = folder or FOLDER
    return tables.verified(folder / name, tables.published(folder))[0]


def config() -> Any:
    """The configuration of the whole encoder, a new one at each call."""
    from transformers import BertConfig

    return BertConfig(**_opened(FOLDER)[0]["config"])


def fast_tokenizer(content: bytes) -> Any:
    """The tokenizer from its ``tokenizer.json``, cut or not."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_buffer(content),
        model_max_length=MOST_PIECES,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        **SPECIAL,
    )


def state(layers: int) -> dict[str, Tensor]:
    """The weights of the embeddings and the first layers, by transformers' names.

    They are kept for the next call: models take copies.
    """
    names = [name for name in _opened(FOLDER)[1] if _layer(name) < layers]
    return {transformers_name(name): values(name) for name in names}


def values(name: str) -> Tensor:
    """The float32 values of one tensor by its published name, the same object at each call."""
    return _values(FOLDER, name)


def dequantised(blocks: np.ndarray) -> np.ndarray:
    """Blocks of Q4_0 as their values.

    A block is a float16 scale and 32 values of 4 bits, each of which stands for eight more than
    itself, in units of the scale; the low halves of its bytes are the first 16. The products are
    exact in float32: 11 bits times 4.

    Args:
        blocks: uint8 [N, 18].

    Returns:
        float32 [N, 32].

    >>> block = np.array([0x00, 0x38, *range(16)], np.uint8)  # 0.5 and 0 to 15
    >>> dequantised(block[None])[0, [0, 8, 15, 16]].tolist()
    [-4.0, 0.0, 3.5, -4.0]
    """
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)  # [N, 1]
    halves = blocks[:, 2:] & 15, blocks[:, 2:] >> 4
    return (np.concatenate(halves, axis=1).astype(np.float32) - 8) * scales


def transformers_name(name: str) -> str:
    """The name that ``BertModel`` has for a published tensor.

    >>> transformers_name("l2.fo.b")
    'encoder.layer.2.output.dense.bias'
    >>> transformers_name("emb.word")
    'embeddings.word_embeddings.weight'
    """
    place, part, kind = (*name.split("."), "w")[:3]
    if place == "emb":
        return f"embeddings.{_EMBEDDINGS[part]}.{_KINDS[kind]}"
    return f"encoder.layer.{place[1:]}.{_LAYER[part]}.{_KINDS[kind]}"


def _layer(name: str) -> int:
    place = name.split(".")[0]
    return -1 if place == "emb" else int(place[1:])


@cache
def _opened(folder: Path) -> tuple[Mapping[str, Any], Mapping[str, np.ndarray]]:
    """What the metadata say (``format``, ``config`` and ``shapes``), and the published tensors."""
    content = file(WEIGHTS, folder)
    length = int.from_bytes(content[:8], "little")  # of safetensors' header
    about = json.loads(content[8 : 8 + length])["__metadata__"][METADATA]
    return json.loads(about), load(content)


@cache
def _values(folder: Path, name: str) -> Tensor:
    about, tensors = _opened(folder)
    found = tensors[name]
    if found.dtype == np.uint8:
        found = dequantised(found)
    return torch.from_numpy(found.reshape(about["shapes"][name]).copy())
