"""Runs from spec to record, at profile smoke on the real data.

What goes from where to where is tested on the toy task, whose every number is at hand.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
import torch
from filelock import FileLock
from made_up.tasks import write_images
from made_up.toy import EXAMPLES, ToySettings
from made_up.toy_run import ToyRunTask
from safetensors.torch import load_file

from idlib import protocol, records
from idlib.data import DataError
from idlib.experiments.grid import grid, recorded
from idlib.experiments.measurement import HISTOGRAM_EDGES, QUANTILE_LEVELS
from idlib.experiments.runs import load_model, run
from idlib.experiments.specs import Spec
from idlib.experiments.workers import RunsFailed, run_all
from idlib.experiments.workspace import Workspace
from idlib.method.distillation import frozen_teacher
from idlib.metrics.names import BEST, LAST, LOSS, SELECTIONS, at
from idlib.records import Store
from idlib.sensitivity.first_order import parameter_sensitivity
from idlib.sensitivity.parameter_sets import kinds
from idlib.tasks import TASKS
from idlib.tasks.images import ImageTask
from idlib.training import checkpoints
from idlib.training.loop import train
from idlib.training.randomness import derive_seed, seed_everything
from idlib.training.settings import METHODS, SettingsError
from idlib.training.trainable import Selection

ONE = Spec("images", "id", "smoke")
TOY = Spec("toy", "id", "smoke")


@pytest.fixture
def toy(monkeypatch) -> None:
    """The toy task is one of the tasks."""
    monkeypatch.setitem(TASKS, "toy", "made_up.toy_run:ToyRunTask")


@pytest.mark.slow
def test_a_finished_run_is_found_again(shared):
    record, seen = run(ONE, shared), []
    assert run(ONE, shared, progress=seen.append) == record
    assert seen == [8]


@pytest.mark.slow
def test_a_lost_record_is_measured_again_from_the_weights(shared, tmp_path):
    again = Workspace(Store(tmp_path, also=()), shared.checkpoints)
    first, second = run(ONE, shared), run(ONE, again)
    assert second.measured == first.measured
    assert second.cost == first.cost  # so nothing was trained


@pytest.mark.slow
def test_the_control_passes_is_id_with_alpha_zero(shared):
    control = run(Spec("images", "passes", "smoke"), shared)
    same = run(Spec("images", "id", "smoke", overrides={"alpha": 0.0}), shared)
    assert control.measured == same.measured and control.signature != same.signature
    assert control.measured.curves["train/divergence"][0] > 0


@pytest.mark.slow
def test_a_student_needs_its_teacher_and_no_record_of_it(shared, fresh):
    spec = ONE.round(1)
    record = run(spec, fresh)
    assert record.asked.settings["round"] == 1
    assert record.measured == run(spec, shared).measured
    assert fresh.store.find(ONE.signature) is None
    assert record.measured.metrics["test/nll"] != run(ONE, shared).measured.metrics["test/nll"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (Spec("images", "id", "tiny"), "smoke, small, medium, large, paper"),
        (Spec("image"), "images"),
        (Spec("images", "rdrop"), "baseline, id, passes, compute"),
        (Spec("images", source="no/such/folder"), "choose one of embedded, hub"),
        (Spec("images", device="tpu"), "auto, cpu, cuda"),
        (Spec("images", overrides={"p": 10, "q": 5}), "A4"),
        (Spec("images", overrides={"epoch": 5}), "unknown setting 'epoch'"),
    ],
)
def test_bad_specs_are_refused_before_anything_is_made(spec, says, fresh):
    with pytest.raises(SettingsError, match=says):
        run_all([ONE, spec], workspace=fresh)
    assert not fresh.checkpoints.exists()


def test_a_protocol_that_was_changed_is_refused_before_anything_is_made(toy, fresh, monkeypatch):
    def refuse() -> str:
        raise protocol.ProtocolError("protocol.yaml is not what is listed")

    done = []
    monkeypatch.setattr(protocol, "sha256", refuse)
    for go in (partial(run, TOY, fresh, done.append), partial(run_all, [TOY], workspace=fresh)):
        with pytest.raises(protocol.ProtocolError):
            go()
    assert not done and not fresh.checkpoints.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="wants a machine without a GPU")
def test_a_gpu_that_is_not_there_is_said_at_once(fresh):
    with pytest.raises(SettingsError, match="finds no GPU: use cpu or auto"):
        run(on_gpu := Spec("images", "id", "smoke", device="cuda"), fresh)
    with pytest.raises(SettingsError, match="finds no GPU"):
        run_all([ONE, on_gpu], workspace=fresh)
    assert not fresh.store.all()


# What goes from where to where ---------------------------------------------------------------


def diverging(method: str = "id", **overrides) -> Spec:
    """A toy run whose selected weights are far from its last ones."""
    settings = {"epochs": 5, "lr_peak": 0.5, **overrides}
    return Spec("toy", method, "smoke", overrides=settings)


def test_the_selected_weights_of_the_diverging_run_are_not_its_last(toy, fresh):
    record = run(diverging(), fresh)
    assert 0 < record.measured.metrics["selected/step"] < diverging().plan.updates
    assert record.measured.metrics["test/nll"] < record.measured.metrics["test/nll@last"] - 0.1


class TwoRules(ToyRunTask):
    """Its score is best where its loss is 3."""

    selection = Selection("score", higher_is_better=True)

    def evaluate(self, model, split):
        nll = super().evaluate(model, split)
        return {**nll, "score": -abs(nll["nll"] - 3)}


@pytest.fixture
def two_rules(monkeypatch) -> None:
    """The toy task, its score and its loss lead to different checkpoints."""
    monkeypatch.setitem(TASKS, "toy", f"{__name__}:TwoRules")


@pytest.mark.pinned
def test_load_model_gives_the_weights_of_each_selection(two_rules, fresh):
    spec = diverging()
    curves, found = run(spec, fresh).measured.curves, {}
    for which in SELECTIONS:
        model = load_model(spec, which, fresh)
        assert not model.training
        found[which] = spec.plan.task.evaluate(model, "validation")
    assert found[BEST]["score"] == max(curves["validation/score"])
    assert found[LOSS]["nll"] == min(curves["validation/nll"])
    assert found[LAST]["nll"] == curves["validation/nll"][-1]
    assert len({values["nll"] for values in found.values()}) == 3
    with pytest.raises(SettingsError, match="choose one of best, loss, last"):
        load_model(spec, "first", fresh)


@pytest.mark.parametrize("improving", [True, False])
def test_a_record_holds_the_figures_of_each_selection(toy, fresh, improving, monkeypatch):
    """Each equals the direct call; weights that are never seen are left out and counted."""
    tested, test = [], ToyRunTask.test
    monkeypatch.setattr(ToyRunTask, "test", lambda *given: tested.append(1) or test(*given))
    spec = replace(TOY, overrides={"epochs": 1}) if improving else diverging()
    record, task = run(spec, fresh), spec.plan.task
    assert (record.measured.metrics["selected/step"] == spec.plan.updates) == improving
    assert len(tested) == (1 if improving else 2)  # one checkpoint is not measured twice
    steps = checkpoints.read_finished(fresh.checkpoints / spec.signature)["selected"]
    expected = {}
    for which in SELECTIONS:
        model = load_model(spec, which, fresh)
        measured = parameter_sensitivity(
            model, task.sensitivity_batches(), task.loss, task.never_seen(model)
        )
        figures = {
            "selected/step": steps[which],
            "test/nll": task.evaluate(model, "test")["nll"],
            "sensitivity/parameters": measured.count,
            "sensitivity/batches": 3,
            "sensitivity/excluded": 8,
            "train/nll": measured.loss,
        }
        for name in ("mean", "std", "cv", "gini"):
            for kind in (name, f"{name}_normalized"):
                figures[f"sensitivity/{kind}"] = getattr(measured, kind)
        layers = {row.layer: row for row in measured.by_layer()}
        figures |= {f"sensitivity/mean/{name}": row.mean for name, row in layers.items()}
        figures |= {f"sensitivity/std/{name}": row.std for name, row in layers.items()}
        for row in measured.by_layer(kinds(model).__getitem__):
            figures[f"kinds/parameters/{row.layer}"] = row.count
            figures[f"kinds/mean/{row.layer}"] = row.mean
            figures[f"kinds/std/{row.layer}"] = row.std
        expected |= {at(name, which): value for name, value in figures.items()}
        if which == BEST:
            curves = {
                "sensitivity/histogram/edges": HISTOGRAM_EDGES,
                "sensitivity/histogram/counts": measured.histogram(HISTOGRAM_EDGES),
                "sensitivity/quantiles/levels": QUANTILE_LEVELS,
                "sensitivity/quantiles/values": measured.quantiles(QUANTILE_LEVELS),
                "test/nll/items": task.losses(model, "test").tolist(),
            }
    assert record.measured.metrics == expected
    assert {name: record.measured.curves[name] for name in curves} == curves
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert expected["sensitivity/parameters"] == weights - 8


@pytest.mark.pinned
@pytest.mark.parametrize("number", [1, 2])
def test_a_student_is_taught_by_the_round_before_at_its_lowest_loss(two_rules, fresh, number):
    spec, before = diverging(round=number), diverging(round=number - 1)
    curves = run(spec, fresh).measured.curves
    taught = {}
    for which in SELECTIONS:
        teacher = frozen_teacher(load_model(before, which, fresh), before.plan.task.forward)
        seed_everything(derive_seed(1, "round", number, "weights"))
        model, task, folder = spec.plan.task.model(), spec.plan.task, fresh.checkpoints / which
        made = train(model, task, spec.plan.settings, seed=1, folder=folder, teacher=teacher)
        taught[which] = made.curves
    assert {name: curves[name] for name in taught[LOSS]} == taught[LOSS]
    for other in (BEST, LAST):
        assert taught[other]["train/task"] != taught[LOSS]["train/task"]


def start_of(spec: Spec, workspace: Workspace) -> dict[str, list]:
    """The weights that a run starts from: its rates are too small to move them."""
    still = replace(spec, overrides={**spec.overrides, "lr_peak": 1e-30})
    run(still, workspace)
    folder = workspace.folder(still.signature)
    weights = load_file(checkpoints.weights_path(folder, still.plan.updates))
    return {name: value.tolist() for name, value in weights.items()}


def order_of(spec: Spec, workspace: Workspace) -> list[int]:
    """The training examples of a run in the order in which it took them."""
    run(spec, workspace)
    return [example for rows in spec.plan.task.seen for example in rows]


def test_every_round_and_seed_starts_from_its_own_weights_and_sees_its_own_order(toy, fresh):
    specs = [replace(TOY, seed=seed).round(number) for seed in (1, 2) for number in (0, 1, 2)]
    settings = [{**spec.plan.asked.settings, "round": None} for spec in specs]
    assert settings == settings[:1] * len(specs)  # all else is the same
    starts = [start_of(spec, fresh) for spec in specs]
    assert all(a != b for a, b in combinations(starts, 2))
    taken = [order_of(spec, fresh) for spec in specs]
    assert all(len(order) == 2 * EXAMPLES for order in taken)
    assert all(a != b for a, b in combinations(taken, 2))


@pytest.mark.parametrize("number", [0, 1])
def test_methods_start_from_the_same_weights_and_see_the_same_order(toy, fresh, number):
    specs = [Spec("toy", method, "smoke").round(number) for method in METHODS]
    starts = [start_of(spec, fresh) for spec in specs]
    assert starts == starts[:1] * len(METHODS)
    taken = [order_of(spec, fresh)[: 2 * EXAMPLES] for spec in specs]
    assert taken == taken[:1] * len(METHODS)


def test_progress_counts_every_update_of_the_run_and_none_of_its_teacher(toy, fresh):
    for spec in (TOY.round(1), Spec("toy", "compute", "smoke")):
        told = []
        run(spec, fresh, told.append)
        assert sum(told) == spec.plan.updates == len(told) - 1
    assert spec.plan.updates == 3 * TOY.plan.updates


def test_a_record_costs_what_its_training_cost(toy, fresh):
    record = run(TOY, fresh)
    finished = checkpoints.read_finished(fresh.checkpoints / TOY.signature)
    cost = record.cost.model_dump()
    assert cost == {name: finished[name] for name in cost} and cost["seconds"] > 0


def changed_since(monkeypatch) -> None:
    """From here on it is another version of the code, under another protocol."""
    monkeypatch.setattr(records, "_commit", lambda: "of later")
    monkeypatch.setattr(protocol, "sha256", lambda: "f" * 64)


def test_a_record_tells_of_its_training_and_not_of_who_measured(
    toy, fresh, tmp_path, monkeypatch, caplog
):
    first = run(TOY, fresh).origin
    assert "begun" not in caplog.text
    changed_since(monkeypatch)
    again = run(TOY, Workspace(Store(tmp_path / "again", also=()), fresh.checkpoints)).origin
    assert (again.commit, again.protocol) == (first.commit, first.protocol)
    assert f"{TOY.signature} is measured otherwise than it was begun" in caplog.text
    assert f"protocol was {first.protocol} and is {'f' * 64}" in caplog.text


def test_a_record_tells_of_who_began_a_training_that_others_went_on_with(
    toy, fresh, monkeypatch, caplog
):
    def stop_after(updates):
        told = []

        def progress(count):
            told.append(count)
            if sum(told) == updates:
                raise KeyboardInterrupt

        return progress

    made = records.origin()
    spec = Spec("toy", "id", "smoke", overrides={"epochs": 3})
    with pytest.raises(KeyboardInterrupt):
        run(spec, fresh, stop_after(1))  # before there is a state
    monkeypatch.setattr(records, "_commit", lambda: "of the beginning")
    with pytest.raises(KeyboardInterrupt):
        run(spec, fresh, stop_after(spec.plan.updates - 1))
    assert checkpoints.state_path(fresh.folder(spec.signature)) and "begun" not in caplog.text
    changed_since(monkeypatch)
    record = run(spec, fresh)
    assert "goes on otherwise" in caplog.text
    assert (record.origin.commit, record.origin.protocol) == ("of the beginning", made.protocol)


@pytest.mark.parametrize(
    "kept", [None, b"", b"\xff", b"[]", b'{"digest": "", "origin": {}}', "of another idlib"]
)
def test_no_run_is_lost_for_who_began_it(kept, toy, fresh, tmp_path, monkeypatch):
    run(TOY, fresh)
    path = fresh.folder(TOY.signature) / checkpoints.ORIGIN
    path.unlink()
    if isinstance(kept, bytes):
        path.write_bytes(kept)
    elif kept:
        checkpoints.save_origin(path.parent, {"of": kept})
    changed_since(monkeypatch)
    again = run(TOY, Workspace(Store(tmp_path / "again", also=()), fresh.checkpoints))
    assert again.origin.commit == "of later"


def test_a_students_lost_record_needs_no_teacher(toy, fresh, tmp_path):
    first = run(TOY.round(1), fresh)
    shutil.rmtree(fresh.checkpoints / TOY.signature)
    second = run(TOY.round(1), Workspace(Store(tmp_path / "again", also=()), fresh.checkpoints))
    assert second.measured == first.measured
    assert not (fresh.checkpoints / TOY.signature).exists()


def test_a_run_has_the_threads_that_it_asked_for_and_no_longer(toy, fresh):
    before = torch.get_num_threads()
    spec = Spec("toy", "id", "smoke", overrides={"threads": before + 1})
    run(spec, fresh)
    assert spec.plan.task.threads == before + 1 and torch.get_num_threads() == before


def test_the_callers_random_generators_are_left_as_they_were(toy, fresh):
    def draws() -> list[float]:
        return [float(torch.rand(())), np.random.random(), random.random()]

    seed_everything(5)
    expected = [draws() for _ in range(4)]
    seed_everything(5)
    assert draws() == expected[0]
    run(TOY, fresh)
    assert draws() == expected[1]
    load_model(TOY, workspace=fresh)
    assert draws() == expected[2]
    with pytest.raises(RuntimeError, match="on purpose"):
        run(TOY.round(1), fresh, failing)
    assert draws() == expected[3]


def failing(updates: int) -> None:
    raise RuntimeError("on purpose")


def test_every_setting_and_all_else_that_is_asked_is_in_the_signature(toy, monkeypatch):
    """So that no run is ever taken for another one."""
    others = {
        **{"passes": 2, "alpha": 0.5, "p": 4.0, "q": 9.0, "divergence": "js", "mode": "loop"},
        **{"divergence_reduction": "sum", "smoothing": 0.1, "round": 1, "epochs": 3},
        **{"stretch": 2, "batch_size": 3, "micro_batch": 2, "evaluate_every": 1},
        **{"schedule": "linear", "lr_peak": 0.1, "lr_initial": 0.01, "warmup": 1},
        **{"betas": (0.8, 0.9), "eps": 1e-6, "weight_decay": 0.1, "clip": 1.0},
        **{"optimizer": "adamax", "lr_head": 0.3, "precision": "bf16", "threads": 2},
        **{"sensitivity_batch": 3, "dropout": 0.3, "dropout_bits": 16, "compile": "default"},
        "pruned": (0.5,),
    }
    assert set(others) == set(ToySettings.model_fields)
    specs = [TOY, Spec("toy", "passes", "smoke"), replace(TOY, profile="small")]
    specs += [replace(TOY, seed=2), *(replace(TOY, overrides={k: v}) for k, v in others.items())]
    signatures = [spec.signature for spec in specs]
    monkeypatch.setenv("WORLD_SIZE", "2")
    signatures.append(replace(TOY).signature)
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setattr(ToyRunTask, "revision", 2)
    signatures.append(replace(TOY).signature)
    monkeypatch.setattr(ToyRunTask, "checksums", {"train": "other data"})
    signatures.append(replace(TOY).signature)
    assert len(set(signatures)) == len(signatures)


# Many runs -----------------------------------------------------------------------------------


def test_the_grid_is_the_eight_models_and_two_controls():
    specs = grid("images", "smoke", [3])
    cells = {(s.method, s.plan.settings.smoothing, s.plan.settings.round, s.seed) for s in specs}
    eight = {(m, s, r, 3) for m in ("baseline", "id") for s in (0.0, 0.1) for r in (0, 1)}
    assert cells == eight | {("passes", 0.0, 0, 3), ("compute", 0.0, 0, 3)}
    assert len({s.signature for s in grid("images", "smoke", [1, 2], rounds=2)}) == 28


@pytest.mark.slow
def test_side_by_side_gives_the_records_of_one_by_one(shared, tmp_path):
    specs = [ONE, ONE.round(1), Spec("images", "baseline", "smoke")]
    one_by_one = run_all(specs, workers=1, workspace=shared)
    other = Workspace(Store(tmp_path / "r", also=()), tmp_path / "c")
    side_by_side = run_all(specs[::-1], workers=2, workspace=other)[::-1]
    assert [r.measured for r in side_by_side] == [r.measured for r in one_by_one]
    assert [r.signature for r in side_by_side] == [s.signature for s in specs]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_failed_run_is_named_and_the_others_are_recorded(fresh, workers):
    good, bad = Spec("images", "baseline", "smoke"), Spec("images", "baseline", "smoke", seed=2)
    folder = fresh.checkpoints / bad.signature
    folder.mkdir(parents=True)
    state = folder / "state.pt"
    state.write_bytes(b"not a checkpoint")
    with pytest.raises(RunsFailed) as raised:
        run_all([bad, good], workers=workers, workspace=fresh)
    assert "seed 2" in str(raised.value) and str(folder) in str(raised.value)
    assert fresh.store.find(good.signature) is not None
    assert fresh.store.find(bad.signature) is None
    assert state.read_bytes() == b"not a checkpoint"


@pytest.mark.slow
def test_recorded_takes_what_answers_to_todays_settings(shared, monkeypatch):
    run_all([ONE, Spec("images", "id", "smoke", overrides={"alpha": 0.5})], workspace=shared)
    found = recorded("images", "smoke", shared.store.root)
    assert ONE.signature in {r.signature for r in found}
    assert all(r.asked.settings["alpha"] in (0.0, 5.0) for r in found)
    monkeypatch.setattr(ImageTask, "revision", 99)
    assert recorded("images", "smoke", shared.store.root) == []


def test_a_run_is_described_in_words():
    spec = Spec("images", "id", "smoke", seed=4, overrides={"smoothing": 0.1})
    assert spec.description == "images id, s = 0.1, round 0, seed 4, profile smoke"


@pytest.mark.slow
def test_torchrun_makes_one_record_with_two_processes(tmp_path):
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "idlib", "run", "images", "--profile", "smoke"),
        ],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    ((record, _),) = Store(tmp_path / ".idlib/records", also=()).all()
    assert record.asked.processes == 2 and record.signature != ONE.signature


# Killed from outside -------------------------------------------------------------------------


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "idlib", "run", "images", "--profile", "smoke", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_record(tmp_path):
    """SIGKILL as soon as the first checkpoint is there; the same command then finishes the run."""
    longer = ("--set", "epochs=6")
    spec = Spec("images", "id", "smoke", overrides={"epochs": 6})
    process = start(tmp_path, *longer)
    folder = tmp_path / ".idlib/checkpoints" / spec.signature
    while not (folder / checkpoints.CHECKSUMS).exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not list(tmp_path.glob(".idlib/records/*.json"))
    assert checkpoints.load(folder)["step"] < 24
    assert start(tmp_path, *longer).wait() == 0
    resumed = Store(tmp_path / ".idlib/records", also=()).find(spec.signature)
    whole = Workspace(Store(tmp_path / "whole", also=()), tmp_path / "whole-checkpoints")
    assert resumed.measured == run(spec, whole).measured


def heed_interrupts() -> None:
    """A command that a shell starts in the background is deaf to Ctrl-C; its children are too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def members(session: int) -> set[int]:
    """The processes of a session."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if os.getsid(int(folder.name)) == session:
                found.add(int(folder.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("end", "status", "says"),
    [
        (lambda grid, workers: os.killpg(grid, signal.SIGINT), 130, "the same command goes on"),
        (lambda grid, workers: os.kill(min(workers), signal.SIGKILL), 1, "ended from outside"),
    ],
    ids=["Ctrl-C", "a killed worker"],
)
def test_a_grid_that_is_stopped_makes_no_more_runs_and_leaves_no_process(
    tmp_path, end, status, says
):
    """Its two workers have begun runs that would take minutes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "idlib", "grid", "images", "--profile", "smoke"]
        + ["--workers", "2", "--set", "epochs=60", "--set", "evaluate_every=1"],
        cwd=tmp_path,
        preexec_fn=heed_interrupts,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as a terminal's, all of which Ctrl-C reaches
    )
    begun = f".idlib/checkpoints/*/{checkpoints.CHECKSUMS}"
    while len(list(tmp_path.glob(begun))) < 2 and process.poll() is None:
        time.sleep(0.05)
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in members(process.pid)}
    workers = [pid for pid, command in commands.items() if "spawn_main" in command]
    assert len(workers) == 2
    end(process.pid, workers)
    try:
        _, shown = process.communicate(timeout=60)
    finally:
        process.kill()
    last = shown.strip().splitlines()[-1]
    assert process.returncode == status and last.startswith("idlib: ") and says in last
    assert "Traceback" not in shown
    assert not members(process.pid) & set(workers)
    assert len(list(tmp_path.glob(begun))) == 2
    assert not list(tmp_path.glob(".idlib/records/*.json"))


@pytest.mark.slow
def test_a_record_says_all_that_was_asked(shared):
    asked = run(ONE, shared).asked
    assert asked.data == ONE.plan.task.checksums and asked.threads == 1 and asked.processes == 1
    assert json.loads(json.dumps(asked.settings))["examples"]["train"] == 240


# Data of one's own ---------------------------------------------------------------------------


def test_a_corrupt_image_is_named_before_anything_is_trained(fresh, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write_images(tmp_path / "images")
    broken = root / "train" / "dark" / "3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(DataError, match="3.png"):
        run_all([Spec("images", "id", "smoke", str(root))], workspace=fresh)
    assert not fresh.checkpoints.exists()


def test_who_waits_for_another_process_on_the_same_run_is_told(fresh, capsys):
    folder = fresh.folder(ONE.signature)
    folder.mkdir(parents=True)
    held = FileLock(folder / ".lock", thread_local=False)
    with ThreadPoolExecutor(1) as another:  # a lock is one thread's
        another.submit(held.acquire).result()
        Timer(1.0, held.release).start()
        run(ONE, fresh)
    said = f"another process works on this run; waiting for it ({folder})"
    assert said in capsys.readouterr().err
