"""Sentence pairs of the translation task: German to English, in word pieces.

LibreOffice Help embedded, IWSLT'14 from the hub, or two aligned text files a split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from idlib.data import checksums, limits, parallel_text
from idlib.data import vocabulary as vocabularies
from idlib.data.batching import token_batches
from idlib.data.errors import DataError
from idlib.data.limits import SPLITS
from idlib.data.pairs import Pairs
from idlib.data.parallel_text import ParallelText
from idlib.data.rows import EMBEDDED
from idlib.data.splits import choose
from idlib.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "SOURCES",
    "SPLITS",
    "UNK",
    "Pairs",
    "TranslationData",
    "Vocabulary",
    "load",
    "token_batches",
]

SOURCES = ("embedded", "hub", "path")
SAMPLE_SEED = 1  # of the smaller samples that `sizes` asks for
NAMED = 5  # offenders that the report names for each reason
LIMITS = {  # of the longer side of a pair, by split: the lowest of those set holds
    "train": ("max_tokens",),
    "validation": ("max_tokens", "test_tokens"),
    "test": ("test_tokens",),
}


@dataclass(frozen=True)
class TranslationData:
    """The splits of one parallel corpus and what a model and a record need to know of it.

    Attributes:
        source: ``embedded``, ``hub`` or ``path``.
        splits: pairs by name (``train``, ``validation``, ``test``).
        vocabulary: of both languages together, trained on the training split alone.
        checksums: sha256 of each loaded split's content, independent of where it lies.
        lines: for each split the places of its pairs in their source, counted from 0, ascending.
        dropped: for each split the number of pairs left out, by reason: ``empty`` (a side without
            pieces), ``long`` (a side above the limit) and ``ratio`` (sides too different).
        report: one line of text for each split and reason that dropped pairs, with the place
            (``file:line``) of the first ones.
    """

    source: str
    splits: dict[str, Pairs]
    vocabulary: Vocabulary
    checksums: dict[str, str]
    lines: dict[str, list[int]]
    dropped: dict[str, dict[str, int]]
    report: list[str] = field(default_factory=list)


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
    cache: str | Path = checksums.CACHE,
) -> TranslationData:
    """The pairs of one source, checked and cut into pieces before anything is trained on them.

    The vocabulary is trained on the whole training split: it depends on neither the limits nor
    ``sizes``, and never sees another split. A side's length is its number of pieces without
    ``EOS``.

    Args:
        source: ``embedded`` (LibreOffice Help), ``hub`` (IWSLT'14, fetched into ``root`` if it is
            not there) or ``path`` (a folder of aligned text files, ``train.de``, ``train.en`` and
            so on).
        root: the folder of ``path`` and ``hub`` (there ``.idlib/data`` if None); for ``embedded``
            another place of the embedded files.
        vocabulary: pieces of both languages together, the four special ones included.
        max_tokens: training and validation pairs with a longer side are dropped; None drops none.
        max_ratio: training pairs are dropped whose longer side has more than so many times the
            pieces of the shorter; None drops none.
        test_tokens: test and validation pairs with a longer side are dropped. None keeps the whole
            test split, so that its BLEU can be compared with that of others.
        sizes: fewer pairs of a split than are left after this; a smaller sample is part of a
            larger one. A split not named stays whole.
        splits: which splits to load.
        cache: folder of the vocabularies that were trained before.

    Raises:
        DataError: an unknown source or split, a missing, unreadable or misaligned file, a checksum
            that does not match, a vocabulary that the text does not support, or a split of which
            nothing is left; the message names what is wrong and what to do.
    """
    sizes = dict(sizes or {})
    _check(source, root, [*splits, *sizes], max_tokens, max_ratio, test_tokens)
    # The vocabulary needs the training split, whatever else is asked for.
    text = _read(source, root, tuple(dict.fromkeys(("train", *splits))), Path(cache))
    pieces = _vocabulary(text["train"], vocabulary, Path(cache))
    longest = {"max_tokens": max_tokens, "test_tokens": test_tokens}
    loaded, kept, dropped, report = {}, {}, {}, []
    for name in splits:
        every = _in_pieces(text[name], pieces)
        long = {limit: longest[limit] for limit in LIMITS[name] if longest[limit]}
        ratio = max_ratio if name == "train" else None
        fitting, dropped[name], said = _filter(name, text[name], every, long, ratio)
        report += said
        kept[name] = _sample(name, text[name], fitting, sizes.get(name))
        loaded[name] = _subset(every, kept[name])
    sums = {name: text[name].checksum for name in splits}
    return TranslationData(source, loaded, pieces, sums, kept, dropped, report)


def whole(
    source: str,
    split: str,
    pieces: Vocabulary,
    *,
    root: str | Path | None = None,
    cache: str | Path = checksums.CACHE,
) -> Pairs:
    """All pairs of a split in the order of their source, whatever their length, also empty ones."""
    return _in_pieces(_read(source, root, (split,), Path(cache))[split], pieces)


def _check(source, root, names, max_tokens, max_ratio, test_tokens) -> None:
    if source not in SOURCES:
        raise DataError(f"unknown source {source!r}; choose one of {', '.join(SOURCES)}")
    limits.check_splits(names)
    if source == "path" and root is None:
        raise DataError('source "path" needs root, the folder that holds train.de, train.en, …')
    given = {"max_tokens": max_tokens, "max_ratio": max_ratio, "test_tokens": test_tokens}
    for name, value in given.items():
        if value is not None and not value >= 1:
            raise DataError(f"{name} is {value}, but must be at least 1, or None for no limit")


def _read(source, root, names, cache) -> dict[str, ParallelText]:
    folder = None if root is None else Path(root).expanduser()
    if source == "embedded":
        return parallel_text.read_embedded(folder or EMBEDDED, names)
    if source == "hub":
        return parallel_text.read_hub(folder, names, cache)
    return parallel_text.read_path(folder, names)


def _sides(text: ParallelText) -> tuple[list[str], list[str]]:
    return text.sources, text.targets


def _in_pieces(text: ParallelText, pieces: Vocabulary) -> Pairs:
    sides = _sides(text)
    return Pairs(*sides, *([[*ids, EOS] for ids in pieces.encode(side)] for side in sides))


def _vocabulary(text: ParallelText, size: int, cache: Path) -> Vocabulary:
    texts = _both_sides(text)
    try:
        return vocabularies.cached(texts, size, cache)
    except DataError as error:
        raise DataError(f"{error}: {limits.how('vocabulary', 'N')}") from error


def _both_sides(text: ParallelText) -> list[str]:
    """All sources, then all targets, of the pairs that have both."""
    pairs = [pair for pair in zip(*_sides(text), strict=True) if all(pair)]
    if not pairs:
        raise DataError(
            f"split train has no pair with two sides in {' and '.join(dict.fromkeys(text.files))}, "
            "so there is no text to make a vocabulary from; give more text"
        )
    return [source for source, _ in pairs] + [target for _, target in pairs]


def _filter(name, text, pairs, longest, ratio) -> tuple[list[int], dict[str, int], list[str]]:
    """Indices of the pairs that stay, how many go for each reason, and lines that say which."""
    setting = min(longest, key=longest.get, default=None)
    limit = longest.get(setting)
    gone: dict[str, list[str]] = {"empty": [], "long": [], "ratio": []}
    kept = []
    for i, both in enumerate(zip(pairs.source_ids, pairs.target_ids, strict=True)):
        counts = [len(ids) - 1 for ids in both]  # without EOS
        short, long = min(counts), max(counts)
        if short == 0:
            gone["empty"].append(text.place(i, counts.index(short)))
        elif limit is not None and long > limit:
            gone["long"].append(text.place(i, counts.index(long)))
        elif ratio is not None and long / short > ratio:
            gone["ratio"].append(text.place(i, counts.index(long)))
        else:
            kept.append(i)
    why = {
        "empty": "a side without pieces",
        "long": f"a side of more than {limit} pieces ({setting})",
        "ratio": f"one side more than {ratio} times as long as the other (max_ratio)",
    }
    dropped = {reason: len(places) for reason, places in gone.items()}
    report = [
        f"{name}: {len(places)} of {len(pairs)} pairs dropped, {why[reason]}: "
        + ", ".join(places[:NAMED])
        + (", …" if len(places) > NAMED else "")
        for reason, places in gone.items()
        if places
    ]
    if not kept:
        said = "; ".join(report) or f"{text.files[0]} holds no pair"
        more = f"; allow more: {limits.how(setting, 4 * limit)}" if gone["long"] else ""
        raise DataError(f"nothing is left of split {name}: {said}{more}; or give more text")
    return kept, dropped, report


def _sample(name: str, text: ParallelText, kept: list[int], size: int | None) -> list[int]:
    if size is None:
        return kept
    limits.check_size(name, size, len(kept), "pairs within the limits")
    names = [f"{text.sources[i]}\t{text.targets[i]}" for i in kept]
    return [kept[i] for i in choose(names, [0] * len(kept), {0: size}, SAMPLE_SEED)]


def _subset(pairs: Pairs, kept: Sequence[int]) -> Pairs:
    columns = (pairs.sources, pairs.targets, pairs.source_ids, pairs.target_ids)
    return Pairs(*([column[i] for i in kept] for column in columns))
