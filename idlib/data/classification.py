"""Examples of classification in word pieces: a text, or a pair of texts, and its class or value.

LibreOffice Help embedded, GLUE from the hub, or tables in folders: several data sets a source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm

from idlib.data import checksums, labelled_text, limits
from idlib.data.labelled_text import DATASETS, LABEL, SOURCES, Example, dataset_of
from idlib.data.limits import SPLITS
from idlib.data.splits import choose

__all__ = [
    "DATASETS",
    "LABEL",
    "SOURCES",
    "SPLITS",
    "ClassificationData",
    "Example",
    "Split",
    "dataset_of",
    "load",
]

SAMPLE_SEED = 1  # of the smaller samples that `sizes` asks for
CHUNK = 2000  # texts tokenised at a time
LONG_WORK = 20_000  # texts from which on a progress bar is shown

Batch = dict[str, Tensor]


class Split:
    """The examples of one split in word pieces, and batches of them.

    Args:
        examples: at least one.
        tokenizer: a fast one of transformers.
        max_length: longer texts are cut, of a pair always the longer one first.
        regression: whether labels are values.

    Attributes:
        texts: of each example, one or two.
        labels: int64 [N], or float32 [N] for a regression.
        ids: of each example, its row in its source, counted from 0 as GLUE's ``idx`` is.
        lengths: number of pieces of each example, special ones included.
        cut: number of examples that lost pieces.
    """

    def __init__(
        self, examples: Sequence[Example], tokenizer: Any, max_length: int, regression: bool = False
    ):
        self.texts = [example.texts for example in examples]
        self.ids = [example.id for example in examples]
        kind = torch.float32 if regression else torch.int64
        self.labels = torch.tensor([example.label for example in examples], dtype=kind)
        self.lengths: list[int] = []
        self.cut = 0
        pieces: dict[str, list[Tensor]] = {"input_ids": []}
        if "token_type_ids" in tokenizer.model_input_names:
            pieces["token_type_ids"] = []
        starts = range(0, len(self.texts), CHUNK)
        hidden = None if len(self.texts) >= LONG_WORK else True
        for start in tqdm(starts, desc="cutting texts into pieces", leave=False, disable=hidden):
            sides = zip(*self.texts[start : start + CHUNK], strict=True)
            found = tokenizer(*map(list, sides), truncation=True, max_length=max_length)
            self.lengths += map(len, found["input_ids"])
            self.cut += sum(bool(encoding.overflowing) for encoding in found.encodings)
            for name, parts in pieces.items():
                flat = [value for part in found[name] for value in part]
                parts.append(torch.tensor(flat, dtype=torch.int32))
        self._pieces = {name: torch.cat(parts) for name, parts in pieces.items()}  # each [ΣL]
        self._starts = [0, *accumulate(self.lengths)]
        self._padding = {
            "input_ids": tokenizer.pad_token_id or 0,
            "token_type_ids": tokenizer.pad_token_type_id,
        }

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def input_ids(self) -> Iterator[list[int]]:
        """Pieces of each example, special ones included."""
        return (part.tolist() for part in self._pieces["input_ids"].split(self.lengths))

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """What an encoder takes, padded at the end to the longest, and the labels.

        Returns:
            ``input_ids`` int64 [B, L]; ``attention_mask`` int64 [B, L], 1 where there is a piece;
            ``token_type_ids`` int64 [B, L] where the tokenizer has such; ``label`` [B].
        """
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        spans = [slice(*self._starts[i : i + 2]) for i in chosen.tolist()]
        batch = {
            name: pad_sequence([flat[span] for span in spans], True, self._padding[name]).long()
            for name, flat in self._pieces.items()
        }
        lengths = torch.tensor([self.lengths[i] for i in chosen.tolist()])
        within = torch.arange(batch["input_ids"].shape[1]) < lengths[:, None]  # [B, L]
        return {**batch, "attention_mask": within.long(), LABEL: self.labels[chosen]}


@dataclass(frozen=True)
class ClassificationData:
    """One data set: its splits and what a model and a record need to know of it.

    Attributes:
        source: ``embedded``, ``hub`` or ``path``.
        dataset: its name.
        splits: ``train``, ``validation`` and ``test``.
        classes: their names; none for a regression.
        checksums: sha256 of each split's content, independent of where it lies.
        dropped: for each split the number of examples left out, by reason: ``hidden`` (the label
            is not published) and ``empty`` (no text).
        report: lines of text on what was dropped, cut or held out, with the place of the first.
    """

    source: str
    dataset: str
    splits: dict[str, Split]
    classes: tuple[str, ...]
    checksums: dict[str, str]
    dropped: dict[str, dict[str, int]]
    report: list[str] = field(default_factory=list)

    @property
    def regression(self) -> bool:
        """Whether the labels are values."""
        return not self.classes


def load(
    source: str,
    tokenizer: Any,
    *,
    root: str | Path | None = None,
    dataset: str | None = None,
    max_length: int = 128,
    sizes: Mapping[str, int] | None = None,
    cache: str | Path = checksums.CACHE,
) -> ClassificationData:
    """One data set of a source, checked and cut into pieces before anything is trained on it.

    Args:
        source: ``embedded`` (LibreOffice Help), ``hub`` (GLUE, fetched into ``root`` if it is not
            there; see :func:`idlib.data.labelled_text.read` for its splits) or ``path`` (a folder
            with one folder a data set, which holds ``train``, ``validation`` and ``test`` as
            ``.parquet`` or ``.jsonl``: columns ``sentence``, or ``sentence1`` and ``sentence2``,
            and ``label``: whole numbers from 0 for classes, any with a fraction for values).
        tokenizer: a fast one of transformers.
        root: the folder of ``path`` and ``hub``; for ``embedded`` another place of its files.
        dataset: its name; by default the first of the source, or the only one of the folder.
        max_length: pieces of an example, special ones included; what is longer is cut.
        sizes: fewer examples of a split; a smaller sample is part of a larger one.
        cache: folder of what ``datasets`` makes of a folder laid out as the hub's.

    Raises:
        DataError: an unknown source, data set or split, or data that cannot be used; the message
            names what is wrong and what to do.
    """
    sizes = dict(sizes or {})
    limits.check_splits(sizes)
    folder = None if root is None else Path(root).expanduser()
    text = labelled_text.read(source, folder, dataset, Path(cache))
    limits.check_length(max_length, tokenizer, len(text.examples["train"][0].texts) > 1)
    chosen = {name: _sample(name, text.examples[name], sizes.get(name)) for name in SPLITS}
    splits, report = {}, list(text.report)
    for name, examples in chosen.items():
        splits[name] = Split(examples, tokenizer, max_length, regression=not text.classes)
        if cut := splits[name].cut:
            report.append(f"{name}: {cut} of {len(examples)} texts cut at {max_length} pieces")
    return ClassificationData(
        source, text.dataset, splits, text.classes, text.checksums, text.dropped, report
    )


def _sample(name: str, examples: list[Example], size: int | None) -> list[Example]:
    if size is None:
        return examples
    limits.check_size(name, size, len(examples), "examples")
    names = ["\t".join(example.texts) for example in examples]
    return [examples[i] for i in choose(names, [0] * len(examples), {0: size}, SAMPLE_SEED)]
