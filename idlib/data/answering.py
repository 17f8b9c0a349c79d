"""Questions on texts, whose answers are parts of the text, in windows of word pieces.

LibreOffice Help embedded, TyDiQA's gold passages from the hub, or a folder of tables in the schema
of SQuAD. English is trained on; every language is tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from idlib.data import checksums, limits, questions
from idlib.data import languages as multilingual
from idlib.data.errors import DataError
from idlib.data.languages import Multilingual
from idlib.data.questions import SOURCES, Found, Question
from idlib.data.windows import Window, cut, encode

__all__ = ["SOURCES", "AnsweringData", "Question", "Windows", "load"]

TEST = "test/"

Batch = dict[str, Tensor]


class Windows:
    """The windows of the questions of one split, and batches of them.

    Args:
        questions: in the order of their source.
        windows: each question's one after the other, in the order of the questions.
        padding: the tokenizer's piece and token type of padding.

    Attributes:
        input_ids: pieces of each window, the special ones included.
        lengths: how many these are.
        items: for each window the index of its question.
        ids: of the questions.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        windows: Sequence[Window],
        padding: tuple[int, int] = (0, 0),
    ):
        self.questions, self.windows, self.padding = list(questions), list(windows), padding
        self.input_ids = [window.ids for window in self.windows]
        self.lengths = [len(ids) for ids in self.input_ids]
        self.items = [window.item for window in self.windows]
        self.ids = [question.id for question in self.questions]

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """These windows, padded at the end to the longest of them.

        Returns:
            ``input_ids`` int64 [B, L]; ``attention_mask`` int64 [B, L], 1 where there is a piece;
            ``token_type_ids`` int64 [B, L] where the tokenizer has them; ``positions`` bool
            [B, L], where an answer may begin and end: the pieces of the context, and position 0,
            which stands for no answer; ``start`` and ``end`` int64 [B], the answer's first and
            last position, 0 where the window does not hold all of it.
        """
        chosen = [self.windows[i] for i in torch.as_tensor(indices, dtype=torch.int64).tolist()]
        lengths = torch.tensor([len(window.ids) for window in chosen])
        places = torch.arange(int(lengths.max()))
        columns = {"input_ids": ([window.ids for window in chosen], self.padding[0])}
        if all(window.types is not None for window in chosen):
            columns["token_type_ids"] = ([window.types for window in chosen], self.padding[1])
        batch = {
            name: torch.tensor([row + [pad] * (len(places) - len(row)) for row in rows])
            for name, (rows, pad) in columns.items()
        }
        first = torch.tensor([window.first for window in chosen])[:, None]
        size = torch.tensor([len(window.offsets) for window in chosen])[:, None]
        return {
            **batch,
            "attention_mask": (places < lengths[:, None]).long(),
            "positions": (places == 0) | ((places >= first) & (places < first + size)),
            "start": torch.tensor([window.start for window in chosen]),
            "end": torch.tensor([window.end for window in chosen]),
        }

    def by_question(self) -> list[list[int]]:
        """For each question the indices of its windows."""
        found: list[list[int]] = [[] for _ in self.questions]
        for index, item in enumerate(self.items):
            found[item].append(index)
        return found

    def text(self, index: int, start: int, end: int) -> str:
        """The part of the original context between two positions of a window, both included."""
        window = self.windows[index]
        begin, stop = window.characters(start, end)
        return self.questions[window.item].context[begin:stop].strip()


@dataclass(frozen=True)
class AnsweringData(Multilingual):
    """Questions; the reasons to drop one are :data:`idlib.data.questions.REASONS`."""

    splits: dict[str, Windows]


def load(
    source: str,
    tokenizer: Any,
    *,
    root: str | Path | None = None,
    languages: Sequence[str] | None = None,
    max_length: int = 384,
    stride: int = 128,
    sizes: Mapping[str, int] | None = None,
    cache: str | Path = checksums.CACHE,
) -> AnsweringData:
    """The questions of one source, checked and cut into windows before anything is trained.

    A window holds the whole question and at most ``max_length`` pieces; the next one repeats the
    last ``stride`` pieces of its context. A question that cannot be used is an error, but in
    ``hub``, whose data are known to have such, it is left out and counted. Training questions
    whose (first) answer fits into no window are left out everywhere; in validation and test they
    stay, and a model cannot get them right.

    Args:
        source: ``embedded`` (LibreOffice Help), ``hub`` (TyDiQA's gold passages, fetched into
            ``root`` if they are not there; a tenth of the English training questions is held out
            for validation, and the public validation set is tested) or ``path`` (a folder with
            ``en/train.parquet``, ``en/validation.parquet``, ``de/test.parquet`` and so on, or
            ``.jsonl``; questions with the same id in several languages are translations, without
            ids none is the translation of another).
        tokenizer: a fast tokenizer of transformers.
        root: the folder of ``path`` and ``hub``; for ``embedded`` another place of its files.
        languages: that are tested; English always is. None takes all that there are.
        max_length: most pieces of a window, special ones and question included.
        stride: pieces of the context that windows share.
        sizes: fewer questions of ``train`` or ``validation``, or at most so many of ``test`` in
            each language, those first that all tested languages have. A smaller sample is part of
            a larger one, and it is the same for every tokenizer: what fits into no window is left
            out of it and not replaced.
        cache: what ``datasets`` makes of the hub's files is kept in it.

    Raises:
        DataError: an unknown source, split or language, a missing or unreadable file, a question
            that cannot be used, or a split of which nothing is left; the message names what is
            wrong and what to do.
    """
    sizes = dict(sizes or {})
    limits.check_splits(sizes)
    limits.check_length(max_length, tokenizer, pair=True)
    if not 0 <= stride < max_length:
        raise DataError(
            f"stride is {stride}, but must lie from 0 to max_length, {max_length}; "
            + limits.how("stride", max_length // 3)
        )
    folder = None if root is None else Path(root).expanduser()
    found, report = questions.read(source, folder, languages, Path(cache))
    ids = {name: [question.id for question in split.questions] for name, split in found.items()}
    first = multilingual.parallel(own for name, own in ids.items() if name.startswith(TEST))
    for name, split in found.items():
        kept = multilingual.sample(name, ids[name], sizes.get(name.split("/")[0]), first)
        split.questions = [split.questions[index] for index in kept]
    splits = {
        name: _windows(split, tokenizer, max_length, stride, train=name == "train")
        for name, split in found.items()
    }
    report += [line for name, split in found.items() for line in split.report(name)]
    for name, split in found.items():
        if not split.questions:
            said = "; ".join(split.report(name)) or f"{split.file} has no question"
            raise DataError(
                f"nothing is left of split {name}: {said}; give more text, or longer windows: "
                + limits.how("max_length", tokenizer.model_max_length)
            )
    tested = {name: split.ids for name, split in splits.items() if name.startswith(TEST)}
    return AnsweringData(
        source,
        splits,
        tuple(name.removeprefix(TEST) for name in tested),
        multilingual.parallel(tested.values()),
        {name: split.checksum for name, split in found.items()},
        {name: {why: len(p) for why, p in split.gone.items()} for name, split in found.items()},
        report,
    )


def _windows(
    found: Found,
    tokenizer: Any,
    max_length: int,
    stride: int,
    train: bool,
) -> Windows:
    """The windows of a split; questions that cannot be used are taken out of ``found``."""
    asked = found.questions
    encoded = encode(tokenizer, [q.question for q in asked], [q.context for q in asked])
    found.questions, windows = [], []
    for question, pieces in zip(asked, encoded, strict=True):
        room = pieces.room(max_length)
        if room <= stride:
            found.leave_out(
                "question",
                question.place,
                f"the question leaves room for {max(room, 0)} of {max_length} pieces, and windows "
                f"of the context share {stride}; shorten it, or allow longer windows: "
                + limits.how("max_length", tokenizer.model_max_length),
            )
            continue
        own = list(cut(pieces, len(found.questions), question.span, max_length, stride))
        if train and not any(window.holds_answer for window in own):
            found.gone["window"].append(question.place)
            continue
        found.questions.append(question)
        windows += own
    padding = (tokenizer.pad_token_id or 0, tokenizer.pad_token_type_id)
    return Windows(found.questions, windows, padding)
