"""The settings of the translation task: model, data, search."""

from __future__ import annotations

from pydantic import Field, model_validator

from idlib.training.settings import Decay, Settings

POSITIONS = 1024  # fairseq's longest input


class TranslationSettings(Settings):
    """Settings of the translation task; the defaults are the paper's (facts, section 3).

    ``batch_tokens`` is the number of pieces in an update: sentences times the longest side of any
    of them, as fairseq counts. ``batch_size`` limits the sentences too. ``max_tokens`` and
    ``max_ratio`` (longer side over shorter) drop training pairs; ``test_tokens`` shortens
    validation and test, which are whole without it. ``examples`` samples a split.
    """

    layers: int = Field(6, ge=1)
    width: int = Field(512, ge=4, multiple_of=2)  # half of it sines, half cosines
    ffn: int = Field(1024, ge=1)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.3, ge=0, lt=1)
    attention_dropout: float = Field(0.1, ge=0, lt=1)

    vocabulary: int = Field(12_000, ge=8)
    max_tokens: int = Field(175, ge=1, lt=POSITIONS)  # and the end of the sentence
    max_ratio: float = Field(1.5, ge=1)
    test_tokens: int | None = Field(None, ge=1, lt=POSITIONS)
    examples: dict[str, int] = Field(default_factory=dict)

    smoothing: float = Field(0.1, ge=0, lt=1)
    epochs: int = Field(46, ge=1)  # the earlier report's 50,000 updates
    batch_tokens: int = Field(4096, ge=1)
    batch_size: int | None = Field(None, ge=1)
    lr_peak: float = Field(5e-4, gt=0)
    warmup: int = Field(8000, ge=0)
    betas: tuple[Decay, Decay] = (0.9, 0.98)
    eps: float = Field(1e-6, gt=0)
    weight_decay: float = Field(1e-4, ge=0)

    beams: int = Field(5, ge=1)
    length_penalty: float = 1.0
    decode_tokens: int = Field(200, ge=2, le=POSITIONS)  # fairseq's longest output
    sensitivity_batch: int = Field(48, ge=1)
    sensitivity_examples: int = Field(4000, ge=1)
    lr_head: None = None  # all of the model is new

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> TranslationSettings:
        if self.width % self.heads:
            raise ValueError(
                f"setting heads = {self.heads} does not divide width = {self.width}: set one of "
                "the two so that it does"
            )
        return self
