"""Questions on texts, whose answers are parts of the text, in windows of tokens.

LibreOffice Help embedded, TyDiQA's gold passages from the hub, or a folder of tables in the schema
of SQuAD. English is trained on; every language is tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from idlib.data import languages as multilingual
from idlib.data import sources, tables
from idlib.data.batching import Batch, mask, padded
from idlib.data.checksums import content_checksum
from idlib.data.errors import DataError
from idlib.data.languages import ENGLISH, TEST, Multilingual
from idlib.data.loaded import RawSplit
from idlib.data.sources import CACHE, Source, how_to_set
from idlib.data.splits import hold_out
from idlib.data.tables import Row, Table
from idlib.data.windows import Window, cut, encode

if TYPE_CHECKING:  # transformers takes seconds to import
    from transformers import PreTrainedTokenizerFast

TASK = "answering"  # the folder of the embedded tables
COLUMNS = ("context", "question", "answers")  # and id, which a user's table may lack

HUB = "google-research-datasets/tydiqa"
HUB_REVISION = "da78f23f9119363459acbaf46bf89426ff26c259"  # of 2024, parquet instead of a script
HUB_CONFIG = "secondary_task"  # the gold passages
HUB_LANGUAGES = {  # by the first part of an id
    "english": "en",
    "arabic": "ar",
    "bengali": "bn",
    "finnish": "fi",
    "indonesian": "id",
    "korean": "ko",
    "russian": "ru",
    "swahili": "sw",
    "telugu": "te",
}
HELD_OUT = 0.1  # of the hub's English training questions, for validation
HELD_OUT_SEED = 1

REASONS = {  # for which a question is refused, or left out of public data
    "answer": "no answer",
    "span": "an answer that does not stand where it should in its context",
    "twice": "an id that another question has",
    "question": "a question that leaves no room for its context",
    "window": "an answer that fits into no window",
}
"""The reasons by name."""


@dataclass(frozen=True)
class Question:
    """A question on a text.

    Attributes:
        id: translations of one question have the same.
        context: the text.
        question: what is asked.
        answers: texts that answer it, at least one.
        starts: for each the character of the context that it begins with.
        place: ``file:row``.
    """

    id: str
    context: str
    question: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]
    place: str

    @property
    def span(self) -> tuple[int, int]:
        """Characters ``start:end`` of the first answer, without the white space around it."""
        text, start = self.answers[0], self.starts[0]
        start += len(text) - len(text.lstrip())
        return start, start + len(text.strip())


class Windows:
    """The windows of the questions of one split, and batches of them.

    Args:
        questions: in the order of their source.
        windows: each question's one after the other, in the order of the questions.
        padding: the tokenizer's token and token type of padding.

    Attributes:
        input_ids: tokens of each window, the special ones included.
        lengths: how many these are.
        items: for each window the index of its question.
        ids: of the questions.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        windows: Sequence[Window],
        padding: tuple[int, int] = (0, 0),
    ) -> None:
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
            ``input_ids`` int64 [B, L]; ``attention_mask`` int64 [B, L], 1 where there is a token;
            ``token_type_ids`` int64 [B, L] where the tokenizer has them; ``positions`` bool
            [B, L], where an answer may begin and end: the context, and position 0, which stands
            for no answer; ``start`` and ``end`` int64 [B], the answer's first and last position, 0
            where the window does not hold all of it.
        """
        chosen = [self.windows[i] for i in indices]
        batch = {"input_ids": padded([window.ids for window in chosen], self.padding[0])}
        types = [window.types for window in chosen if window.types is not None]
        if types:
            batch["token_type_ids"] = padded(types, self.padding[1])
        batch["attention_mask"] = mask([len(window.ids) for window in chosen]).long()
        places = torch.arange(batch["input_ids"].shape[1])
        first = torch.tensor([window.first for window in chosen])[:, None]
        size = torch.tensor([len(window.offsets) for window in chosen])[:, None]
        batch["positions"] = (places == 0) | ((places >= first) & (places < first + size))
        batch["start"] = torch.tensor([window.start for window in chosen])
        batch["end"] = torch.tensor([window.end for window in chosen])
        return batch

    def by_question(self) -> list[list[int]]:
        """For each question the indices of its windows."""
        grouped: list[list[int]] = [[] for _ in self.questions]
        for index, item in enumerate(self.items):
            grouped[item].append(index)
        return grouped

    def text(self, index: int, start: int, end: int) -> str:
        """The part of the original context between two positions of a window, both included."""
        window = self.windows[index]
        begin, stop = window.characters(start, end)
        return self.questions[window.item].context[begin:stop].strip()


@dataclass(frozen=True)
class AnsweringData(Multilingual[Windows]):
    """Questions; the reasons to drop one are :data:`REASONS`."""


def load(
    source: str,
    tokenizer: PreTrainedTokenizerFast,
    *,
    root: str | Path | None = None,
    languages: Sequence[str] | None = None,
    max_length: int = 384,
    stride: int = 128,
    sizes: Mapping[str, int] | None = None,
    cache: str | Path = CACHE,
) -> AnsweringData:
    """The questions of one source, checked and cut into windows before anything is trained.

    A window holds the whole question and at most ``max_length`` tokens; the next one repeats the
    last ``stride`` tokens of its context. A question that cannot be used is an error, but in
    ``hub``, where some are known to be faulty, it is left out and counted. Training questions
    whose (first) answer fits into no window are left out everywhere; in validation and test they
    stay, and a model cannot get them right.

    Args:
        source: ``embedded`` (LibreOffice Help), ``hub`` (TyDiQA's gold passages, fetched into
            ``root`` if they are not there; a tenth of the English training questions is held out
            for validation, and the public validation set is tested) or ``path`` (a folder with
            ``en/train.parquet``, ``en/validation.parquet``, ``de/test.parquet`` and so on, or
            ``.jsonl``; questions with the same id in several languages are translations, without
            ids none is the translation of another).
        tokenizer: the encoder's.
        root: see :class:`idlib.data.sources.Source`, as for ``cache``.
        languages: those to test, beside English; None: all that the source has.
        max_length: limit of a window in tokens, special ones and question included.
        stride: tokens of the context that windows share.
        sizes: see :func:`idlib.data.languages.sample`. A sample is the same for every tokenizer:
            what fits into no window is left out of it and not replaced.
        cache: of what ``datasets`` makes of the hub's files.

    Raises:
        DataError: data or arguments that cannot be used, or a split of which nothing is left.
    """
    sizes = dict(sizes or {})
    origin = sources.checked(source, root, cache, holding="en/train.parquet, …", splits=sizes)
    sources.check_max_length(max_length, tokenizer, pair=True)
    if not 0 <= stride < max_length:
        raise DataError(
            f"stride is {stride}, but must lie from 0 to max_length, {max_length}; "
            + how_to_set("stride", max_length // 3)
        )
    raw = _read_hub(origin, languages) if source == "hub" else _read(origin, languages)
    multilingual.sample(raw, sizes)
    splits = {name: _windows(own, tokenizer, max_length, stride) for name, own in raw.items()}
    for own in raw.values():
        longest = how_to_set("max_length", tokenizer.model_max_length)
        own.check(f"allow longer windows ({longest}), or ")
    return AnsweringData(source, splits, *multilingual.account(raw))


def _windows(
    raw: RawSplit[Question], tokenizer: PreTrainedTokenizerFast, max_length: int, stride: int
) -> Windows:
    """The windows of a split; questions that cannot be used are left out of it."""
    questions, raw.items = raw.items, []
    encoded = encode(
        tokenizer, [one.question for one in questions], [one.context for one in questions]
    )
    windows: list[Window] = []
    for question, tokens in zip(questions, encoded, strict=True):
        room = tokens.room(max_length)
        if room <= stride:
            raw.refuse(
                "question",
                question.place,
                f"the question leaves room for {max(room, 0)} of {max_length} tokens, and "
                f"windows of the context share {stride}; shorten it, or allow longer windows: "
                + how_to_set("max_length", tokenizer.model_max_length),
            )
            continue
        own = list(cut(tokens, len(raw.items), question.span, max_length, stride))
        if raw.name == "train" and not any(window.holds_answer for window in own):
            raw.leave_out("window", question.place)
            continue
        raw.items.append(question)
        windows += own
    padding = (tokenizer.pad_token_id or 0, tokenizer.pad_token_type_id)
    return Windows(raw.items, windows, padding)


# ---- from the rows of a source to questions


def _read(source: Source, languages: Sequence[str] | None) -> dict[str, RawSplit[Question]]:
    """The questions of each split, English first; one that cannot be used is an error."""
    available = multilingual.available(source, TASK)
    raw = {}
    for language in multilingual.tested(available, languages, source.where):
        own = multilingual.read(source, TASK, language, COLUMNS, ("id",))
        for name, table in own.items():
            raw[name] = _questions(name, table, range(len(table.rows)), table.checksum, True)
    return raw


def _read_hub(source: Source, languages: Sequence[str] | None) -> dict[str, RawSplit[Question]]:
    """TyDiQA's gold passages: its validation set is what is tested, as it has no other."""
    names = ("train", "validation")
    both = tables.read_hub(source, HUB, HUB_REVISION, names, ["id", *COLUMNS], HUB_CONFIG)
    train, test = (both[name] for name in names)
    training, testing = _rows_by_language(train), _rows_by_language(test)
    tested = multilingual.tested(sorted(testing), languages, test.file)
    english = training.get(ENGLISH, [])
    ids = [train.rows[row]["id"] for row in english]
    kept, held_out = hold_out(ids, round(HELD_OUT * len(ids)), HELD_OUT_SEED)
    parts = {
        "train": (train, [english[i] for i in kept]),
        "validation": (train, [english[i] for i in held_out]),
    }
    parts |= {f"{TEST}{language}": (test, testing[language]) for language in tested}
    raw = {}
    for name, (table, own) in parts.items():
        checksum = content_checksum([table.rows[row] for row in own])
        raw[name] = _questions(name, table, own, checksum, False)
    raw["validation"].notes.append(
        f"{len(held_out)} of the {len(ids)} English training questions, held out by a seeded draw; "
        f"the test sets are {test.file}"
    )
    return raw


def _rows_by_language(table: Table) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for index, row in enumerate(table.rows):
        language = HUB_LANGUAGES.get(str(row["id"]).split("-")[0])
        if language is None:
            raise DataError(
                f"{table.place(index)} has the id {row['id']!r}, which begins with no language; "
                f"it should begin with one of {', '.join(HUB_LANGUAGES)}"
            )
        rows.setdefault(language, []).append(index)
    return rows


def _questions(
    name: str, table: Table, rows: Sequence[int], checksum: str, strict: bool
) -> RawSplit[Question]:
    """The questions of a split: those of these rows of a table, each of them checked."""
    raw: RawSplit[Question] = RawSplit(
        name, "questions", table.file, checksum, len(rows), REASONS, strict
    )
    places: dict[str, str] = {}
    for row in rows:
        question = _question(table.rows[row], table.place(row))
        if fault := _fault(question, places):
            reason, error = fault
            raw.refuse(reason, question.place, error)
        else:
            places[question.id] = question.place
            raw.items.append(question)
    return raw


def _question(row: Row, place: str) -> Question:
    answers = row["answers"] if isinstance(row["answers"], dict) else {}
    texts, starts = (answers.get(name) for name in ("text", "answer_start"))
    if not isinstance(texts, list) or not isinstance(starts, list):
        texts, starts = [row["answers"]], []
    columns = ("id", "context", "question")
    wrong = [f"{name} is {row[name]!r}" for name in columns if not isinstance(row[name], str)]
    wrong += [f"an answer is {text!r}" for text in texts if not isinstance(text, str)]
    wrong += [f"an answer_start is {start!r}" for start in starts if type(start) is not int]
    if len(texts) != len(starts):
        wrong.append(f"{len(texts)} answers have {len(starts)} answer_start")
    if wrong:
        raise DataError(
            f"{place}: {wrong[0]}; id, context and question should be texts, and answers a list "
            "text and a list answer_start of as many integers"
        )
    return Question(row["id"], row["context"], row["question"], tuple(texts), tuple(starts), place)


def _fault(question: Question, places: Mapping[str, str]) -> tuple[str, str] | None:
    """Why a question cannot be used, if it cannot: the reason, and a sentence.

    Args:
        question: the one that is looked at.
        places: of the questions before it, by their id.
    """
    if not question.answers or not all(text.strip() for text in question.answers):
        return "answer", "there is no answer, or an empty one; each question needs a text"
    for text, start in zip(question.answers, question.starts, strict=True):
        standing = question.context[max(0, start) : max(0, start) + len(text)]
        if start < 0 or standing != text:
            return "span", (
                f"the answer {text!r} does not stand at character {start} of its context, where "
                f"there is {standing!r}; mend answer_start, which counts characters from 0"
            )
    if question.id in places:
        before = places[question.id]
        return "twice", f"the id {question.id!r} is that of {before} too; ids must differ"
    return None
