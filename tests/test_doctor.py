"""What the doctor finds, where all is well and where something is wrong."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from idlib import doctor

ROOT = Path(__file__).resolve().parent.parent


def found(*states: str) -> dict[str, doctor.Finding]:
    return {one.what: one for one in doctor.findings() if one.state in (states or one.state)}


@pytest.mark.slow
def test_all_is_well_here(command) -> None:
    status, out, _ = command("doctor")
    assert status == 0 and "nothing is wrong" in out
    status, out, _ = command("doctor", "--json")
    rows = {row["what"]: row for row in json.loads(out)}
    assert status == 0 and all(row["state"] != "fault" for row in rows.values())
    assert {"python", "packages", "torch", "data libreoffice_help", "protocol", "disk"} <= set(rows)
    assert all(row["remedy"] for row in rows.values() if row["state"] == "note")


@pytest.mark.slow
def test_a_damaged_file_is_named(command, tmp_path: Path, monkeypatch) -> None:
    """Of the data that ship, and a record: both with what to do."""
    for name in ("fashion_mnist", "multilingual_e5_small"):
        shutil.copytree(doctor.EMBEDDED / name, tmp_path / "embedded" / name)
    images = next((tmp_path / "embedded/fashion_mnist").glob("*.parquet"))
    content = bytearray(images.read_bytes())
    content[len(content) // 2] ^= 1
    images.write_bytes(content)
    monkeypatch.setattr(doctor, "EMBEDDED", tmp_path / "embedded")
    (tmp_path / "records").mkdir()
    (tmp_path / "records/one.json").write_text("{")
    status, out, _ = command("doctor")
    out = " ".join(out.split())
    assert status == 1 and "2 faults" in out
    assert f"{images.name} is not the file that was published" in out
    assert "one.json is not a readable record" in out and "git checkout records" in out


@pytest.mark.slow
def test_a_package_out_of_its_range_is_named(monkeypatch, workspace) -> None:
    required = ["torch>=99", "not-there-at-all", "numpy", 'nor-this; extra == "report"']
    monkeypatch.setattr(metadata, "requires", lambda name: required)
    findings = found()
    version = metadata.version("torch")
    assert findings["packages"].state == "fault"
    assert (
        findings["packages"].found
        == f"torch is {version} and not >=99; not-there-at-all is missing"
    )
    assert findings["extra report"].state == "note" and "nor-this" in findings["extra report"].found


@pytest.mark.slow
def test_a_folder_that_refuses_and_little_room(monkeypatch, workspace: Path) -> None:
    (workspace / ".idlib").write_text("a file")
    usage = shutil.disk_usage(".")._replace(free=2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    findings = found("fault", "note")
    assert findings["folders"].state == "fault" and ".idlib" in findings["folders"].found
    assert findings["disk"].found == "1 GiB of 5" and "checkpoints" in findings["disk"].remedy
    assert findings["git"].state == "note"
