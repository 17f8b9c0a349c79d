"""Parquet tables that ship with the package, verified against the checksums beside them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from idlib.data.errors import DataError

_RESTORE = "restore it from the repository or install the package again"


def published(folder: Path) -> dict[str, str]:
    """The sha256 that ``folder/CHECKSUMS`` gives for each file name.

    Raises:
        DataError: if it is missing or unreadable.
    """
    path = folder / "CHECKSUMS"
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        return {name: checksum for checksum, name in (line.split() for line in lines)}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is missing or unreadable ({error}); {_RESTORE}") from error


def verified(path: Path, expected: Mapping[str, str]) -> tuple[bytes, str]:
    """The bytes of a file and their sha256, which is the one expected for its name.

    Raises:
        DataError: if the file is missing or unreadable, or its sha256 another; both are named.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); {_RESTORE}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected.get(path.name):
        raise DataError(
            f"{path} is not the file that was published: its sha256 should be "
            f"{expected.get(path.name, 'listed in CHECKSUMS')} and is {found}; {_RESTORE}"
        )
    return content, found


def decode_images(
    path: Path, content: bytes, size: int
) -> tuple[np.ndarray, np.ndarray, list[str], tuple[str, ...]]:
    """A table of grey ``image`` and ``label`` columns, in the schema of the public data sets.

    Args:
        path: the file, for messages.
        content: its bytes.
        size: height and width of every image, pixels.

    Returns:
        Pixels uint8 [N, size, size], labels int64 [N], names of the images, names of the classes.

    Raises:
        DataError: if this is no such table, or one of its images (named) is corrupt.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        classes = tuple(features["label"]["names"])
        labels = table["label"].to_numpy().astype(np.int64)
        rows = table["image"].to_pylist()
    except (pa.ArrowException, KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(f"{path} is no image table in parquet ({error}); {_RESTORE}") from error
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise DataError(f"{path} has labels outside its {len(classes)} classes; {_RESTORE}")
    pixels = np.empty((len(rows), size, size), np.uint8)
    for i, row in enumerate(rows):
        try:
            with Image.open(io.BytesIO(row["bytes"])) as image:
                if image.size != (size, size):
                    raise ValueError(f"{image.size[0]} x {image.size[1]} pixels")
                pixels[i] = np.asarray(image)
        except Exception as error:  # decoders raise many kinds
            raise DataError(
                f"image {i} ({row['path']}) of {path} is corrupt ({error}); {_RESTORE}"
            ) from error
    return pixels, labels, [row["path"] for row in rows], classes
