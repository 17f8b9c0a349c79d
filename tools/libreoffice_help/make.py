"""Builds all tables and writes the folder."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from libreoffice_help import answering, classification, tagging, translation
from libreoffice_help.corpus import ENGLISH, LANGUAGES, build, read_languages
from libreoffice_help.notes import package_versions, source_note, write_licences
from libreoffice_help.writing import move_over, write_checksums, write_table

OUT = Path(__file__).parents[2] / "idlib" / "data" / "embedded" / "libreoffice_help"
ROOT = Path("/usr/share/libreoffice/help")


def tables(roots: Sequence[Path], languages: Sequence[str]) -> dict[str, dict[str, list[dict]]]:
    """Rows by folder and split; the first part of a folder's name is the task."""
    pages = read_languages(roots, languages)
    items, of_page = build(pages)
    found = {"translation": translation.pairs(items)}
    for language, splits in tagging.rows(items, languages).items():
        found[f"tagging/{language}"] = splits
    for language, splits in answering.rows(pages, items, of_page).items():
        found[f"answering/{language}"] = splits
    found["classification/application"] = classification.application(items)
    found["classification/heading"] = classification.heading(items, pages[ENGLISH])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--help-root",
        type=Path,
        nargs="+",
        default=[ROOT],
        help="folders that hold <language>/text, side by side or each some of them",
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write into")
    parser.add_argument("--version", help="of the packages, where they are not installed")
    parser.add_argument(
        "--licences",
        type=Path,
        default=Path("/usr/share/common-licenses"),
        help="folder of the licences' texts",
    )
    parser.add_argument(
        "--languages", nargs="+", default=LANGUAGES, help="English and German among them"
    )
    args = parser.parse_args(arguments)
    if not {"en", "de"} <= set(args.languages):
        parser.error("the languages must include en and de, which are translated")

    versions = package_versions(args.languages, args.version)
    made = tables(args.help_root, args.languages)
    counts = {name: {s: len(rows) for s, rows in own.items()} for name, own in made.items()}
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.out.parent) as folder:
        new = Path(folder)
        for name, splits in made.items():
            task = name.rsplit("/")[-1] if name.startswith("classification") else name.split("/")[0]
            for split, rows in splits.items():
                write_table(new / name / f"{split}.parquet", rows, task)
        write_licences(args.licences, new)
        (new / "SOURCE.md").write_text(source_note(versions, counts), encoding="utf-8")
        write_checksums(new)
        move_over(new, args.out)
    for name, own in counts.items():
        print(f"{name}: " + ", ".join(f"{count} {split}" for split, count in own.items()))
