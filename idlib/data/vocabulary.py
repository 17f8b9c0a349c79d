"""A joint vocabulary of subwords: byte-pair encoding by SentencePiece.

Numbers of the special tokens are fairseq's, so that a decoder starts with ``</s>``.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import sentencepiece

from idlib.data.errors import DataError
from idlib.files import replacing

BOS, PAD, EOS, UNK = SPECIALS = (0, 1, 2, 3)

# All that a model depends on beside the text and its size. One thread, so that ties between pairs
# always break the same way; no text is left out for its length.
OPTIONS: dict[str, Any] = {
    "model_type": "bpe",
    "character_coverage": 1.0,
    "normalization_rule_name": "nmt_nfkc",
    "bos_id": BOS,
    "pad_id": PAD,
    "eos_id": EOS,
    "unk_id": UNK,
    "num_threads": 1,
    "max_sentence_length": 2**30,
}


_log = logging.getLogger(__name__)


class Vocabulary:
    """A SentencePiece model.

    Args:
        model: the model's bytes.

    Attributes:
        model: the same bytes.
        size: number of subwords, the four special tokens included.
        checksum: sha256 of the bytes, in hexadecimal.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self.checksum = hashlib.sha256(model).hexdigest()
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.size: int = self._processor.get_piece_size()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, no special ones (an unknown character is ``UNK``)."""
        if not texts:
            return []
        ids: list[list[int]] = self._processor.encode(list(texts), num_threads=1)
        return ids

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each sequence up to its first ``EOS``, special tokens left out."""
        if not ids:
            return []
        ended = (takewhile(lambda token: token != EOS, sequence) for sequence in ids)
        plain = [[token for token in sequence if token not in SPECIALS] for sequence in ended]
        texts: list[str] = self._processor.decode(plain)
        return texts


def train(texts: Sequence[str], size: int) -> bytes:
    """A model of ``size`` subwords; the same texts in the same order give the same bytes.

    Raises:
        DataError: if the texts have too few different subwords for this size, or more different
            characters than it holds; the message says which sizes are possible.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            vocab_size=size,
            minloglevel=2,  # errors only; they come as exceptions too
            **OPTIONS,
        )
    except RuntimeError as error:
        raise DataError(_explain(str(error), size)) from error
    return model.getvalue()


def cached(texts: Sequence[str], size: int, cache: Path) -> Vocabulary:
    """The vocabulary that :func:`train` makes, kept in ``cache/vocabularies``.

    The file's name is a hash of all that the model depends on, and beside it stands its sha256; a
    file that is not what was written is made again. Where it cannot be written, that costs time
    only.
    """
    path = cache / "vocabularies" / f"{_key(texts, size)}.model"
    known = _load(path)
    if known is not None:
        return known
    made = Vocabulary(train(texts, size))
    with suppress(OSError):  # a read-only place or a full disk: the next call trains again
        with replacing(path) as temporary:
            temporary.write_bytes(made.model)
        with replacing(_beside(path)) as temporary:
            temporary.write_text(_line(made.checksum, path))
    return made


def _key(texts: Sequence[str], size: int) -> str:
    about = {**OPTIONS, "vocab_size": size, "version": sentencepiece.__version__}
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for text in texts:
        line = text.encode()
        key.update(b"\n%d " % len(line) + line)
    return key.hexdigest()


def _load(path: Path) -> Vocabulary | None:
    """The vocabulary of a file, or None if it is not there or not what was written."""
    try:
        model, expected = path.read_bytes(), _beside(path).read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    if _line(hashlib.sha256(model).hexdigest(), path) != expected:
        _log.warning("%s is not what was written; it is made again", path)
        return None
    return Vocabulary(model)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _line(checksum: str, path: Path) -> str:
    return f"{checksum}  {path.name}\n"


def _explain(message: str, size: int) -> str:
    """What SentencePiece says of a size that is not possible, in words of a user's settings."""
    largest = re.search(r"value <= (\d+)", message)
    if largest:
        return (
            f"a vocabulary of {size} subwords is larger than the training text supports; "
            f"choose at most {largest[1]}"
        )
    smallest = re.search(r"smaller than required_chars\. \d+ vs (\d+)", message)
    if smallest:
        return (
            f"a vocabulary of {size} subwords does not hold the special tokens and the characters "
            f"of the training text; choose at least {smallest[1]}"
        )
    return f"SentencePiece makes no vocabulary of {size} subwords from this text: {message}"
