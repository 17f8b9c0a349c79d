"""Makes the embedded Fashion-MNIST from Debian's package ``dataset-fashion-mnist``.

The result is part of the repository: users never run this. To make it again, with the package
installed (``apt install dataset-fashion-mnist``)::

    python tools/make_fashion_mnist.py

It writes ``train.parquet``, ``validation.parquet`` and ``test.parquet`` in the schema of the
public data set (``image`` struct of PNG bytes and path, ``label`` int64 with the class names in the
metadata), ``CHECKSUMS``, ``LICENSE`` and ``SOURCE.md``. Training and validation images come from
the package's training file and test images from its test file. All are drawn by class with a fixed
seed, after every image that occurs more than once in the two files is dropped. The same package,
Pillow and pyarrow give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from idlib.data.splits import choose

SOURCE = Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
OUT = Path(__file__).parents[1] / "idlib" / "data" / "embedded" / "fashion_mnist"
SEED = 20171  # of the draw
SIZES = {"train": 3000, "validation": 680, "test": 3669}  # those of the Pet split
CLASSES = [
    "T - shirt / top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]


def read_source(source: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pixels uint8 [N, 28, 28] and labels [N] of the package's two files."""
    found = {}
    for name, stem in (("train", "train"), ("test", "t10k")):
        images = gzip.decompress((source / f"{stem}-images-idx3-ubyte.gz").read_bytes())
        labels = gzip.decompress((source / f"{stem}-labels-idx1-ubyte.gz").read_bytes())
        found[name] = (
            np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28),
            np.frombuffer(labels, np.uint8, offset=8).astype(int),
        )
    return found


def draw(source: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, list[int]]:
    """Indices into the source's files for each split."""
    seen = Counter(image.tobytes() for images, _ in source.values() for image in images)
    single = {
        name: [i for i, image in enumerate(images) if seen[image.tobytes()] == 1]
        for name, (images, _) in source.items()
    }

    def pick(pool, name, split):
        labels = [int(source[name][1][i]) for i in pool]
        each, rest = divmod(SIZES[split], len(CLASSES))  # the first classes get the rest
        quotas = {label: each + (label < rest) for label in range(len(CLASSES))}
        return [pool[i] for i in choose([f"{name}/{i}" for i in pool], labels, quotas, SEED)]

    train = pick(single["train"], "train", "train")
    taken = set(train)
    rest = [i for i in single["train"] if i not in taken]
    validation = pick(rest, "train", "validation")
    return {
        "train": train,
        "validation": validation,
        "test": pick(single["test"], "test", "test"),
    }


def table(images: np.ndarray, labels: np.ndarray, names: list[str]) -> pa.Table:
    """One split in the public schema."""
    rows = []
    for image, name in zip(images, names, strict=True):
        png = io.BytesIO()
        # Not deflated: zstd over the whole column packs pixels 13 % smaller than PNG does.
        Image.fromarray(image).save(png, "PNG", compress_level=0)
        rows.append({"bytes": png.getvalue(), "path": name})
    features = {
        "image": {"_type": "Image"},
        "label": {"names": CLASSES, "_type": "ClassLabel"},
    }
    schema = pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("label", pa.int64()),
        ],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    return pa.table([rows, labels.tolist()], schema=schema)


def licence(copyright_file: Path) -> str:
    """The licence of the data from the package's copyright file, as plain text."""
    text = copyright_file.read_text(encoding="utf-8")
    body = text.split("\nLicense: Expat\n")[-1]  # the last one carries the text
    lines = ["" if line.strip() == "." else line.strip() for line in body.splitlines()]
    return "The MIT License (MIT)\n\nCopyright (c) 2017 Zalando SE\n\n" + "\n".join(lines) + "\n"


def package_version() -> str:
    """The version of the installed package."""
    query = ["dpkg-query", "--show", "--showformat=${Version}", PACKAGE]
    return subprocess.run(query, check=True, capture_output=True, text=True).stdout


def source_note(version: str) -> str:
    """What the folder holds and where it comes from."""
    sizes = ", ".join(f"{count:,} {name}" for name, count in SIZES.items())
    return f"""# Fashion-MNIST, a part

{sizes} images of 28 × 28 grey pixels in ten
classes, equally frequent in each split as far as the numbers allow. No image occurs twice.

## Source

Debian's `{PACKAGE}` {version}, which carries Zalando's data set
unchanged (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747). Licence: MIT, see `LICENSE`.

`train` and `validation` are drawn from the package's training file, `test` from its test file, by
class with seed {SEED}; `path` in each row gives the file and the index there.

## Files

Parquet (zstd) in the schema of the public data set: `image` (PNG bytes and path) and `label`.
`CHECKSUMS` holds their sha256. `tools/make_fashion_mnist.py` makes this folder.
"""


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=SOURCE, help="folder of the .gz files")
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write into")
    args = parser.parse_args()

    source = read_source(args.source)
    args.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for split, kept in draw(source).items():
        name = "test" if split == "test" else "train"
        images, labels = source[name]
        paths = [f"{name}/{i}.png" for i in kept]
        path = args.out / f"{split}.parquet"
        pq.write_table(
            table(images[kept], labels[kept], paths),
            path,
            compression="zstd",
            compression_level=19,
            use_dictionary=False,
            row_group_size=len(kept),
        )
        lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    (args.out / "CHECKSUMS").write_text("".join(lines), encoding="ascii")
    copyright_file = Path("/usr/share/doc") / PACKAGE / "copyright"
    (args.out / "LICENSE").write_text(licence(copyright_file), encoding="utf-8")
    (args.out / "SOURCE.md").write_text(source_note(package_version()), encoding="utf-8")


if __name__ == "__main__":
    main()
