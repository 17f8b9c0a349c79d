"""Sentence pairs of the translation task: German to English, in tokens of one vocabulary.

LibreOffice Help embedded, IWSLT'14 from the hub, or two aligned text files a split.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from idlib.data import checksums, sources, tables
from idlib.data import vocabulary as vocabularies
from idlib.data.batching import Batch, mask, padded
from idlib.data.errors import DataError
from idlib.data.loaded import LoadedData, RawSplit, account
from idlib.data.sources import CACHE, SPLITS, Source, how_to_set
from idlib.data.splits import sample
from idlib.data.tables import Table
from idlib.data.vocabulary import EOS, PAD, Vocabulary

LANGUAGES = ("de", "en")  # source, target
SPELLINGS = {  # of a split in the names of text files
    "train": ("train",),
    "validation": ("validation", "valid", "dev"),
    "test": ("test",),
}
LIMITS = {  # of the longer side of a pair, by split: the lowest of those set holds
    "train": ("max_tokens",),
    "validation": ("max_tokens", "test_tokens"),
    "test": ("test_tokens",),
}

TASK = "translation"  # the folder of the embedded tables, and the column of all tables
HUB = "bbaaaa/iwslt14-de-en-preprocess"  # 160,239, 7,283 and 6,750 pairs
HUB_REVISION = "refs/convert/parquet"  # the repository itself holds a script, which no longer loads

# What Unicode takes for the end of a line: inside a text it would break files of one text a line.
_BREAKS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


class Pairs:
    """Sentence pairs, their tokens, and batches of them.

    Args:
        sources: texts.
        targets: their translations.
        source_ids: tokens of each source, ``EOS`` at the end, no ``BOS``.
        target_ids: tokens of each target, likewise.

    Attributes:
        lengths: tokens of the longer side of each pair, ``EOS`` included.

    >>> pairs = Pairs(["a b"], ["c d e"], [[5, 6, EOS]], [[7, 8, 9, EOS]])
    >>> pairs.batch([0])["decoder_input_ids"]
    tensor([[2, 7, 8, 9]])
    """

    def __init__(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        source_ids: Sequence[list[int]],
        target_ids: Sequence[list[int]],
    ) -> None:
        self.sources, self.targets = list(sources), list(targets)
        self.source_ids, self.target_ids = list(source_ids), list(target_ids)
        both = zip(self.source_ids, self.target_ids, strict=True)
        self.lengths = [max(len(source), len(target)) for source, target in both]

    def __len__(self) -> int:
        return len(self.source_ids)

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """What an encoder and a decoder take and should give, padded at the end with ``PAD``.

        Returns:
            ``input_ids`` int64 [B, S]; ``attention_mask`` int64 [B, S], 1 where there is a token;
            ``labels`` int64 [B, T]; ``decoder_input_ids`` int64 [B, T], the labels moved one to
            the right after ``EOS``, with which fairseq starts decoding; ``label_mask`` bool [B, T].
        """
        sources = [self.source_ids[i] for i in indices]
        targets = [self.target_ids[i] for i in indices]
        return {
            "input_ids": padded(sources, PAD),
            "attention_mask": mask([len(ids) for ids in sources]).long(),
            "decoder_input_ids": padded([[EOS, *ids[:-1]] for ids in targets], PAD),
            "labels": padded(targets, PAD),
            "label_mask": mask([len(ids) for ids in targets]),
        }

    def subset(self, indices: Sequence[int]) -> Pairs:
        """These pairs."""
        return Pairs(
            [self.sources[i] for i in indices],
            [self.targets[i] for i in indices],
            [self.source_ids[i] for i in indices],
            [self.target_ids[i] for i in indices],
        )


@dataclass(frozen=True)
class TranslationData(LoadedData[Pairs]):
    """One parallel corpus.

    The reasons to drop a pair are ``empty`` (a side without tokens), ``long`` (a side above the
    limit) and ``ratio`` (sides too different).

    Attributes:
        vocabulary: of both languages together, trained on the training split alone.
        lines: for each split the places of its pairs in their source, counted from 0, ascending.
    """

    vocabulary: Vocabulary
    lines: dict[str, list[int]]


def load(
    source: str,
    *,
    root: str | Path | None = None,
    vocabulary: int = 12_000,
    max_tokens: int | None = 175,
    max_ratio: float | None = 1.5,
    test_tokens: int | None = None,
    sizes: Mapping[str, int] | None = None,
    splits: Sequence[str] = SPLITS,
    cache: str | Path = CACHE,
) -> TranslationData:
    """The pairs of one source, checked and cut into tokens before anything is trained on them.

    The vocabulary is trained on the whole training split: it depends on neither the limits nor
    ``sizes``, and never sees another split. A side's length is its number of tokens without
    ``EOS``.

    Args:
        source: ``embedded`` (LibreOffice Help), ``hub`` (IWSLT'14, fetched into ``root`` if it is
            not there) or ``path`` (a folder of aligned text files, ``train.de``, ``train.en`` and
            so on).
        root: see :class:`idlib.data.sources.Source`, as for ``cache``.
        vocabulary: subwords of both languages together, the four special ones included.
        max_tokens: training and validation pairs with a longer side are dropped; None drops none.
        max_ratio: limit of the longer side over the shorter, in tokens; training pairs beyond it
            are dropped; None drops none.
        test_tokens: test and validation pairs with a longer side are dropped. None keeps the whole
            test split, so that its BLEU can be compared with that of others.
        sizes: fewer pairs of a split than are left after this; a smaller sample is part of a
            larger one. A split not named stays whole.
        splits: which splits to load.
        cache: folder of the vocabularies that were trained before.

    Raises:
        DataError: data or arguments that cannot be used, a vocabulary that the text does not
            support, or a split of which nothing is left.
    """
    sizes = dict(sizes or {})
    holding = "train.de, train.en, …"
    origin = sources.checked(source, root, cache, holding=holding, splits=[*splits, *sizes])
    limits = {"max_tokens": max_tokens, "max_ratio": max_ratio, "test_tokens": test_tokens}
    for setting, value in limits.items():
        if value is not None and not value >= 1:
            raise DataError(f"{setting} is {value}, but must be at least 1, or None for no limit")
    # The vocabulary needs the training split, whatever else is asked for.
    text = _read(origin, tuple(dict.fromkeys(("train", *splits))))
    joint = _vocabulary(text["train"], vocabulary, origin.cache)
    loaded, raw = {}, {}
    for name in splits:
        every = text[name].encoded(joint)
        longest = {setting: limit for setting in LIMITS[name] if (limit := limits[setting])}
        ratio = max_ratio if name == "train" else None
        raw[name] = _fitting(name, text[name], every, longest, ratio)
        kept = raw[name].items
        names = [f"{every.sources[i]}\t{every.targets[i]}" for i in kept]
        raw[name].keep(sample(name, names, sizes.get(name), items="pairs within the limits"))
        loaded[name] = every.subset(raw[name].items)
    lines = {name: split.items for name, split in raw.items()}
    return TranslationData(source, loaded, *account(raw), joint, lines)


def whole(
    source: str,
    split: str,
    vocabulary: Vocabulary,
    *,
    root: str | Path | None = None,
    cache: str | Path = CACHE,
) -> Pairs:
    """All pairs of a split in the order of their source, whatever their length, also empty ones."""
    origin = sources.checked(source, root, cache, holding="train.de, train.en, …", splits=[split])
    return _read(origin, [split])[split].encoded(vocabulary)


def _fitting(
    name: str, text: _Text, pairs: Pairs, limits: Mapping[str, float], ratio: float | None
) -> RawSplit[int]:
    """The pairs of a split that stay, by their index.

    Args:
        name: of the split.
        text: of its pairs.
        pairs: their tokens.
        limits: of the longer side, by setting.
        ratio: limit of the longer side over the shorter.
    """
    setting = min(limits, key=limits.__getitem__, default="")
    limit = limits.get(setting, math.inf)
    reasons = {
        "empty": "a side without tokens",
        "long": f"a side of more than {limit} tokens ({setting})",
        "ratio": f"one side more than {ratio} times as long as the other (max_ratio)",
    }
    raw: RawSplit[int] = RawSplit(name, "pairs", text.files[0], text.checksum, len(pairs), reasons)
    for i, both in enumerate(zip(pairs.source_ids, pairs.target_ids, strict=True)):
        counts = [len(ids) - 1 for ids in both]  # without EOS
        short, long = min(counts), max(counts)
        if short == 0:
            raw.leave_out("empty", text.place(i, counts.index(short)))
        elif long > limit:
            raw.leave_out("long", text.place(i, counts.index(long)))
        elif ratio is not None and long / short > ratio:
            raw.leave_out("ratio", text.place(i, counts.index(long)))
        else:
            raw.items.append(i)
    more = f"allow longer ones ({how_to_set(setting, 4 * limit)}), or " if setting else ""
    raw.check(more if raw.places["long"] else "")
    return raw


def _vocabulary(text: _Text, size: int, cache: Path) -> Vocabulary:
    """The vocabulary of all sources, then all targets, of the pairs that have both."""
    pairs = [pair for pair in zip(text.sources, text.targets, strict=True) if all(pair)]
    if not pairs:
        raise DataError(
            f"split train has no pair with two sides in {' and '.join(dict.fromkeys(text.files))}, "
            "so there is no text to make a vocabulary from; give more text"
        )
    try:
        sides = [source for source, _ in pairs] + [target for _, target in pairs]
        return vocabularies.cached(sides, size, cache)
    except DataError as error:
        raise DataError(f"{error}: {how_to_set('vocabulary', 'N')}") from error


# ---- from a source to text


@dataclass(frozen=True)
class _Text:
    """The pairs of one split, in the order of their source, none left out.

    Attributes:
        sources: texts of one line each; empty where the source has none.
        targets: their translations.
        files: names of what holds the sources and the targets.
        checksum: sha256 of the content as it was read, independent of where it lies.
    """

    sources: list[str]
    targets: list[str]
    files: tuple[str, str]
    checksum: str

    def place(self, index: int, side: int) -> str:
        """``file:line`` of a text (``side`` 0 is the source, 1 the target), counted from 1.

        In a table it is the row.
        """
        return f"{self.files[side]}:{index + 1}"

    def encoded(self, vocabulary: Vocabulary) -> Pairs:
        """All pairs in tokens."""
        source_ids = [[*ids, EOS] for ids in vocabulary.encode(self.sources)]
        target_ids = [[*ids, EOS] for ids in vocabulary.encode(self.targets)]
        return Pairs(self.sources, self.targets, source_ids, target_ids)


def _read(source: Source, names: Sequence[str]) -> dict[str, _Text]:
    if source.kind == "path":
        return {name: _from_files(source.folder, name) for name in names}
    if source.kind == "hub":
        public = tables.read_hub(source, HUB, HUB_REVISION, names, [TASK])
        return {name: _from_table(table, published=False) for name, table in public.items()}
    shipped = {name: tables.read(source, TASK, name, [TASK]) for name in names}
    return {name: _from_table(table, published=True) for name, table in shipped.items()}


def _from_table(table: Table, published: bool) -> _Text:
    """The pairs of a table; the checksum is the published one of its file, or of the pairs."""
    try:
        rows = [row[TASK] for row in table.rows]
        texts, targets = ([_one_line(row[side]) for row in rows] for side in LANGUAGES)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{table.file} has no column {TASK} of texts de and en ({error})"
        ) from error
    pairs = list(zip(texts, targets, strict=True))
    checksum = table.checksum if published else checksums.content_checksum(pairs)
    return _Text(texts, targets, (table.file, table.file), checksum)


def _from_files(root: Path, split: str) -> _Text:
    """A split of a folder of aligned text files (UTF-8): lines of one number translate each other.

    A line ends with a line feed and nothing else, so that no other character can shift the rest.

    Raises:
        DataError: if a file is missing or unreadable, is no UTF-8 (the line is named), or source
            and target have different numbers of lines.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder; it should hold train.de, train.en and so on")
    first, second = (_text_file(root, split, language) for language in LANGUAGES)
    if first.stem != second.stem:
        raise DataError(f"{first} and {second} have different names; which do belong?")
    contents = [checksums.read(path) for path in (first, second)]
    sides = [_lines(path, own) for path, own in zip((first, second), contents, strict=True)]
    if len(sides[0]) != len(sides[1]):
        raise DataError(
            f"{first} has {len(sides[0])} lines and {second} has {len(sides[1])}, so which "
            "translates which is unknown; mend the files"
        )
    sums = "".join(hashlib.sha256(content).hexdigest() for content in contents)
    checksum = hashlib.sha256(sums.encode()).hexdigest()
    return _Text(sides[0], sides[1], (str(first), str(second)), checksum)


def _text_file(root: Path, split: str, language: str) -> Path:
    paths = [root / f"{stem}.{language}" for stem in SPELLINGS[split]]
    there = [path for path in paths if path.exists()]
    if not there:
        names = " or ".join(path.name for path in paths)
        raise DataError(f"{root} has no {names}, the {language} side of split {split}")
    if len(there) > 1:
        names = " and ".join(path.name for path in there)
        raise DataError(f"{root} has {names}; keep one of them as split {split}")
    return there[0]


def _lines(path: Path, content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line} is no UTF-8 (byte {content[error.start]:#04x}: {error.reason}); "
            "convert the file to UTF-8"
        ) from error
    lines = text.split("\n")
    if lines[-1] == "":  # after the last line feed, or in an empty file
        lines.pop()
    return [_one_line(line) for line in lines]


def _one_line(text: str | None) -> str:
    return _BREAKS.sub(" ", text or "").strip()
