"""The archive of records: what it holds agrees with the records, and tells of every column."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from idlib.book.archive import CARD, schema, write
from idlib.experiments.registered import Answers, Evidence
from idlib.records import RecordError, Store, paths

ROOT = Path(__file__).resolve().parents[2]
SOME = ("images-medium-id-*", "translation-medium-baseline-*")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some of the committed records."""
    root = tmp_path_factory.mktemp("project")
    for folder in ("records", "records/evidence"):
        (root / folder).mkdir()
        for name in SOME:
            for path in sorted((ROOT / folder).glob(name))[:3]:
                shutil.copy(path, root / folder)
    shutil.copy(ROOT / "protocol.yaml", root)
    return root


@pytest.fixture(scope="module")
def found(project: Path) -> Evidence:
    """One of the records answers two registered runs."""
    record = Store(project / "records/evidence", also=()).all()[0].record
    answers = {name: Answers({"id": {11: record}}, [], []) for name in ("images", "image-dose")}
    return Evidence(answers, [])


@pytest.fixture(scope="module")
def archive(project: Path, found: Evidence) -> zipfile.ZipFile:
    out = project / "records.zip"
    assert write(out, project, found) == 12
    return zipfile.ZipFile(out)


def test_files_are_there_as_they_are(project: Path, archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    assert names[:3] == [CARD, "records.csv", "schema.json"] and "protocol.yaml" in names
    records = [name for name in names if name.startswith("records/")]
    assert len(records) == 12
    assert all(archive.read(name) == (project / name).read_bytes() for name in records)


def test_the_table_holds_every_metric_as_it_is(project: Path, archive: zipfile.ZipFile) -> None:
    content = io.BytesIO(archive.read("records.csv"))
    table = pd.read_csv(content, index_col="signature", dtype=str)  # whose numbers Python reads
    stored = Store(project / "records", also=[project / "records/evidence"]).all()
    assert len(table) == len(stored)
    for record, folder in stored:
        row = table.loc[record.signature]
        assert (project / row["file"]).parent == folder
        metrics = record.measured.metrics
        assert all(float(row[name]) == value for name, value in metrics.items())
        assert float(row["seconds"]) == record.cost.seconds
        assert row["commit"] == record.origin.commit
    named = table["registered as"].dropna()
    assert list(named) == ["images: id; image-dose: id"]


def test_the_schema_holds_for_records_of_all_kinds(archive: zipfile.ZipFile) -> None:
    described = json.loads(archive.read("schema.json"))
    assert described == schema()
    parts = [described, *described["$defs"].values()]
    fields = [field for part in parts for field in part["properties"].values()]
    assert all(field.get("description") for field in fields) and len(fields) > 20
    check = jsonschema.Draft202012Validator(described)
    for folder in (ROOT / "records", ROOT / "records/evidence"):
        for path in paths(folder)[::20]:  # a record's items make it slow to check
            check.validate(json.loads(path.read_text(encoding="utf-8")))
    with pytest.raises(jsonschema.ValidationError):
        check.validate({"signature": "0" * 16})


def test_the_card_tells_of_every_column(archive: zipfile.ZipFile) -> None:
    card = archive.read(CARD).decode()
    assert "12 records" in card and "$" not in card
    told = set(re.findall(r"`([^`]+)`", card.partition("## Columns")[2].partition("##")[0]))
    columns = next(csv.reader(io.StringIO(archive.read("records.csv").decode())))
    metrics = [name for name in columns if "/" in name]
    assert set(columns) - set(metrics) <= told and len(metrics) > 10


def test_the_same_records_give_the_same_bytes(project: Path, found: Evidence) -> None:
    first, again = project / "records.zip", project / "again.zip"
    write(first, project, found)
    write(again, project, found)
    assert first.read_bytes() == again.read_bytes()


def test_what_cannot_be_archived_is_named(tmp_path: Path, project: Path, found: Evidence) -> None:
    with pytest.raises(RecordError, match="has no records"):
        write(tmp_path / "a.zip", tmp_path, found)
    shutil.copytree(project / "records", tmp_path / "records")
    torn = sorted((tmp_path / "records").glob("*.json"))[0]
    torn.write_text(torn.read_text()[:100])
    with pytest.raises(RecordError, match=torn.name):
        write(tmp_path / "a.zip", tmp_path, found)
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["records.tar"], "records.tar: give a name that ends in .zip"),
        (["there.zip"], "there.zip is there already: give another name, or --force"),
        (["new.zip"], "records has no records: give the command in the project's folder"),
    ],
)
def test_mistakes_are_one_line(workspace: Path, command, arguments, says) -> None:
    Path("there.zip").write_text("mine")
    status, _, err = command("records", "archive", *arguments)
    assert status == 2 and says in err and Path("there.zip").read_text() == "mine"
