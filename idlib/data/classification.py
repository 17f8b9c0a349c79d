"""Texts, or pairs of texts, with a class or a value each, in tokens.

LibreOffice Help embedded, GLUE from the hub, or tables in folders: several data sets a source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm.auto import tqdm

from idlib.data import sources, tables
from idlib.data.batching import Batch, mask, padded
from idlib.data.checksums import content_checksum
from idlib.data.errors import DataError
from idlib.data.loaded import LoadedData, RawSplit, account
from idlib.data.sources import CACHE, SPLITS, Source, how_to_set
from idlib.data.splits import hold_out, sample
from idlib.data.tables import SUFFIXES, Table

if TYPE_CHECKING:  # transformers takes seconds to import
    from transformers import PreTrainedTokenizerFast

ONE, TWO = ("sentence",), ("sentence1", "sentence2")
DATASETS: dict[str, dict[str, tuple[str, ...]]] = {
    # by source: the data sets, and the columns that hold their texts
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

MOST_CLASSES = 100_000  # more no label can mean
LARGEST_VALUE = torch.finfo(torch.float32).max  # of a regression

REASONS = {  # for which an example of public data is left out
    "hidden": f"label {HIDDEN}, which is none",
    "empty": "no text",
}
"""The reasons by name."""

HELD_OUT = 0.1  # at most this share of a training split becomes its validation split
HELD_OUT_SEED = 1
CHUNK = 2000  # texts tokenised at a time
LONG_WORK = 20_000  # texts from which on a progress bar is shown


@dataclass(frozen=True)
class Example:
    """One text or pair of texts; the label is a class index, or the value of a regression.

    The id is its row in its source, counted from 0 as GLUE's ``idx`` is.
    """

    id: str
    texts: tuple[str, ...]
    label: int | float

    @property
    def name(self) -> str:
        """Its content, which a draw goes by, wherever the example stands."""
        return "\t".join(self.texts)


class LabelledTexts:
    """The examples of one split in tokens, and batches of them.

    Args:
        examples: at least one.
        tokenizer: a fast one of transformers.
        max_length: longer texts are cut, of a pair always the longer one first.
        regression: whether labels are values.

    Attributes:
        texts: of each example, one or two.
        labels: int64 [N], or float32 [N] for a regression.
        ids: of each example.
        lengths: number of tokens of each example, special ones included.
        cut: number of examples that lost tokens.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
        regression: bool = False,
    ) -> None:
        self.texts = [example.texts for example in examples]
        self.ids = [example.id for example in examples]
        kind = torch.float32 if regression else torch.int64
        self.labels = torch.tensor([example.label for example in examples], dtype=kind)
        self.lengths: list[int] = []
        self.cut = 0
        self._padding = {"input_ids": tokenizer.pad_token_id or 0}
        if "token_type_ids" in tokenizer.model_input_names:
            self._padding["token_type_ids"] = tokenizer.pad_token_type_id
        parts: dict[str, list[Tensor]] = {name: [] for name in self._padding}
        starts = range(0, len(self.texts), CHUNK)
        hidden = None if len(self.texts) >= LONG_WORK else True
        for start in tqdm(starts, desc="cutting texts into tokens", leave=False, disable=hidden):
            sides = zip(*self.texts[start : start + CHUNK], strict=True)
            encoded = tokenizer(*map(list, sides), truncation=True, max_length=max_length)
            self.lengths += map(len, encoded["input_ids"])
            self.cut += sum(bool(encoding.overflowing) for encoding in encoded.encodings)
            for name, tensors in parts.items():
                flat = [value for row in encoded[name] for value in row]
                tensors.append(torch.tensor(flat, dtype=torch.int32))
        # One tensor a column, [ΣL]: GLUE's largest training split has 393,000 examples.
        self._columns = {name: torch.cat(tensors) for name, tensors in parts.items()}
        self._starts = [0, *accumulate(self.lengths)]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def input_ids(self) -> Iterator[list[int]]:
        """Tokens of each example, special ones included."""
        return (self._row("input_ids", index).tolist() for index in range(len(self)))

    def _row(self, column: str, index: int) -> Tensor:
        return self._columns[column][self._starts[index] : self._starts[index + 1]]

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """What an encoder takes, padded at the end to the longest, and the labels.

        Returns:
            ``input_ids`` int64 [B, L]; ``attention_mask`` int64 [B, L], 1 where there is a token;
            ``token_type_ids`` int64 [B, L] where the tokenizer has them; ``label`` [B].
        """
        chosen = [int(index) for index in indices]
        batch = {
            name: padded([self._row(name, index) for index in chosen], value)
            for name, value in self._padding.items()
        }
        batch["attention_mask"] = mask([self.lengths[index] for index in chosen]).long()
        return {**batch, LABEL: self.labels[chosen]}


@dataclass(frozen=True)
class ClassificationData(LoadedData[LabelledTexts]):
    """One data set; the reasons to drop an example are :data:`REASONS`.

    Attributes:
        dataset: its name.
        classes: their names; none for a regression.
    """

    dataset: str
    classes: tuple[str, ...]

    @property
    def regression(self) -> bool:
        """Whether the labels are values."""
        return not self.classes


def load(
    source: str,
    tokenizer: PreTrainedTokenizerFast,
    *,
    root: str | Path | None = None,
    dataset: str | None = None,
    max_length: int = 128,
    sizes: Mapping[str, int] | None = None,
    cache: str | Path = CACHE,
) -> ClassificationData:
    """One data set of a source, checked and cut into tokens before anything is trained on it.

    Args:
        source: ``embedded`` (LibreOffice Help), ``hub`` (GLUE, fetched into ``root`` if it is not
            there) or ``path`` (a folder with one folder a data set, which holds ``train``,
            ``validation`` and ``test`` as ``.parquet`` or ``.jsonl``: columns ``sentence``, or
            ``sentence1`` and ``sentence2``, and ``label``: whole numbers from 0 for classes, any
            with a fraction for values). The labels of GLUE's test splits are not published: its
            validation split (of MNLI the matched one) is the test split here, and a part of the
            training split of the same size, but at most a tenth, is held out for validation: by
            content and class, always the same one.
        tokenizer: the encoder's.
        root: see :class:`idlib.data.sources.Source`, as for ``cache``.
        dataset: its name; by default the first of the source, or the only one of the folder.
        max_length: tokens of an example, special ones included; what is longer is cut.
        sizes: fewer examples of a split; a smaller sample is part of a larger one.
        cache: of what ``datasets`` makes of the hub's files.

    Raises:
        DataError: data or arguments that cannot be used, a text that is missing, or a label that is
            none (``file:row`` is named). On the hub both are known to occur: an example without
            text, or with the label -1, is dropped and counted there.
    """
    sizes = dict(sizes or {})
    origin = sources.checked(source, root, cache, holding="one folder a data set", splits=sizes)
    dataset = dataset_of(source, origin.root, dataset)
    by_split, columns = _tables(origin, dataset)
    classes = () if source == "hub" and dataset in REGRESSIONS else _classes(by_split)
    raw = {
        name: _examples(name, table, columns, classes, source != "hub")
        for name, table in by_split.items()
    }
    if source == "hub":
        raw |= _hold_out(raw["train"], len(raw["test"].items), classes)
    sources.check_max_length(max_length, tokenizer, len(columns) > 1)
    splits = {}
    for name in SPLITS:
        own = raw[name]
        names = [example.name for example in own.items]
        own.keep(sample(name, names, sizes.get(name), items="examples"))
        splits[name] = LabelledTexts(own.items, tokenizer, max_length, regression=not classes)
        if cut := splits[name].cut:
            own.notes.append(f"{cut} of {len(own.items)} texts cut at {max_length} tokens")
    return ClassificationData(
        source, splits, *account({name: raw[name] for name in SPLITS}), dataset, classes
    )


# ---- from the tables of a source to examples


def dataset_of(source: str, root: Path | None, dataset: str | None) -> str:
    """The data set that is meant: the one named, the first of a source, or the folder's only one.

    Raises:
        DataError: there is no such one; the message names those there are.
    """
    known = datasets(source, root)
    if source == "path" and dataset is None and len(known) > 1:
        raise DataError(
            f"{root} has several data sets, choose one of {', '.join(known)}: "
            + how_to_set("dataset", known[0])
        )
    if dataset is not None and dataset not in known:
        raise DataError(f"unknown dataset {dataset!r}; choose one of {', '.join(known)}")
    return dataset or known[0]


def datasets(source: str, root: Path | None) -> tuple[str, ...]:
    """The data sets of a source: those published, or the folders of ``path`` with a training table.

    Raises:
        DataError: the folder has none, or there is no such source.
    """
    origin = sources.checked(source, root, holding="one folder a data set")
    if source != "path":
        return tuple(DATASETS[source])
    paths = (path for suffix in SUFFIXES for path in origin.folder.glob(f"*/train{suffix}"))
    names = sorted({path.parent.name for path in paths})
    if not names:
        raise DataError(f"{root} has no folder with a train.parquet or train.jsonl")
    return tuple(names)


def _tables(source: Source, dataset: str) -> tuple[dict[str, Table], tuple[str, ...]]:
    """The tables of a data set by split, and the columns of its texts."""
    if source.kind == "path":
        columns = _text_columns(tables.read_path(source.folder / dataset, "train", [LABEL]))
    else:
        columns = DATASETS[source.kind][dataset]
    wanted = [*columns, LABEL]
    if source.kind != "hub":
        return {
            name: tables.read(source, TASK, f"{dataset}/{name}", wanted) for name in SPLITS
        }, columns
    test = HUB_TEST.get(dataset, "validation")
    public = tables.read_hub(source, HUB, HUB_REVISION, ["train", test], wanted, dataset)
    return {"train": public["train"], "test": public[test]}, columns


def _text_columns(train: Table) -> tuple[str, ...]:
    """The columns of a user's texts: ``sentence``, or ``sentence1`` and ``sentence2``."""
    there = train.rows[0] if train.rows else {}
    possible = [columns for columns in (ONE, TWO) if set(columns) <= set(there)]
    if len(possible) != 1:
        raise DataError(
            f"{train.file} needs a column sentence, or sentence1 and sentence2, and not both; "
            f"it has {', '.join(there) or 'no row'}"
        )
    return possible[0]


def _classes(by_split: Mapping[str, Table]) -> tuple[str, ...]:
    """Names of the classes (numbers where the tables name none), or () for a regression."""
    train = by_split["train"]
    if names := train.names.get(LABEL):
        for table in by_split.values():
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
    if max(numbers) >= MOST_CLASSES:
        raise DataError(
            f"{train.file} has the label {max(numbers)}, but classes are counted from 0 to at most "
            f"{MOST_CLASSES - 1}: number them anew, or write values with a fraction"
        )
    return tuple(map(str, range(max(numbers) + 1)))


def _examples(
    name: str, table: Table, columns: Sequence[str], classes: Sequence[str], strict: bool
) -> RawSplit[Example]:
    """The examples of a split, each of them checked."""
    total = len(table.rows)
    raw: RawSplit[Example] = RawSplit(
        name, "examples", table.file, table.checksum, total, REASONS, strict
    )
    for index, row in enumerate(table.rows):
        place, label = table.place(index), row.get(LABEL)
        missing = [column for column in columns if not _is_text(row.get(column))]
        if label == HIDDEN and not strict:
            raw.leave_out("hidden", place)
        elif missing:
            raw.refuse(
                "empty",
                place,
                f"no text in {missing[0]} ({row.get(missing[0])!r}); every example needs "
                f"{' and '.join(columns)}",
            )
        else:
            texts = tuple(row[column] for column in columns)
            raw.items.append(Example(str(index), texts, _label(label, classes, place)))
    raw.check()
    return raw


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _label(label: object, classes: Sequence[str], place: str) -> int | float:
    """A label that is a class index, or the finite number of a regression."""
    if isinstance(label, int | float) and not isinstance(label, bool):
        if not classes and abs(label) <= LARGEST_VALUE:  # neither infinite nor no number
            return label
        if classes and isinstance(label, int) and 0 <= label < len(classes):
            return label
    if not classes:
        raise DataError(f"{place} has the label {label!r}, but a regression needs a number")
    named = ", ".join(f"{index} ({name})" for index, name in enumerate(classes))
    raise DataError(f"{place} has the label {label!r}; choose one of {named}")


def _hold_out(
    public: RawSplit[Example], test: int, classes: Sequence[str]
) -> dict[str, RawSplit[Example]]:
    """Training and validation split of what is published for training.

    Args:
        public: what is published.
        test: size of the test split, which the validation split does not exceed.
        classes: held out in proportion; none for a regression.
    """
    examples, file = public.items, public.file
    count = min(test, int(HELD_OUT * len(examples)))
    if not count:
        raise DataError(f"{file} has {len(examples)} examples, too few to hold some out of them")
    names = [example.name for example in examples]
    labels = [int(example.label) for example in examples] if classes else None
    indices = hold_out(names, count, HELD_OUT_SEED, labels)
    raw = {}
    for name, own in zip(("train", "validation"), indices, strict=True):
        items = [examples[index] for index in own]
        checksum = content_checksum([(*one.texts, one.label) for one in items])
        raw[name] = RawSplit[Example](name, "examples", file, checksum, len(own), REASONS)
        raw[name].items = items
    raw["train"].total, raw["train"].places = public.total, public.places  # they stand there alone
    raw["validation"].notes.append(
        f"{count} of {len(examples)} examples of {file} held out, since the test split is what "
        "GLUE publishes as validation"
    )
    return raw
