"""The five made-up data sets: how each is written, shipped and loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from made_up import pairs, pictures, questions, tags, texts
from made_up.tables import publish

from idlib.data import answering, classification, images, tagging, translation
from idlib.data.loaded import LoadedData


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        write: makes a user's folder.
        ship: makes a folder laid out as what ships, without its checksums.
        table: one of the tables that ship.
        load: with a source and its root.
        encoder: whether it is read in an encoder's tokens.
    """

    write: Callable[[Path], object]
    ship: Callable[[Path], object]
    table: str
    load: Callable[..., LoadedData[Any]]
    encoder: bool = True

    def written(self, root: Path) -> Path:
        """A user's folder."""
        self.write(root)
        return root

    def shipped(self, root: Path) -> Path:
        """A folder laid out as what ships."""
        self.ship(root)
        return publish(root)


@cache
def words() -> Any:
    return questions.word_pieces()


@cache
def subwords() -> Any:
    return tags.unigram()


@cache
def whole_words() -> Any:
    return texts.tokenizer()


def _ship_pairs(root: Path) -> None:
    for name, rows in pairs.PAIRS.items():
        pairs.write_parquet(root / f"translation/{name}.parquet", rows)


def _ship_texts(root: Path) -> None:
    for name, rows in texts.splits().items():
        texts.write_parquet(root / f"classification/application/{name}.parquet", rows)


def _ship_images(root: Path) -> None:
    shutil.copytree(images.FASHION_MNIST, root)


def _translation(source: str = "path", **more: Any) -> LoadedData[Any]:
    asked = {"vocabulary": pairs.TOKENS, "max_tokens": None, "max_ratio": None}
    return translation.load(source, **{**asked, **more})


def _answering(source: str = "path", **more: Any) -> LoadedData[Any]:
    return answering.load(source, words(), **{**questions.LIMITS, **more})


def _tagging(source: str = "path", **more: Any) -> LoadedData[Any]:
    return tagging.load(source, subwords(), **more)


def _classification(source: str = "path", **more: Any) -> LoadedData[Any]:
    return classification.load(source, whole_words(), **{"max_length": 64, **more})


def _images(source: str = "path", **more: Any) -> LoadedData[Any]:
    return images.load(source, **more)


DATA_SETS = {
    "translation": DataSet(
        pairs.write_splits, _ship_pairs, "translation/test.parquet", _translation, encoder=False
    ),
    "tagging": DataSet(
        tags.write_folder,
        lambda root: tags.write_folder(root / "tagging"),
        "tagging/de/test.parquet",
        _tagging,
    ),
    "answering": DataSet(
        lambda root: questions.write(root, questions.every_row()),
        lambda root: questions.write(root / "answering", questions.every_row()),
        "answering/ja/test.parquet",
        _answering,
    ),
    "classification": DataSet(
        lambda root: texts.write_dataset(root / "mood", texts.splits()),
        _ship_texts,
        "classification/application/test.parquet",
        _classification,
    ),
    "images": DataSet(
        pictures.write_image_folder, _ship_images, "test.parquet", _images, encoder=False
    ),
}
