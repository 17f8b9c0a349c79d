"""Translations of sentences by beam search, in batches of like length."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from tqdm.auto import tqdm

from idlib.data.batching import token_batches
from idlib.data.pairs import Pairs
from idlib.data.vocabulary import Vocabulary
from idlib.tasks.translation_settings import TranslationSettings


def translated(
    model: nn.Module,
    pairs: Pairs,
    wanted: Sequence[int],
    vocabulary: Vocabulary,
    settings: TranslationSettings,
    name: str,
) -> list[str]:
    """Translations of the sources of these pairs, in the order of ``wanted``."""
    from idlib.models.transformer import beam_search  # transformers takes seconds to import

    device, found = next(model.parameters()).device, {}
    parts = by_length(pairs.lengths, wanted, settings.batch_tokens)
    for part in tqdm(parts, desc=f"translating {name}", unit="batch", leave=False):
        batch = pairs.batch(part)
        pieces = beam_search(
            model,
            batch["input_ids"].to(device),
            batch["attention_mask"].to(device),
            beams=settings.beams,
            length_penalty=settings.length_penalty,
            max_length=settings.decode_tokens,
        )
        found |= dict(zip(part, vocabulary.decode(pieces.tolist()), strict=True))
    return [found[index] for index in wanted]


def by_length(lengths: Sequence[int], wanted: Sequence[int], tokens: int) -> list[list[int]]:
    """Indices in batches of sentences of like length."""
    chosen = [lengths[index] for index in wanted]
    parts = token_batches(chosen, max([tokens, *chosen]), None)
    return [[wanted[place] for place in part] for part in parts]
