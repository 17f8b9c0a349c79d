"""Predictions of a page's base models on test items, as tables.

Where no items were asked for, the table is empty and its caption says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler
from pandas.io.formats.style_render import CSSDict
from torch import nn

from idlib.data.languages import ENGLISH, Multilingual
from idlib.experiments.runs import load_model
from idlib.experiments.specs import Spec
from idlib.metrics.spans import spans
from idlib.report.conditions import METHOD_NAMES
from idlib.tasks.answering import AnsweringTask
from idlib.tasks.base import Task
from idlib.tasks.tagging import TaggingTask
from idlib.tasks.translation import TranslationTask

NONE_ASKED = "No test items were asked for."
PARALLEL = "Test items that every language has."
NOT_PARALLEL = "Test items of each language; none is known to be the translation of another."
LANGUAGES_SHOWN = 5

T = TypeVar("T", bound=Task[Any, Any])
Rows = dict[tuple[str, str], dict[str, str]]
"""By the two levels of a table's index the texts of a row by column."""


def translations(specs: Sequence[Spec], seed: int, number: int) -> Styler:
    """Test sentences at even distances, and their translations by the base models of a seed."""
    specs = base_models(specs, seed)
    pairs = _task(specs[0], TranslationTask).data.splits["test"]
    places = np.linspace(0, len(pairs) - 1, min(number, len(pairs))).astype(int).tolist()
    texts = {
        "source": [pairs.sources[place] for place in places],
        "reference": [pairs.targets[place] for place in places],
    }
    if places:
        for name, task, model in _models(specs, TranslationTask):
            texts[name] = task.translate(model, "test", places)
    rows: Rows = {
        (f"sentence {place + 1}", name): {"text": lines[index]}
        for index, place in enumerate(places)
        for name, lines in texts.items()
    }
    return _styled(rows)


def tags(specs: Sequence[Spec], seed: int, number: int, languages: Sequence[str]) -> Styler:
    """The spans of test items as marked in the data, and as predicted by a seed's base models.

    Args:
        specs: of the page.
        seed: of the models.
        number: of items in each language: those that all have, or else the first of each.
        languages: to show, where they are tested.
    """
    specs = base_models(specs, seed)
    data = _task(specs[0], TaggingTask).data
    shared = [item for item in data.splits[f"test/{ENGLISH}"].ids if item in data.parallel]
    rows: Rows = {}
    for language in _shown(data, languages) if number else ():
        split = data.splits[f"test/{language}"]
        places = [split.ids.index(item) for item in (shared or split.ids)[:number]]
        tagged = {"marked": [split.tags[place] for place in places]}
        for name, task, model in _models(specs, TaggingTask):
            tagged[name] = task.tag(model, f"test/{language}", places)
        for index, place in enumerate(places):
            item = f"item {index + 1}"
            rows[(item, language) if shared else (language, item)] = {
                "text": split.texts[place],
                **{name: _spans(split.tokens[place], of[index]) for name, of in tagged.items()},
            }
    if shared:  # an item stands with its translations
        rows = dict(sorted(rows.items(), key=lambda row: int(row[0][0].split()[1])))
    return _styled(rows, PARALLEL if shared else NOT_PARALLEL)


def answers(specs: Sequence[Spec], seed: int, number: int, languages: Sequence[str]) -> Styler:
    """The first test questions of some languages, and the answers of a seed's base models.

    Args:
        specs: of the page.
        seed: of the models.
        number: of questions in each language.
        languages: to show, where they are tested.
    """
    specs = base_models(specs, seed)
    data = _task(specs[0], AnsweringTask).data
    rows: Rows = {}
    for language in _shown(data, languages) if number else ():
        questions = data.splits[f"test/{language}"].questions[:number]
        places = range(len(questions))
        given = {
            name: task.answer(model, f"test/{language}", places)
            for name, task, model in _models(specs, AnsweringTask)
        }
        for place, one in enumerate(questions):
            rows[language, f"question {place + 1}"] = {
                "question": one.question,
                "answer": " / ".join(one.answers),
                **{name: texts[place] for name, texts in given.items()},
            }
    return _styled(rows)


def base_models(specs: Sequence[Spec], seed: int) -> list[Spec]:
    """Those of baseline and of intra-distillation, of round 0 and one seed."""
    return [
        spec
        for spec in specs
        if spec.seed == seed and spec.method in ("baseline", "id") and not spec.plan.settings.round
    ]


def _task(spec: Spec, kind: type[T]) -> T:
    task = spec.plan.task
    assert isinstance(task, kind), f"{spec.task} is another task"
    return task


def _models(specs: Sequence[Spec], kind: type[T]) -> Iterator[tuple[str, T, nn.Module]]:
    """The method's name, the task and the trained model of each run."""
    for spec in specs:
        yield METHOD_NAMES[spec.method], _task(spec, kind), load_model(spec)


def _shown(data: Multilingual[Any], wanted: Sequence[str]) -> Sequence[str]:
    """The tested languages that are wanted; the first few where only English is."""
    shown = [language for language in data.languages if language in wanted]
    return shown if set(shown) - {ENGLISH} else data.languages[:LANGUAGES_SHOWN]


def _spans(words: Sequence[str], tagged: Sequence[str]) -> str:
    return "; ".join(
        f"{kind}: {' '.join(words[start:end])}" for start, end, kind in sorted(spans(tagged))
    )


def _styled(rows: Rows, caption: str = "") -> Styler:
    """A table with markup escaped; without rows its caption says that none was asked for."""
    index = pd.MultiIndex.from_tuples(list(rows) or [("", "")])
    table = pd.DataFrame(list(rows.values()) or [{}], index=index).iloc[: len(rows)]
    left: list[CSSDict] = [{"selector": "td", "props": "text-align: left"}]
    style = table.style.format(escape="html").set_table_styles(left)
    for axis in (0, 1):
        style = style.format_index(escape="html", axis=axis)
    return style.set_caption(caption if rows else NONE_ASKED)
