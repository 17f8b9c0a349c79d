"""Questions on texts as their sources hold them, in the schema of SQuAD, each of them checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from idlib.data import rows, tables
from idlib.data.errors import DataError
from idlib.data.languages import ENGLISH
from idlib.data.languages import tested as tested_languages
from idlib.data.limits import SPLITS
from idlib.data.rows import EMBEDDED, FILES, Table
from idlib.data.splits import choose

SOURCES = ("embedded", "hub", "path")
TASK = "answering"  # the folder of the embedded tables
COLUMNS = ("id", "context", "question", "answers")
NAMED = 5  # offenders that the report names for each reason

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


@dataclass
class Found:
    """The questions of one split of one language, and what was left out of it.

    Attributes:
        questions: in the order of their source.
        checksum: sha256 of the content as it was read.
        file: what holds them, for messages.
        strict: whether a question that cannot be used is an error, or is left out and counted.
        gone: places of those that were left out, by reason.
    """

    questions: list[Question]
    checksum: str
    file: str
    strict: bool
    gone: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in REASONS})

    def leave_out(self, reason: str, question_place: str, why: str) -> None:
        """Count a question that cannot be used.

        Raises:
            DataError: if the source is one that should have none; ``why`` says what is wrong.
        """
        if self.strict:
            raise DataError(f"{question_place}: {why}")
        self.gone[reason].append(question_place)

    def report(self, name: str) -> list[str]:
        """A line of text for each reason, with the places of the first questions."""
        return [
            f"{name}: {len(places)} questions dropped, {REASONS[reason]}: "
            + ", ".join(places[:NAMED])
            + (", …" if len(places) > NAMED else "")
            for reason, places in self.gone.items()
            if places
        ]


def read(
    source: str, root: Path | None, languages: Sequence[str] | None, cache: Path
) -> tuple[dict[str, Found], list[str]]:
    """The questions of a source by split: ``train``, ``validation``, ``test/en`` and so on.

    Args:
        source: one of ``SOURCES``.
        root: the folder of ``path`` and ``hub``, another place of the embedded files.
        languages: that are tested, English always among them; None takes all.
        cache: see :func:`idlib.data.rows.read_hub`.

    Returns:
        The splits, and lines of text on how they came about.

    Raises:
        DataError: something is missing, unreadable or of another schema, a language is unknown,
            or (not on the hub) a question cannot be used; the message names it.
    """
    if source not in SOURCES:
        raise DataError(f"unknown source {source!r}; choose one of {', '.join(SOURCES)}")
    if source == "path" and root is None:
        raise DataError(
            'source "path" needs root, the folder that holds en/train.parquet and so on'
        )
    if source == "hub":
        return _from_hub(root, languages, cache)
    folder = root or EMBEDDED
    if source == "embedded":
        there = [name.split("/") for name in tables.published(folder)]
        known = [part[1] for part in there if part[0] == TASK and part[2:] == ["test.parquet"]]
    else:
        known = languages_of(folder)
    tested = tested_languages(sorted(known), languages, str(folder))
    names = {f"{ENGLISH}/{split}": split for split in SPLITS[:2]}
    names |= {f"{language}/test": f"test/{language}" for language in tested}
    found = {}
    for name, split in names.items():
        if source == "embedded":
            table = rows.read_embedded(f"{TASK}/{name}", COLUMNS, folder)
        else:
            table = _with_ids(rows.read_path(folder, name, COLUMNS[1:]), name.split("/")[0])
        found[split] = _checked(table, table.checksum, range(len(table.rows)), strict=True)
    return found, []


def languages_of(folder: Path) -> tuple[str, ...]:
    """The languages that a folder of one's own has a test set of, English first.

    Raises:
        DataError: English, which is trained on, is not among them.
    """
    paths = (path for suffix in FILES for path in folder.glob(f"*/test{suffix}"))
    return tested_languages(sorted({path.parent.name for path in paths}), None, str(folder))


def _with_ids(table: Table, language: str) -> Table:
    """The table, its questions named by language and row where they have no id."""
    named = [
        row if row.get("id") is not None else {**row, "id": f"{language}/{number}"}
        for number, row in enumerate(table.rows, 1)
    ]
    return replace(table, rows=named)


def _from_hub(root, languages, cache) -> tuple[dict[str, Found], list[str]]:
    """TyDiQA's gold passages: its validation set is what is tested, as it has no other."""
    both = rows.read_hub(
        HUB, HUB_REVISION, SPLITS[:2], COLUMNS, config=HUB_CONFIG, root=root, cache=cache
    )
    places: dict[str, dict[str, list[int]]] = {}
    for name, table in both.items():
        by_language = places.setdefault(name, {})
        for i, row in enumerate(table.rows):
            by_language.setdefault(_language(row["id"], table.place(i)), []).append(i)
    train, test = both["train"], both["validation"]
    tested = tested_languages(sorted(places["validation"]), languages, test.file)
    english = places["train"].get(ENGLISH, [])
    ids = [train.rows[i]["id"] for i in english]
    count = round(HELD_OUT * len(ids))
    held = {english[i] for i in choose(ids, [0] * len(ids), {0: count}, HELD_OUT_SEED)}
    parts = {
        "train": (train, [i for i in english if i not in held]),
        "validation": (train, sorted(held)),
    }
    parts |= {f"test/{name}": (test, places["validation"][name]) for name in tested}
    found = {
        name: _checked(
            table, rows.content_checksum([table.rows[i] for i in kept]), kept, strict=False
        )
        for name, (table, kept) in parts.items()
    }
    said = (
        f"validation: {count} of the {len(ids)} English training questions, held out by a seeded "
        f"draw; the test sets are {test.file}"
    )
    return found, [said]


def _language(name: Any, place: str) -> str:
    language = HUB_LANGUAGES.get(str(name).split("-")[0])
    if language is None:
        raise DataError(
            f"{place} has the id {name!r}, which begins with no language; it should begin with "
            f"one of {', '.join(HUB_LANGUAGES)}"
        )
    return language


def _checked(table: Table, checksum: str, kept: Sequence[int], strict: bool) -> Found:
    found = Found([], checksum, table.file, strict)
    seen: dict[str, str] = {}
    for i in kept:
        question = _question(table.rows[i], table.place(i))
        if fault := _fault(question, seen):
            found.leave_out(fault[0], question.place, fault[1])
        else:
            seen[question.id] = question.place
            found.questions.append(question)
    return found


def _question(row: Mapping[str, Any], place: str) -> Question:
    try:
        texts, starts = (tuple(row["answers"][name]) for name in ("text", "answer_start"))
    except (KeyError, TypeError):
        texts, starts = (row["answers"],), ()
    wrong = [f"{n} is {row[n]!r}" for n in COLUMNS[:3] if not isinstance(row[n], str)]
    wrong += [f"an answer is {text!r}" for text in texts if not isinstance(text, str)]
    wrong += [f"an answer_start is {start!r}" for start in starts if type(start) is not int]
    if len(texts) != len(starts):
        wrong.append(f"{len(texts)} answers have {len(starts)} answer_start")
    if wrong:
        raise DataError(
            f"{place}: {wrong[0]}; id, context and question should be texts, and answers a list "
            "text and a list answer_start of as many integers"
        )
    return Question(row["id"], row["context"], row["question"], texts, starts, place)


def _fault(question: Question, seen: Mapping[str, str]) -> tuple[str, str] | None:
    """Why a question cannot be used: the reason, and a sentence."""
    if not question.answers or not all(text.strip() for text in question.answers):
        return "answer", "there is no answer, or an empty one; each question needs a text"
    for text, start in zip(question.answers, question.starts, strict=True):
        there = question.context[max(0, start) : max(0, start) + len(text)]
        if start < 0 or there != text:
            return "span", (
                f"the answer {text!r} does not stand at character {start} of its context, where "
                f"there is {there!r}; mend answer_start, which counts characters from 0"
            )
    if question.id in seen:
        return (
            "twice",
            f"the id {question.id!r} is that of {seen[question.id]} too; ids must differ",
        )
    return None
