"""The command line as a user types it."""

import json
import os
from unittest import mock

import pytest
from made_up.records import made_up_record

from idlib.experiments.specs import Spec
from idlib.records import Store
from idlib.report.conditions import Condition


@pytest.mark.slow
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


@pytest.mark.slow
def test_settings_are_laid_over_the_profile(command):
    command("run", "images", "--profile", "smoke", "--set", "alpha=2.5", "--set", "epochs=1")
    (stored,) = Store().all()
    assert stored.record.asked.settings["alpha"] == 2.5
    assert stored.record.asked.settings["epochs"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["run", "images", "--profile", "tiny"],
            "choose one of smoke, small, medium, large, paper",
        ),
        (["run", "picture"], "unknown task 'picture': choose one of images"),
        (["run", "images", "--method", "rdrop"], "baseline, id, passes, compute"),
        (["run", "images", "--set", "alpha=[1"], "cannot be read as YAML"),
        (["run", "images", "--set", "alpha="], "alpha as the profile has it"),
        (["run", "images", "--set", "alpha=1", "--set", "alpha=2"], "alpha is set twice"),
        (["run", "images", "--set", "alhpa=1"], "unknown setting 'alhpa'"),
        (["run", "images", "--set", "alpha=much"], "alpha = 'much'"),
        (["run", "images", "--set", "pretrained=true"], "with source embedded"),
        (["run", "translation", "--set", "heads=3"], "heads"),
        (["run", "translation", "--set", "width=15"], "width"),
        (["run", "translation", "--set", "decode_tokens=2000"], "decode_tokens"),
        (["run", "translation", "--set", "max_tokens=2000"], "max_tokens"),
        (["run", "tagging", "--set", "layers=99"], "choose 1 to 12"),
        (["run", "tagging", "--set", "languages=de"], "give a list"),
        (["run", "answering", "--set", "max_length=1000"], "set max_length to 512"),
        (["run", "classification", "--set", "max_length=1000"], "set max_length to 512"),
        (["run", "tagging", "--set", "encoder=."], "--set encoder=embedded"),
        (["run", "images", "--source", "nowhere"], "choose one of embedded, hub"),
        (["run", "images", "--source", ""], "choose one of embedded, hub"),
        (["bench", "--task", "nothing"], "unknown task 'nothing': choose one of images"),
        (["bench", "--profile", "tiny"], "choose one of smoke, small, medium, large"),
        (["bench", "losses"], "unknown suite 'losses': choose one of loss, kernel, sizes"),
        (["bench", "--device", "gpu"], "unknown device 'gpu': choose one of cpu, cuda"),
        (["bench", "loss", "--task", "images"], "leave the suites, --quick and --out away"),
        (["run", "images", "--set", "precision=fp16", "--device", "cpu"], "takes a GPU"),
        (["grid", "images", "--seeds", "1,b"], "integers with commas"),
        (["grid", "images", "--seeds", ""], "integers with commas"),
        (["grid", "images", "--seeds", "1,1"], "1 is given twice"),
        (["grid", "images", "--smoothing", "a"], "numbers with commas"),
        (["grid", "images", "--set", "smoothing=0.2"], "--smoothing"),
        (["grid", "images", "--set", "round=3"], "--rounds"),
        (["grid", "images", "--source", ""], "choose one of embedded, hub"),
        (["translate", "out", "--split", "dev"], "train, validation, test"),
        (["records", "list", "--records", "nowhere"], "no such folder"),
        (["records", "show", "ffff"], "no record has a signature that begins with 'ffff'"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(command, workspace, arguments, says):
    status, out, err = command(*arguments)
    assert status == 2 and says in err
    assert "Traceback" not in err and len(err.strip().splitlines()) == 1
    assert not (workspace / ".idlib").exists()


FITS_NOT = {  # settings that are wrong only for these data
    "channels": (["architecture=resnet50"], "set architecture to narrow"),
    "one pixel of one image": (["image_size=16", "batch_size=1"], "set image_size above 16"),
    "warm-up": (["schedule=linear", "warmup=8"], "set warmup to less"),
}


@pytest.mark.parametrize("name", FITS_NOT)
def test_what_does_not_fit_the_data_is_found_before_training(command, workspace, name):
    settings, says = FITS_NOT[name]
    given = [word for setting in settings for word in ("--set", setting)]
    status, _, err = command("run", "images", "--profile", "smoke", *given)
    assert status == 2 and says in err and len(err.strip().splitlines()) == 1
    assert not (workspace / ".idlib").exists()


@pytest.mark.parametrize("variables", [{"WORLD_SIZE": "x"}, {"WORLD_SIZE": "2"}, {"RANK": "1"}])
def test_processes_that_are_not_together_are_one_line(command, workspace, variables):
    with mock.patch.dict(os.environ, variables):  # accelerate adds some
        status, _, err = command("run", "images", "--profile", "smoke")
    assert status == 2 and "torchrun" in err and len(err.strip().splitlines()) == 1
    assert not (workspace / ".idlib").exists()


@pytest.mark.parametrize("option", ["--records", "--checkpoints"])
@pytest.mark.parametrize("what", [["run"], ["grid", "--workers", "1"]])
def test_a_folder_that_cannot_be_written_to_is_found_before_training(
    command, workspace, option, what
):
    (workspace / "file").write_text("")
    given = ["--profile", "smoke", option, "file/below"]
    status, _, err = command(what[0], "images", *what[1:], *given)
    assert status == 2 and "file/below" in err and option in err
    assert len(err.strip().splitlines()) == 1
    assert [path.name for path in workspace.iterdir()] == ["file"]


def test_a_model_beyond_any_memory_is_one_line(command, workspace):
    given = ["--profile", "smoke", "--set", "width=10000000"]  # thousands of terabytes
    status, _, err = command("run", "images", *given)
    assert status == 1 and "micro_batch" in err and len(err.strip().splitlines()) == 1


def test_a_folder_of_translations_that_is_a_file_is_found_before_training(command, workspace):
    (workspace / "out").write_text("mine")
    status, _, err = command("translate", "out", "--profile", "smoke")
    assert status == 2 and "out" in err and len(err.strip().splitlines()) == 1
    assert [path.read_text() for path in workspace.iterdir()] == ["mine"]


def test_what_the_disk_refuses_is_one_line(command, workspace):
    folder = workspace / ".idlib/checkpoints" / Spec("images", "id", "smoke").signature
    folder.parent.mkdir(parents=True)
    folder.write_text("no folder")
    status, _, err = command("run", "images", "--profile", "smoke")
    assert status == 2 and folder.name in err and len(err.strip().splitlines()) == 1


def test_a_damaged_record_hides_no_other(command, workspace):
    cell = Condition("id", 0, 0.0)
    good, other = (made_up_record(cell, seed, "smoke", {"test/nll": 0.5}) for seed in (1, 2))
    Store().save(good)
    damaged = Store().save(other)
    damaged.write_text(damaged.read_text()[:-20])
    (workspace / "records").mkdir()
    (workspace / "records/notes.json").write_text("[1, 2]")

    status, out, err = command("records", "list")
    assert status == 2 and good.signature in out and other.signature not in out
    first, second = err.splitlines()
    assert damaged.name in first and "records/notes.json" in second
    status, out, err = command("records", "list", "--json")
    assert status == 2 and [row["signature"] for row in json.loads(out)] == [good.signature]
    assert command("records", "show", good.signature)[0] == 0
    status, _, err = command("records", "show", other.signature)
    assert status == 2 and damaged.name in err and len(err.strip().splitlines()) == 1


COMMANDS = ["run", "grid", "translate", "book", "bench"]
COMMANDS += [f"records {name}" for name in ("list", "show", "compare")]


def test_every_command_has_an_example(command):
    status, shown, _ = command("--help")
    assert status == 0 and all(name.split()[0] in shown for name in COMMANDS)
    for name in COMMANDS:
        status, shown, _ = command(*name.split(), "--help")
        assert status == 0 and f"Example: idlib {name}" in shown


def test_a_missing_argument_shows_the_usage(command):
    status, _, err = command("run")
    assert status == 2 and "Missing argument" in err


@pytest.mark.slow
def test_grid_makes_all_records(command):
    status, out, _ = command("grid", "images", "--profile", "smoke", "--workers", "1")
    assert status == 0 and "10 records of images at profile smoke" in out
    assert len(Store().all()) == 10
    fewer = ["--workers", "1", "--smoothing", "0", "--rounds", "0"]
    status, out, _ = command("grid", "images", "--profile", "smoke", *fewer)
    assert status == 0 and "4 records of images at profile smoke" in out
    assert len(Store().all()) == 10


def test_records_are_listed_whole_in_a_narrow_terminal_and_by_what_was_asked(
    command, workspace, monkeypatch
):
    store = Store(workspace / ".idlib" / "records", also=())
    ours = [
        made_up_record(Condition(name, 0, 0.1), 11, "medium", {"test/nll": 0.5})
        for name in ("baseline", "compute")
    ]
    for record in ours:
        store.save(record)
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = command("records", "list", "--method", "compute")
    (row,) = (line.split() for line in out.splitlines() if ours[1].signature in line)
    assert status == 0 and ours[0].signature not in out
    assert row == [ours[1].signature, "images", "compute", "medium", "11", "0.1", "0", "0.5000"]
    assert max(map(len, out.splitlines())) <= 160


def test_the_version_is_shown(command):
    from importlib.metadata import version

    assert command("--version")[:2] == (0, f"idlib {version('idlib')}\n")


def test_help_is_as_wide_as_the_terminal(command, monkeypatch):
    """Lines of a docstring are not the terminal's: a paragraph flows."""
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = command("grid", "--help")
    lines = [line.strip() for line in out.splitlines()]
    assert "command goes on. With --list nothing is run: for each run there are the" in lines
