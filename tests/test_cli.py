"""The command line as a user types it."""

import json

import pytest

from idlib import cli
from idlib.records import Store
from idlib.runs import Spec


@pytest.fixture
def command(workspace, monkeypatch, capsys):
    """Run ``idlib`` with arguments in an empty folder: exit status, output, errors."""
    monkeypatch.setenv("COLUMNS", "200")

    def go(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["idlib", *arguments])
        try:
            cli.main()
            status = 0
        except SystemExit as stopped:
            status = stopped.code or 0
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return go


def test_run_then_list_show_compare(command):
    status, out, err = command("run", "images", "--method", "id", "--profile", "smoke")
    assert status == 0 and "test/nll" in out and "seed 1" in err
    signature = Spec("images", "id", "smoke").signature
    assert signature in out
    command("run", "images", "--method", "baseline", "--profile", "smoke", "--seed", "2")
    other = Spec("images", "baseline", "smoke", seed=2).signature
    assert len(Store().all()) == 2

    status, out, _ = command("records", "list")
    assert status == 0 and signature in out and other in out and ".idlib/records" in out
    status, out, _ = command("records", "list", "--json")
    rows = json.loads(out)
    assert {row["signature"] for row in rows} == {signature, other}
    assert set(rows[0]) == {"signature", "asked", "measured", "cost", "origin", "where"}

    status, out, _ = command("records", "show", signature[:6])
    assert status == 0 and "sensitivity/std" in out
    status, out, _ = command("records", "show", signature, "--json")
    assert json.loads(out)["signature"] == signature

    status, out, _ = command("records", "compare", signature, other)
    assert status == 0 and "method" in out and "alpha" in out and "difference" in out
    assert "weight_decay" not in out  # the same in both

    status, _, err = command("records", "show", "")
    assert status == 2 and "2 records" in err


def test_settings_are_laid_over_the_profile(command):
    command("run", "images", "--profile", "smoke", "--set", "alpha=2.5", "--set", "epochs=1")
    (stored,) = Store().all()
    assert stored.record.asked.settings["alpha"] == 2.5
    assert stored.record.asked.settings["epochs"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "images", "--profile", "tiny"], "choose one of smoke, small, medium, paper"),
        (["run", "picture"], "unknown task 'picture': choose one of images"),
        (["run", "images", "--method", "rdrop"], "baseline, id, passes, compute"),
        (["run", "images", "--set", "alpha"], "NAME=VALUE"),
        (["run", "images", "--set", "alhpa=1"], "unknown setting 'alhpa'"),
        (["run", "images", "--set", "alpha=much"], "alpha = 'much'"),
        (["run", "images", "--source", "nowhere"], "neither embedded nor hub"),
        (["grid", "images", "--seeds", "1,b"], "integers with commas"),
        (["records", "show", "ffff"], "no record has a signature that begins with 'ffff'"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(command, workspace, arguments, says):
    status, out, err = command(*arguments)
    assert status == 2 and says in err
    assert "Traceback" not in err and len(err.strip().splitlines()) == 1
    assert not (workspace / ".idlib").exists()


def test_a_missing_argument_shows_the_usage(command):
    status, _, err = command("run")
    assert status == 2 and "Missing argument" in err


def test_grid_makes_all_records(command):
    status, out, _ = command("grid", "images", "--profile", "smoke", "--workers", "1")
    assert status == 0 and "10 records of images at profile smoke" in out
    assert len(Store().all()) == 10
