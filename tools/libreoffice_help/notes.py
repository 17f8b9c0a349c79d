"""The text files beside the tables: licences, and where the text is from."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from libreoffice_help.corpus import FOLDERS

LICENCES = {"MPL-2.0": "LICENSE", "Apache-2.0": "LICENSE.Apache-2.0"}


def package_of(language: str) -> str:
    """The name of a language's package."""
    return f"libreoffice-help-{FOLDERS.get(language, language).lower()}"


def package_versions(languages: Sequence[str], version: str | None) -> dict[str, str]:
    """The versions of the packages: the one given, or those installed.

    Raises:
        SystemExit: if a package is not installed and no version is given.
    """
    if version:
        return {package_of(language): version for language in languages}
    found = {}
    for name in map(package_of, languages):
        query = ["dpkg-query", "--show", "--showformat=${Version}", name]
        try:
            answer = subprocess.run(query, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError):
            raise SystemExit(
                f"{name} is not installed: say which one it is with --version"
            ) from None
        found[name] = answer.stdout
    return found


def write_licences(source: Path, out: Path) -> None:
    """Copies the texts of the licences.

    Raises:
        SystemExit: if one is missing.
    """
    for name, target in LICENCES.items():
        if not (source / name).is_file():
            raise SystemExit(f"{source / name} is missing: name its folder with --licences")
        shutil.copyfile(source / name, out / target)


def source_note(versions: Mapping[str, str], counts: Mapping[str, Mapping[str, int]]) -> str:
    """What the folder holds and where it comes from.

    Args:
        versions: of the packages, by name.
        counts: rows of each split, by the name of the table.
    """
    packages = "\n".join(f"- `{name}` {version}" for name, version in versions.items())
    splits = sorted({split for own in counts.values() for split in own}, reverse=True)
    splits.sort(key=("train", "validation", "test").index)
    table = [f"| table | {' | '.join(splits)} |", f"| --- |{' ---: |' * len(splits)}"]
    for name, own in counts.items():
        cells = (f"{own[split]:,}" if split in own else "" for split in splits)
        table.append(f"| {name} | {' | '.join(cells)} |")
    rows = "\n".join(table)
    return f"""# LibreOffice Help, as data for four tasks

The help of LibreOffice in {len(versions)} languages, cut into sentences, tagged paragraphs,
questions and pairs. `tools/make_libreoffice_help.py` makes this folder; `CHECKSUMS` holds the
files' sha256.

## Source

Debian's packages, built from the source package `libreoffice`:

{packages}

The source form of the text is had from Debian (`apt source libreoffice`, or
<https://snapshot.debian.org/package/libreoffice/>) and from the project itself:
<https://git.libreoffice.org/help> and, for the translations,
<https://git.libreoffice.org/translations>.

## Licence

Copyright 2000, 2010 Oracle and/or its affiliates; copyright 2000, 2010 LibreOffice contributors
and/or their affiliates. Mozilla Public License 2.0, see `LICENSE`. Some files include material
licensed by the Apache Software Foundation under the Apache License 2.0, see
`LICENSE.Apache-2.0`. Both hold for the tables too.

## What was changed

- Paragraphs, headings, list items and table cells are taken out of the pages, with the languages
  aligned by page and element id. Of passages that differ by application or system the default
  is kept; a passage without a default is dropped, as are program text, pictures, paragraphs with
  superscripts or subscripts, and paragraphs left in English.
- Each English text is in one split, with its translations and with every text that shares a
  sentence with it; pages whose access sections share a sentence or a path stay together. Case,
  digits and punctuation do not tell texts apart. No test text is in training or validation.
- **translation**: German and English sentences of paragraphs with equally many in both, 5 to 60
  words a side.
- **tagging**: the authors' and translators' own markup. `menuitem`, `emph` and `widget` are MENU
  if they mark a path and UI if they mark a name; `keycode` is KEY; `literal`, `input` and `code`
  are CODE; the name LibreOffice is PRODUCT, marked or not. Translations whose markup has other
  counts than the English are dropped. A token is one Chinese or Japanese character, or a run of
  other letters and digits, or one sign; `spaces` says after which tokens there is a space.
  `parallel` marks what every other language has too. Languages other than English have a test
  set only.
- **answering**: the question is made from a page's title, or from the last name of a menu path;
  the context is the passage that says how to reach the command, between others of the same split.
- **classification**: `application` (which application's help a sentence is from) and `heading`
  (whether a paragraph stands below a heading), English.

## Rows

{rows}
"""
