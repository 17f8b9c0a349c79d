"""Predictions of a page's models on test items, and what they are compared with.

Where nothing can be shown, the table that comes back says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.io.formats.style import Styler

from idlib.data.languages import ENGLISH
from idlib.experiments.runs import load_model
from idlib.experiments.specs import Spec
from idlib.method.objective import REDUCTIONS, IntraDistillation
from idlib.metrics.spans import spans
from idlib.report.conditions import METHOD_NAMES

NONE_ASKED = "No test items were asked for."
PARALLEL = "Test items that every language has."
NOT_PARALLEL = "Test items of each language; none is known to be the translation of another."
LANGUAGES_SHOWN = 5


def base_models(specs: Sequence[Spec], seed: int) -> dict[str, Spec]:
    """Baseline and intra-distillation of round 0 at one seed, by the methods' names."""
    return {
        METHOD_NAMES[spec.method]: spec
        for spec in specs
        if spec.seed == seed and spec.method in ("baseline", "id")
        if not spec.plan.settings.round
    }


def sizes(spec: Spec) -> str:
    """Trainable parameters of a run's model, and sentence pairs of its data, in Markdown."""
    task = spec.plan.task
    size = sum(weights.numel() for weights in task.model().parameters() if weights.requires_grad)
    head = f"A model of this build has {size:,} trainable parameters. Sentence pairs of this build:"
    return "\n".join([head, *(f"- {name}: {len(p):,}" for name, p in task.data.splits.items())])


def translations(specs: Sequence[Spec], seed: int, number: int) -> Styler:
    """Test sentences at even distances, and what the teachers of a seed make of them."""
    shown = base_models(specs, seed)
    pairs = _data(shown).splits["test"]
    places = np.linspace(0, len(pairs) - 1, min(number, len(pairs))).astype(int).tolist()
    texts = {
        "source": [pairs.sources[place] for place in places],
        "reference": [pairs.targets[place] for place in places],
    }
    for name, spec in shown.items() if places else ():
        texts[name] = spec.plan.task.translate(load_model(spec), "test", places)
    return _styled(
        {
            (f"sentence {place + 1}", name): {"text": lines[index]}
            for index, place in enumerate(places)
            for name, lines in texts.items()
        }
    )


def tags(specs: Sequence[Spec], seed: int, number: int, languages: Sequence[str]) -> Styler:
    """The spans of test items as marked, and as the teachers of a seed find them.

    Args:
        specs: of the page.
        seed: of the teachers.
        number: of items in each language: those that all have, or else the first of each.
        languages: to show, where they are tested.
    """
    shown = base_models(specs, seed)
    data = _data(shown)
    shared = [item for item in data.splits[f"test/{ENGLISH}"].ids if item in data.parallel]
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for language, split in _splits(data, languages, number).items():
        chosen = (shared or split.ids)[:number]
        places = [split.ids.index(item) for item in chosen]
        found = {"marked": [split.tags[place] for place in places]}
        for name, spec in shown.items():
            found[name] = spec.plan.task.tag(load_model(spec), f"test/{language}", places)
        for index, place in enumerate(places):
            key = f"item {index + 1}", language
            rows[key if shared else key[::-1]] = {"text": split.texts[place]} | {
                name: _spans(split.tokens[place], tagged[index]) for name, tagged in found.items()
            }
    if shared:  # an item with its translations
        rows = dict(sorted(rows.items(), key=lambda row: int(row[0][0].split()[1])))
    return _styled(rows, PARALLEL if shared else NOT_PARALLEL)


def answers(specs: Sequence[Spec], seed: int, number: int, languages: Sequence[str]) -> Styler:
    """The first test questions of some languages, and the answers of a seed's teachers.

    Args:
        specs: of the page.
        seed: of the teachers.
        number: of questions in each language.
        languages: to show, where they are tested.
    """
    shown = base_models(specs, seed)
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for language, split in _splits(_data(shown), languages, number).items():
        questions = split.questions[:number]
        places = list(range(len(questions)))
        found = {
            name: spec.plan.task.answer(load_model(spec), f"test/{language}", places)
            for name, spec in shown.items()
        }
        for place, one in enumerate(questions):
            rows[language, f"question {place + 1}"] = {
                "question": one.question,
                "answer": " / ".join(one.answers),
                **{name: answers[place] for name, answers in found.items()},
            }
    return _styled(rows)


def divergence_by_reduction(spec: Spec, most: int = 8) -> pd.DataFrame:
    """The divergence of one training batch of at most ``most`` rows under each reduction.

    The model is the spec's, in training mode, with the same dropout masks each time.
    """
    task, model = spec.plan.task, load_model(spec).train()
    size = min(spec.plan.settings.batch_size, most, len(task.data.splits["train"]))
    device = next(model.parameters()).device
    (batch,) = task.batches([list(range(size))])
    batch = {name: value.to(device) for name, value in batch.items()}
    parts = {}
    for reduction in REDUCTIONS:
        torch.manual_seed(0)
        objective = IntraDistillation(passes=3, alpha=1.0, divergence_reduction=reduction)
        with torch.no_grad():
            found = objective(task.forward(model), task.targets, batch, step=1, total_steps=1)
        parts[reduction] = found.divergence.item()
    rows, length = batch["input_ids"].shape
    table = {
        name: {
            "divergence, nats": f"{value:.3g}",
            "times the mean": f"{value / parts['mean']:.1f}" if parts["mean"] else "–",
        }
        for name, value in parts.items()
    }
    made = pd.DataFrame.from_dict(table, orient="index").rename_axis("reduction")
    return made.rename_axis(f"{rows} rows of at most {length} pieces", axis="columns")


def majority_class_share(specs: Sequence[Spec]) -> dict[str, float]:
    """Share of the most frequent training class in test, for each data set that has classes."""
    shares = {}
    for data in (spec.plan.task.data for spec in specs):
        if not data.regression:
            most = data.splits["train"].labels.bincount().argmax()
            shares[data.dataset] = (data.splits["test"].labels == most).double().mean().item()
    return shares


def _data(shown: dict[str, Spec]) -> Any:
    return next(iter(shown.values())).plan.task.data


def _splits(data: Any, wanted: Sequence[str], number: int) -> dict[str, Any]:
    """Test sets by language: those wanted that there are, or the first few; none for no items."""
    tested = list(data.languages)
    found = [name for name in tested if name in wanted]
    shown = found if set(found) - {ENGLISH} else tested[:LANGUAGES_SHOWN]
    return {name: data.splits[f"test/{name}"] for name in shown if number}


def _spans(tokens: Sequence[str], tags: Sequence[str]) -> str:
    found = sorted(spans(tags))
    return "; ".join(f"{kind}: {' '.join(tokens[start:end])}" for start, end, kind in found)


def _styled(rows: dict[tuple[str, str], dict[str, str]], caption: str = "") -> Styler:
    """A table in which every text stands as it is; without rows it says so."""
    index = pd.MultiIndex.from_tuples(list(rows) or [("", "")])
    table = pd.DataFrame(list(rows.values()) or [{}], index=index).iloc[: len(rows)]
    style = table.style.format(escape="html").set_properties(**{"text-align": "left"})
    for axis in (0, 1):
        style = style.format_index(escape="html", axis=axis)
    return style.set_caption(caption if rows else NONE_ASKED)
