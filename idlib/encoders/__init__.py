"""Encoders with their fast tokenizers: the embedded multilingual one, and any of Hugging Face."""

from idlib.encoders.coverage import check_coverage
from idlib.encoders.embedded import EMBEDDED
from idlib.encoders.errors import EncoderError
from idlib.encoders.heads import POOLINGS, Headed, mean_pooled
from idlib.encoders.loading import check, checksum, load, tokenizer

__all__ = [
    "EMBEDDED",
    "POOLINGS",
    "EncoderError",
    "Headed",
    "check",
    "check_coverage",
    "checksum",
    "load",
    "mean_pooled",
    "tokenizer",
]
