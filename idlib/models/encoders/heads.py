"""A linear head on an encoder, and word embeddings that stay as they are."""

from __future__ import annotations

from torch import Tensor, nn

from idlib.models.encoders.errors import EncoderError

POOLINGS = (None, "mean", "first")
STD = 0.02  # of new weights, as transformers draws them


class Headed(nn.Module):
    """An encoder with a new linear head on each state, or on one state that stands for the text.

    Args:
        encoder: of transformers; its pooler is taken away unless the text is pooled by it.
        outputs: number of logits.
        dropout: before the head.
        pooling: None for every position; ``mean`` over the pieces that the mask counts; ``first``
            for the encoder's pooler where it has one, else the first state.

    Raises:
        EncoderError: unknown pooling.
    """

    def __init__(
        self, encoder: nn.Module, outputs: int, *, dropout: float, pooling: str | None = None
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            names = ", ".join(map(str, POOLINGS))
            raise EncoderError(f"unknown pooling {pooling!r}; choose one of {names}")
        if pooling != "first" and getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # nothing would train it
        self.encoder, self.pooling = encoder, pooling
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, outputs)
        nn.init.normal_(self.head.weight, std=STD)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Pieces and mask [B, L] to logits [B, L, outputs], or [B, outputs] where pooled."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        found = self.encoder(**inputs)
        states = found.last_hidden_state  # [B, L, H]
        if self.pooling == "mean":
            states = mean_pooled(states, attention_mask)
        elif self.pooling == "first":
            pooled = getattr(found, "pooler_output", None)
            states = states[:, 0] if pooled is None else pooled
        return self.head(self.dropout(states))


def mean_pooled(states: Tensor, mask: Tensor) -> Tensor:
    """The mean [B, H] of the states [B, L, H] that the mask [B, L] counts.

    >>> import torch
    >>> mean_pooled(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]]))
    tensor([[2.]])
    """
    counted = mask.bool()[..., None]
    return states.masked_fill(~counted, 0).sum(1) / counted.sum(1)


class FrozenEmbedding(nn.Module):
    """Word embeddings that are neither trained nor saved: a buffer that several models share.

    Args:
        table: [pieces, H].
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", table, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Pieces [...] to their embeddings [..., H]."""
        return nn.functional.embedding(ids, self.weight)
