"""Reads the published 4-bit weights: one file of header, pieces, directory and tensors.

Little-endian. A tensor is float32, or 4-bit: blocks of 32 values, each a float16 scale and 16
bytes whose low nibbles are the values 0 to 15 and whose high nibbles the values 16 to 31. Nothing
is unpacked here: blocks are taken as they are.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

MAGIC, VERSION = b"E5S1", 1
VALUES, BYTES = 32, 18  # of a block
SIZES = (  # the header's first seven numbers, in transformers' names
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
)
WORDS = "emb.word"


@dataclass(frozen=True)
class Weights:
    """What the file holds.

    Attributes:
        config: sizes and the layer norms' epsilon, in transformers' names.
        pieces: of the vocabulary, in the order of the rows of ``emb.word``; there may be more
            rows than pieces.
        tensors: float32 in their shape, or blocks as uint8 [N, 18].
        shapes: of each tensor's values.
    """

    config: dict[str, Any]
    pieces: list[bytes]
    tensors: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]

    @property
    def spare(self) -> int:
        """Rows of the word embeddings that belong to no piece."""
        return self.shapes[WORDS][0] - len(self.pieces)

    def cut(self, rows: list[int]) -> Weights:
        """The same with only these rows of the word embeddings, and their pieces."""
        wide = self.shapes[WORDS][1]
        table = self.tensors[WORDS]
        kept = table.reshape(self.shapes[WORDS][0], -1)[rows].reshape(-1, *table.shape[1:])
        return Weights(
            {**self.config, "vocab_size": len(rows)},
            [self.pieces[row] for row in rows],
            {**self.tensors, WORDS: kept if table.dtype == np.uint8 else kept.reshape(-1, wide)},
            {**self.shapes, WORDS: (len(rows), wide)},
        )


class _Reader:
    """Takes one value after another, and says where the file ends too early."""

    def __init__(self, content: bytes, name: str) -> None:
        self.content, self.name, self.place = content, name, 0

    def take(self, size: int, what: str) -> bytes:
        found = self.at(self.place, size, what)
        self.place += size
        return found

    def at(self, place: int, size: int, what: str) -> bytes:
        if place + size > len(self.content):
            raise SystemExit(
                f"{self.name} is truncated: {what} should end at byte {place + size:,}, the file "
                f"at byte {len(self.content):,}; fetch it again"
            )
        return self.content[place : place + size]

    def numbers(self, form: str, what: str) -> tuple:
        form = f"<{form}"
        return struct.unpack(form, self.take(struct.calcsize(form), what))


def shapes_of(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a model of this size, by its published name."""
    wide, inner = config["hidden_size"], config["intermediate_size"]
    shapes = {
        WORDS: (config["vocab_size"], wide),
        "emb.pos": (config["max_position_embeddings"], wide),
        "emb.type": (config["type_vocab_size"], wide),
        "emb.ln.w": (wide,),
        "emb.ln.b": (wide,),
    }
    dense = {name: (wide, wide) for name in ("q", "k", "v", "ao")}
    dense |= {"fi": (inner, wide), "fo": (wide, inner)}  # [out, in]
    for layer in range(config["num_hidden_layers"]):
        for name, shape in dense.items():
            shapes |= {f"l{layer}.{name}.w": shape, f"l{layer}.{name}.b": shape[:1]}
        for name in ("aln", "oln"):
            shapes |= {f"l{layer}.{name}.w": (wide,), f"l{layer}.{name}.b": (wide,)}
    return shapes


def read_weights(content: bytes, name: str) -> Weights:
    """The published file, checked as far as it can be.

    Args:
        content: its bytes.
        name: of the file, for messages.

    Raises:
        SystemExit: if it is another kind of file, ends too early, lacks a tensor, or has one of
            another size; the message names it.
    """
    reader = _Reader(content, name)
    magic = content[:4]
    if magic != MAGIC:
        raise SystemExit(
            f"{name} begins with {magic!r} and not with {MAGIC!r}: another kind of file"
        )
    reader.place = 4
    version, *sizes, epsilon, values, count, _, _, pad, _, length = reader.numbers(
        "I7ifi5iQ", "the header"
    )
    if (version, values) != (VERSION, VALUES):
        raise SystemExit(
            f"{name} is of version {version} with blocks of {values} values; this reads version "
            f"{VERSION} with blocks of {VALUES}"
        )
    config = dict(zip(SIZES, sizes, strict=True))
    # The shortest decimal of the float32 that stands there.
    config |= {"layer_norm_eps": float(str(np.float32(epsilon))), "pad_token_id": pad}
    ends = reader.numbers(f"{count + 1}I", "the pieces' places")
    reader.take(4 * count, "the pieces' scores")  # the tokenizer has them too
    blob = reader.take(length, "the pieces")
    pieces = [blob[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]
    _, length = reader.numbers("iI", "the normalisation's length")
    reader.take(length, "the normalisation")  # likewise
    tensors = _tensors(reader)
    shapes = shapes_of(config)
    for tensor, shape in shapes.items():
        if tensor not in tensors:
            raise SystemExit(f"{name} has no tensor {tensor}")
        array, size = tensors[tensor], int(np.prod(shape))
        found = array.size if array.dtype != np.uint8 else len(array) * VALUES
        whole = array.dtype != np.uint8 or shape[-1] % VALUES == 0  # no block spans two rows
        if found != size or not whole:
            raise SystemExit(
                f"{name}: tensor {tensor} has {found:,} values and not those of {shape}"
            )
        tensors[tensor] = array if array.dtype == np.uint8 else array.reshape(shape)
    return Weights(config, pieces, {tensor: tensors[tensor] for tensor in shapes}, shapes)


def _tensors(reader: _Reader) -> dict[str, np.ndarray]:
    found = {}
    (count,) = reader.numbers("i", "the number of tensors")
    for number in range(count):
        (length,) = reader.numbers("H", f"the name of tensor {number}")
        tensor = reader.take(length, f"the name of tensor {number}").decode()
        kind, elements, place, size = reader.numbers("BIQQ", f"the place of {tensor}")
        data = reader.at(place, size, tensor)
        if kind == 0 or size == 4 * elements:
            found[tensor] = np.frombuffer(data, "<f4")
        elif size * VALUES == BYTES * elements:
            found[tensor] = np.frombuffer(data, np.uint8).reshape(-1, BYTES)
        else:
            raise SystemExit(
                f"{reader.name}: tensor {tensor} has {size:,} bytes for {elements:,} values, "
                "neither float32 nor 4-bit"
            )
    return found
