"""The pages on somebody else's data and settings: what was trained is shown, whatever it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import pairs as made_up_pairs
from made_up import questions as made_up_questions
from made_up import tags as made_up_tags
from made_up import texts as made_up_texts
from made_up.notebook_cells import NOTEBOOKS, run_cells
from made_up.tasks import write_images

from idlib.book.parameters import notebook_parameters
from idlib.book.predictions import NONE_ASKED, NOT_PARALLEL, PARALLEL, tags
from idlib.experiments.grid import grid
from idlib.records import Store
from idlib.training.settings import SettingsError

pytestmark = pytest.mark.usefixtures("workspace")
ODD = "my_data*|<b>$x^$"  # markup, a cell's end, a tag, and a formula that is none


def write_tags(root: Path, languages=made_up_tags.LANGUAGES, ids: bool = True) -> str:
    """A folder of tagged text; without ids as the public WikiANN."""
    for language in languages:
        for split in made_up_tags.COUNTS if language == "en" else ("test",):
            rows = made_up_tags.made_up(split, language)
            kept = rows if ids else [{k: r[k] for k in ("tokens", "ner_tags")} for r in rows]
            made_up_tags.write(root / language / f"{split}.jsonl", kept)
    return str(root)


def one_of(shown: list[str], part: str) -> str:
    (found,) = (text for text in shown if part in text)
    return found


@pytest.fixture
def tagger(tmp_path: Path) -> dict:
    encoder = made_up_tags.tiny_encoder(tmp_path / "encoder", made_up_tags.unigram())
    return {"profile": "smoke", "encoder": str(encoder)}


@pytest.mark.slow
def test_tags_of_items_without_translations(tmp_path: Path, tagger: dict) -> None:
    source = write_tags(tmp_path / ODD, ids=False)
    shown = run_cells("tagging", source=source, samples=2, **tagger)
    table = one_of(shown, NOT_PARALLEL)
    assert all(f">{language}</th>" in table for language in made_up_tags.LANGUAGES)
    assert table.count(">item 2</th>") == 3
    assert "times the mean" in one_of(shown, "sum_padded")
    assert r"my\_data\*\|\<b\>\$x^\$" in one_of(shown, "This build")  # in Markdown


@pytest.mark.slow
def test_tags_of_translated_items_stand_together(tmp_path: Path, tagger: dict) -> None:
    chosen = {"encoder": tagger["encoder"], "languages": ["de"], "warmup": 1}
    asked = {"source": write_tags(tmp_path / "data"), "overrides": chosen}
    specs = grid("tagging", "smoke", [1], rounds=0, controls=False, **asked)
    table = tags(specs, 1, 12, ["en", "de"])
    assert PARALLEL in table.to_html()
    listed = [(f"item {1 + place // 2}", ("en", "de")[place % 2]) for place in range(24)]
    assert list(table.index) == listed


@pytest.mark.slow
def test_one_language_few_items_and_nothing_to_show(tmp_path: Path, tagger: dict) -> None:
    source = write_tags(tmp_path / "data", languages=["en"])
    few = {"train": 4, "validation": 1, "test": 1}
    more = {"languages": ["en"], "examples": few, "warmup": 1, "batch_size": 2}
    assert one_of(run_cells("tagging", source=source, samples=0, **more, **tagger), NONE_ASKED)


@pytest.mark.slow
def test_answers_in_one_language(tmp_path: Path) -> None:
    rows = made_up_questions.every_row()
    english = {name: part for name, part in rows.items() if name.startswith("en/")}
    shown = run_cells(
        "answering",
        profile="smoke",
        source=str(made_up_questions.write(tmp_path / "data", english)),
        encoder=made_up_questions.write_encoder(tmp_path / "encoder"),
        languages=["en"],
        examples={"train": 20, "validation": 4, "test": 4},
        max_length=32,
        samples=0,
    )
    assert one_of(shown, NONE_ASKED)


@pytest.mark.slow
def test_classes_and_values_of_oddly_named_data_sets(tmp_path: Path) -> None:
    made_up_texts.write_dataset(tmp_path / "data" / ODD, made_up_texts.splits())
    values = made_up_texts.splits(made_up_texts.pairs)
    for folder in ("data", "values"):
        made_up_texts.write_dataset(tmp_path / folder / "similar", values)
    encoder = str(made_up_texts.write_encoder(tmp_path / "encoder"))
    few = {"train": 16, "validation": 8, "test": 8}
    asked = {"profile": "smoke", "encoder": encoder, "examples": few, "batch_size": 4}
    source, both = str(tmp_path / "data"), [ODD, "similar"]
    shown = run_cells("classification", source=source, datasets=both, warmup=1, **asked)
    # Its figures name it too: as a formula it could not be drawn.
    assert r"s = 0, my\_data\*\|\<b\>\$x^\$: lowest at" in one_of(shown, ": lowest at update")
    most = one_of(shown, "most frequent training class")
    assert r"% of my\_data\*\|\<b\>\$x^\$ (test" in most  # the other has no classes
    assert all("<b>" not in text.replace(r"\<b\>", "") for text in shown)
    shown = run_cells("classification", source=str(tmp_path / "values"), warmup=1, **asked)
    assert one_of(shown, "No data set of this build has classes")


@pytest.mark.slow
def test_all_pairs_of_a_folder_and_a_test_set_of_one(tmp_path: Path) -> None:
    source = str(made_up_pairs.write_splits(tmp_path / "data"))
    asked = {"profile": "smoke", "source": source, "vocabulary": 80, "beams": 1, "epochs": 1}
    few = {"validation": 1, "test": 1}  # and the whole training split
    shown = run_cells("translation", examples=few, samples=0, **asked)
    assert one_of(shown, NONE_ASKED) and one_of(shown, "<th>all</th>")


@pytest.fixture
def images(tmp_path: Path) -> str:
    classes = ODD.replace("|", ""), "dogs"  # no name of a folder on every system
    return str(write_images(tmp_path / "data", classes, count=8))


@pytest.mark.slow
def test_images_at_another_smoothing_and_without_rounds(images: str) -> None:
    shown = run_cells(
        "images",
        profile="smoke",
        source=images,
        examples={"train": 16, "validation": 4, "test": 4},
        batch_size=4,
        warmup=1,
        epochs=1,
        rounds=0,
        smoothing=[0.2],
    )
    assert one_of(shown, "s = 0.2: lowest at update 4 of 4, before the last with 0")


@pytest.mark.slow
def test_sensitivity_settles_what_it_measures_before_training(images: str) -> None:
    few = {"train": 16, "validation": 4, "test": 4}
    settings = {"images": {"examples": few, "batch_size": 4, "warmup": 1, "epochs": 1}}
    asked = {"profile": "smoke", "tasks": ["images"], "settings": settings, "channels": 2}
    with pytest.raises(ValueError, match="10000000 parameters"):
        run_cells("sensitivity", source=images, set_size=10_000_000, **asked)
    assert not Path(".idlib/checkpoints").exists()
    with pytest.raises(SettingsError, match="unknown settings 'imags': choose one of images"):
        run_cells("sensitivity", settings={"imags": {}})
    shown = run_cells("sensitivity", source=images, set_size=9, random_sets=2, **asked)
    assert one_of(shown, "rank correlation")


IMPOSSIBLE = {
    "rounds": [-1],
    "samples": [-1],
    "workers": [0, -2],
    "seeds": [[], [1, 2, 1], "[]"],
    "smoothing": [[], [0.1, 0.1]],
    "languages": [[], ["de", "de"]],
    "datasets": [[], ["a", "a"]],
    "claims": [[]],
    "studies": [[], ["images", "images"]],
    "tasks": [["images", "images"]],
    "methods": [[]],
    "channels": [0],
    "random_sets": [0],
    "set_size": [0],
    "batches": [0],
    "source": [""],
}
CASES = [
    (path.stem, name, value)
    for path in sorted(NOTEBOOKS.glob("*.ipynb"))
    for name in set(IMPOSSIBLE) & set(notebook_parameters(path))
    for value in IMPOSSIBLE[name]
]


@pytest.mark.parametrize("page, name, value", sorted(CASES, key=str))
def test_impossible_values_are_refused_before_any_work(page: str, name: str, value) -> None:
    with pytest.raises(SettingsError, match=name):
        run_cells(page, **{name: value})
    assert not Store(also=()).all() and not Path(".idlib").exists()
