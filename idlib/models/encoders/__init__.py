"""Encoders with their fast tokenizers: the embedded multilingual one, and any of Hugging Face."""

from idlib.models.encoders.coverage import check_coverage
from idlib.models.encoders.embedded import EMBEDDED
from idlib.models.encoders.errors import EncoderError
from idlib.models.encoders.heads import POOLINGS, Headed, mean_pooled
from idlib.models.encoders.loading import check, checksum, load, tokenizer

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
