"""Texts, or pairs of texts, with a class or a value each, as their sources hold them, checked.

LibreOffice Help embedded, GLUE from the hub, or tables in folders: several data sets a source.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idlib.data import limits, rows
from idlib.data.errors import DataError
from idlib.data.limits import SPLITS
from idlib.data.rows import EMBEDDED, FILES, Table
from idlib.data.splits import choose, proportional_quotas

SOURCES = ("embedded", "hub", "path")
ONE, TWO = ("sentence",), ("sentence1", "sentence2")
DATASETS = {  # by source: the data sets, and the columns that hold their texts
    "embedded": {"application": ONE, "heading": TWO},
    "hub": {
        "cola": ONE,
        "sst2": ONE,
        "mrpc": TWO,
        "stsb": TWO,
        "qqp": ("question1", "question2"),
        "mnli": ("premise", "hypothesis"),
        "qnli": ("question", "sentence"),
        "rte": TWO,
    },
    "path": {},  # the folders there are
}
LABEL = "label"
TASK = "classification"  # the folder of the embedded tables

HUB = "nyu-mll/glue"
HUB_REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"  # the last that changed the tables
HUB_TEST = {"mnli": "validation_matched"}  # elsewhere the split validation
REGRESSIONS = ("stsb",)
HIDDEN = -1  # the label of what GLUE keeps to itself

HELD_OUT = 0.1  # at most this share of a training split becomes its validation split
HELD_OUT_SEED = 1
NAMED = 5  # offenders that a report names


@dataclass(frozen=True)
class Example:
    """One text or pair of texts; the label is a class index, or the value of a regression."""

    id: str
    texts: tuple[str, ...]
    label: int | float


@dataclass(frozen=True)
class LabelledText:
    """The examples of one data set, in the order of their source.

    Attributes:
        dataset: its name.
        examples: by split: ``train``, ``validation`` and ``test``; at least one in each.
        classes: their names; none for a regression.
        checksums: sha256 of each split's content, independent of where it lies.
        dropped: for each split the number of examples left out, by reason: ``hidden`` (the label
            is not published) and ``empty`` (no text).
        report: lines of text on what was dropped or held out, with the place of the first.
    """

    dataset: str
    examples: dict[str, list[Example]]
    classes: tuple[str, ...]
    checksums: dict[str, str]
    dropped: dict[str, dict[str, int]]
    report: list[str]


def read(source: str, root: Path | None, dataset: str | None, cache: Path) -> LabelledText:
    """One data set of a source; the arguments are those of :func:`idlib.data.classification.load`.

    The labels of GLUE's test splits are not published. Its validation split (of MNLI the matched
    one) is the test split here, and a part of the training split of the same size, but at most a
    tenth, is held out for validation: by content and class, always the same one.

    Raises:
        DataError: an unknown source or data set, a missing or unreadable table, a text that is
            missing, or a label that is none (``file:row`` is named). On the hub both are known to
            occur: an example without text, or with the label -1, is dropped and counted there.
    """
    dataset = dataset_of(source, root, dataset)
    tables, columns = _tables(source, root, dataset, cache)
    classes = () if source == "hub" and dataset in REGRESSIONS else _classes(tables)
    examples, dropped, report = {}, {}, []
    for split, table in tables.items():
        examples[split], dropped[split], lines = _examples(table, columns, classes, source == "hub")
        report += [f"{split}: {line}" for line in lines]
    sums = {split: table.checksum for split, table in tables.items()}
    if source == "hub":
        held_out, line = _hold_out(examples, tables["train"].file, classes)
        report.append(line)
        examples |= held_out
        dropped["validation"] = dict.fromkeys(dropped["train"], 0)  # they stand under train
        for split, kept in held_out.items():
            sums[split] = rows.content_checksum([(*one.texts, one.label) for one in kept])
    every = (examples, sums, dropped)
    examples, sums, dropped = ({split: part[split] for split in SPLITS} for part in every)
    return LabelledText(dataset, examples, classes, sums, dropped, report)


def dataset_of(source: str, root: Path | None, dataset: str | None) -> str:
    """The data set that is meant: the one named, the first of a source, or the folder's only one.

    Raises:
        DataError: there is no such one; the message names those there are.
    """
    if source not in SOURCES:
        raise DataError(f"unknown source {source!r}; choose one of {', '.join(SOURCES)}")
    there = datasets(source, root)
    if source == "path" and dataset is None and len(there) > 1:
        raise DataError(
            f"{root} has several data sets, choose one of {', '.join(there)}: "
            + limits.how("dataset", there[0])
        )
    if dataset is not None and dataset not in there:
        raise DataError(f"unknown dataset {dataset!r}; choose one of {', '.join(there)}")
    return dataset or there[0]


def datasets(source: str, root: Path | None) -> tuple[str, ...]:
    """The data sets of a source: those published, or the folders of ``path`` with a training table.

    Raises:
        DataError: the folder has none.
    """
    if source != "path":
        return tuple(DATASETS[source])
    if root is None:
        raise DataError('source "path" needs root, a folder with one folder a data set')
    shapes = [f"*/train{suffix}" for suffix in FILES]
    there = sorted({path.parent.name for shape in shapes for path in root.glob(shape)})
    if not there:
        raise DataError(f"{root} has no folder with a train.parquet or train.jsonl")
    return tuple(there)


def _tables(
    source: str, root: Path | None, dataset: str, cache: Path
) -> tuple[dict[str, Table], tuple[str, ...]]:
    """The tables of a data set by split, and the columns of its texts."""
    if source == "path":
        train = rows.read_path(root / dataset, "train", [LABEL])
        there = train.rows[0] if train.rows else {}
        found = [columns for columns in (ONE, TWO) if set(columns) <= set(there)]
        if len(found) != 1:
            raise DataError(
                f"{train.file} needs a column sentence, or sentence1 and sentence2, and not both; "
                f"it has {', '.join(there) or 'no row'}"
            )
        wanted = [*found[0], LABEL]
        return {name: rows.read_path(root / dataset, name, wanted) for name in SPLITS}, found[0]
    columns = DATASETS[source][dataset]
    wanted = [*columns, LABEL]
    if source == "embedded":
        folder = root or EMBEDDED
        names = {name: f"{TASK}/{dataset}/{name}" for name in SPLITS}
        tables = {name: rows.read_embedded(path, wanted, folder) for name, path in names.items()}
        return tables, columns
    test = HUB_TEST.get(dataset, "validation")
    found = rows.read_hub(
        HUB, HUB_REVISION, ["train", test], wanted, config=dataset, root=root, cache=cache
    )
    return {"train": found["train"], "test": found[test]}, columns


def _classes(tables: Mapping[str, Table]) -> tuple[str, ...]:
    """Names of the classes (numbers where the tables name none), or () for a regression."""
    train = tables["train"]
    if names := train.names.get(LABEL):
        for table in tables.values():
            other = table.names.get(LABEL, names)
            if other != names:
                raise DataError(
                    f"{table.file} has the classes {', '.join(other)}, but {train.file} has "
                    f"{', '.join(names)}; give them the same, in the same order"
                )
        return names
    labels = [row.get(LABEL) for row in train.rows]
    if any(isinstance(label, float) for label in labels):
        return ()
    numbers = {label for label in labels if isinstance(label, int) and label >= 0}
    if len(numbers) < 2:
        held = ", ".join(map(str, sorted(numbers))) or "no whole number from 0"
        raise DataError(f"{train.file} has no two classes to tell apart: its labels are {held}")
    return tuple(map(str, range(max(numbers) + 1)))


def _examples(
    table: Table, columns: Sequence[str], classes: Sequence[str], skip: bool
) -> tuple[list[Example], dict[str, int], list[str]]:
    """The examples of a table, how many were dropped for each reason, and lines that say which."""
    gone: dict[str, list[str]] = {"hidden": [], "empty": []}
    kept = []
    for index, row in enumerate(table.rows):
        place, label = table.place(index), row.get(LABEL)
        missing = [name for name in columns if not _is_text(row.get(name))]
        if skip and label == HIDDEN:
            gone["hidden"].append(place)
        elif skip and missing:
            gone["empty"].append(place)
        elif missing:
            raise DataError(
                f"{place} has no text in {missing[0]} ({row.get(missing[0])!r}); every example "
                f"needs {' and '.join(columns)}"
            )
        else:
            _check_label(label, classes, place)
            kept.append(Example(str(index), tuple(row[name] for name in columns), label))
    why = {"hidden": f"label {HIDDEN}, which is none", "empty": "no text"}
    report = [
        f"{len(places)} of {len(table.rows)} examples dropped, {why[reason]}: "
        + ", ".join(places[:NAMED])
        + (", …" if len(places) > NAMED else "")
        for reason, places in gone.items()
        if places
    ]
    if not kept:
        raise DataError(f"{table.file} holds no example ({'; '.join(report) or 'no row'})")
    return kept, {reason: len(places) for reason, places in gone.items()}, report


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _check_label(label: Any, classes: Sequence[str], place: str) -> None:
    whole = isinstance(label, int) and not isinstance(label, bool)
    if not classes and not (whole or (isinstance(label, float) and math.isfinite(label))):
        raise DataError(f"{place} has the label {label!r}, but a regression needs a number")
    if classes and not (whole and 0 <= label < len(classes)):
        named = ", ".join(f"{index} ({name})" for index, name in enumerate(classes))
        raise DataError(f"{place} has the label {label!r}; choose one of {named}")


def _hold_out(
    examples: Mapping[str, list[Example]], file: str, classes: Sequence[str]
) -> tuple[dict[str, list[Example]], str]:
    """Training and validation split of what is published for training, and a line that says so."""
    every = examples["train"]
    count = min(len(examples["test"]), int(HELD_OUT * len(every)))
    if not count:
        raise DataError(f"{file} has {len(every)} examples, too few to hold some out of them")
    labels = [example.label for example in every] if classes else [0] * len(every)
    names = ["\t".join(example.texts) for example in every]
    chosen = set(choose(names, labels, proportional_quotas(labels, count), HELD_OUT_SEED))
    splits: dict[str, list[Example]] = {"train": [], "validation": []}
    for index, example in enumerate(every):
        splits["validation" if index in chosen else "train"].append(example)
    line = (
        f"validation: {count} of {len(every)} examples of {file} held out, since the test split "
        "is what GLUE publishes as validation"
    )
    return splits, line
