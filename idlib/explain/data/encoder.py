"""The embedded encoder: its size, and what it knows of the languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from idlib.data.tagged_subwords import TaggedItem
from idlib.explain.data.tables import Corpus
from idlib.models import embedded_encoder, encoders


def facts() -> dict[str, object]:
    """Size of the embedded encoder."""
    config = embedded_encoder.config()
    size = sum(path.stat().st_size for path in embedded_encoder.FOLDER.iterdir())
    return {
        "layers": config.num_hidden_layers,
        "width": config.hidden_size,
        "heads": config.num_attention_heads,
        "feed-forward width": config.intermediate_size,
        "subwords kept": config.vocab_size,
        "longest input, subwords": embedded_encoder.MAX_TOKENS,
        "MB on disk": f"{size / 1e6:.1f}",
    }


def translations_found(
    model: nn.Module, tokenizer: Any, pairs: Sequence[Mapping[str, str]]
) -> float:
    """The share of German sentences to which their own English one is nearest among all of them.

    By cosine of the encoder's mean-pooled last states.
    """
    german, english = (
        _pooled(model, tokenizer, [pair[language] for pair in pairs]) for language in ("de", "en")
    )
    found = (german @ english.T).argmax(1)  # [N]
    return float((found == torch.arange(len(pairs))).double().mean())


def subwords_per_token(corpus: Corpus, tokenizer: Any) -> dict[str, float]:
    """Subwords of the tagging test sets over their tokens, by language."""
    found = {}
    for language in corpus.languages:
        rows = corpus.rows[f"tagging/{language}/test"]
        texts = [TaggedItem("", row["tokens"], row["spaces"], []).text for row in rows]
        subwords = tokenizer(texts, add_special_tokens=False)["input_ids"]
        found[language] = sum(map(len, subwords)) / sum(len(row["tokens"]) for row in rows)
    return found


def _pooled(model: nn.Module, tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Unit vectors [N, width] of texts: the mean of the last states of their subwords."""
    batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    pooled = encoders.mean_pooled(states, batch["attention_mask"])
    return torch.nn.functional.normalize(pooled, dim=-1)
