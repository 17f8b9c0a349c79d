"""Every command prints its result as JSON, and nothing else on stdout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from idlib.cli import app
from idlib.records import Store


def commands() -> dict[str, list[str]]:
    """The options of each command, by its name."""

    def of(group, prefix: str = "") -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                found |= of(command, f"{prefix}{name} ")
            else:
                found[prefix + name] = [text for one in command.params for text in one.opts]
        return found

    return of(typer.main.get_command(app))


def test_every_command_has_the_option() -> None:
    found = commands()
    assert {"run", "verify", "doctor", "records compare"} <= set(found)
    assert [name for name, options in found.items() if "--json" not in options] == []


@pytest.mark.slow
def test_what_is_printed_is_json(command, workspace: Path) -> None:
    def values(*arguments: str):
        status, out, err = command(*arguments, "--json")
        assert status == 0, err
        return json.loads(out)

    smoke = ("--profile", "smoke", "--set", "epochs=1")
    first = values("run", "images", *smoke)
    assert first["asked"]["task"] == "images" and first["measured"]["metrics"]
    grid = values("grid", "images", *smoke, "--rounds", "0", "--smoothing", "0", "--workers", "1")
    assert all(row["finished"] for row in grid) and first["signature"] in {
        r["signature"] for r in grid
    }
    other = next(row["signature"] for row in grid if row["signature"] != first["signature"])
    compared = values("records", "compare", first["signature"], other)
    assert set(compared) == {"asked", "measured"} and "method" in compared["asked"]
    (before, after) = compared["measured"]["test/nll"]
    assert before == first["measured"]["metrics"]["test/nll"] != after
    assert {row["where"] for row in values("records", "list")} == {".idlib/records"}
    assert values("records", "show", other)["signature"] == other

    again = values("verify", first["signature"])
    assert again["agrees"] and again["same_bits"] and again["verdict"] == "it agrees bit for bit"
    assert not list(Path(".idlib/verify").iterdir())
    assert len(Store().all()) == len(grid)


@pytest.mark.slow
def test_a_record_that_is_not_so_is_found_out(command, workspace: Path) -> None:
    """One that holds other numbers than its run gives, as one that was made up would."""
    smoke = ("--profile", "smoke", "--set", "epochs=1")
    command("run", "images", *smoke)
    store = Store()
    (stored,) = store.all()
    metrics = {**stored.record.measured.metrics, "test/nll": 0.1}
    measured = stored.record.measured.model_copy(update={"metrics": metrics})
    store.save(stored.record.model_copy(update={"measured": measured}))
    status, out, _ = command("verify", stored.record.signature)
    assert status == 1 and "1 of" in out and "on the same processor with the same versions" in out
    assert "test/nll" in out and "test/accuracy" not in out
    status, out, _ = command("verify", stored.record.signature, "--all")
    assert status == 1 and "test/accuracy" in out


def test_the_protocols_runs(command) -> None:
    status, out, _ = command("evidence", "images", "--list", "--json")
    cells = json.loads(out)["cells"]
    assert status == 0 and {cell["study"] for cell in cells} == {"images"}
    assert all(cell["registered"] == 10 and cell["made"] == 0 for cell in cells)
