"""A joint vocabulary of word pieces: byte-pair encoding by SentencePiece.

Numbers of the special pieces are fairseq's, so that a decoder starts with ``</s>``.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import sentencepiece

from idlib.data.errors import DataError
from idlib.files import replacing

BOS, PAD, EOS, UNK = SPECIALS = (0, 1, 2, 3)

# All that a model depends on beside the text and its size. One thread, so that ties between pairs
# always break the same way; no text is left out for its length.
OPTIONS = {
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
        size: number of pieces, the four special ones included.
        checksum: sha256 of the bytes, in hexadecimal.
    """

    def __init__(self, model: bytes):
        self.model = model
        self.checksum = hashlib.sha256(model).hexdigest()
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.size = self._processor.get_piece_size()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The pieces of each text, without special ones (an unknown character is ``UNK``)."""
        return self._processor.encode(list(texts), num_threads=1) if len(texts) else []

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each sequence up to its first ``EOS``, special pieces left out."""
        plain = [[piece for piece in _until_end(one) if piece not in SPECIALS] for one in ids]
        return self._processor.decode(plain) if plain else []

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The written form of each piece: ``▁`` stands for a space."""
        return [self._processor.id_to_piece(piece) for piece in ids]


def train(texts: Sequence[str], size: int) -> bytes:
    """A model of ``size`` pieces; the same texts in the same order give the same bytes.

    Raises:
        DataError: if the texts have too few different pieces for this size, or more different
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
    found = Vocabulary(train(texts, size))
    with suppress(OSError):  # a read-only place or a full disk: the next call trains again
        with replacing(path) as temporary:
            temporary.write_bytes(found.model)
        with replacing(_beside(path)) as temporary:
            temporary.write_text(f"{found.checksum}  {path.name}\n")
    return found


def _until_end(ids: Sequence[int]) -> list[int]:
    ids = list(ids)
    return ids[: ids.index(EOS)] if EOS in ids else ids


def _key(texts: Sequence[str], size: int) -> str:
    about = {**OPTIONS, "vocab_size": size, "version": sentencepiece.__version__}
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for text in texts:
        line = text.encode()
        found.update(b"\n%d " % len(line) + line)
    return found.hexdigest()


def _load(path: Path) -> Vocabulary | None:
    """The vocabulary of a file, or None if it is not there or not what was written."""
    try:
        model, expected = path.read_bytes(), _beside(path).read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    if f"{hashlib.sha256(model).hexdigest()}  {path.name}\n" != expected:
        _log.warning("%s is not what was written; it is made again", path)
        return None
    return Vocabulary(model)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _explain(message: str, size: int) -> str:
    most = re.search(r"value <= (\d+)", message)
    if most:
        return (
            f"a vocabulary of {size} pieces is larger than the training text supports; "
            f"choose at most {most[1]}"
        )
    least = re.search(r"smaller than required_chars\. \d+ vs (\d+)", message)
    if least:
        return (
            f"a vocabulary of {size} pieces does not hold the special pieces and the characters "
            f"of the training text; choose at least {least[1]}"
        )
    return f"SentencePiece makes no vocabulary of {size} pieces from this text: {message}"
