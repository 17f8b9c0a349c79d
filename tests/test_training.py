"""The loop: exact resume, exact accumulation, and what stops it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy import ToySettings, ToyTask

from idlib import checkpoints
from idlib.profiles import SettingsError
from idlib.randomness import derive_seed
from idlib.recipe import learning_rate, optimizer_of
from idlib.training import NonFiniteLoss, Selection, train

ID = ToySettings(passes=3, alpha=5.0)
BASELINE = ToySettings(passes=1, alpha=0.0)


def go(folder, settings=ID, task=None, seed=1, dropout=0.2, **kwargs):
    task = task or ToyTask(settings.batch_size)
    return train(task.model(dropout), task, settings, seed=seed, folder=folder, **kwargs)


def outcome(folder: Path, trained) -> tuple:
    weights = {name: load_file(folder / name) for name in (checkpoints.BEST, checkpoints.LAST)}
    flat = {f"{a}/{b}": t.tolist() for a, group in weights.items() for b, t in group.items()}
    return flat, trained.curves, trained.selected_step


def test_training_lowers_the_loss_and_keeps_curves(tmp_path):
    settings = ToySettings(passes=1, alpha=0.0, epochs=60)
    trained = go(tmp_path, settings)
    nll = trained.curves["validation/nll"]
    assert nll[-1] < 0.7 * nll[0]
    assert trained.curves["validation/step"] == [3.0 * epoch for epoch in range(1, 61)]
    assert {len(curve) for curve in trained.curves.values()} == {60}
    assert trained.selected_step == trained.curves["validation/step"][nll.index(min(nll))]
    assert trained.seconds > 0 and trained.peak_memory_bytes > 0


def test_the_same_twice_and_another_seed_differs(tmp_path):
    first = outcome(tmp_path / "a", go(tmp_path / "a"))
    assert outcome(tmp_path / "b", go(tmp_path / "b")) == first
    assert outcome(tmp_path / "c", go(tmp_path / "c", seed=2)) != first


def test_the_selected_weights_are_those_of_the_best_evaluation(tmp_path):
    settings = ToySettings(passes=1, alpha=0.0, epochs=12, lr_peak=0.5)  # it diverges and returns
    trained, task = go(tmp_path, settings), ToyTask()
    nll = trained.curves["validation/nll"]
    best, last = (
        task.evaluate(checkpoints.load_weights(task.model(), path).eval(), "validation")["nll"]
        for path in (trained.best, trained.last)
    )
    assert best == min(nll) and last == nll[-1] and best < last


# Killed at any point -------------------------------------------------------------------------


def in_child(work) -> int:
    """Run ``work`` in a forked process and return its status as ``os.waitpid`` gives it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def kill_at(point: int, folder: Path) -> bool:
    """Train, and SIGKILL oneself at the n-th update or file operation; whether it came to that."""

    def work() -> None:
        passed = 0

        def count(*_):
            nonlocal passed
            if passed == point:
                os.kill(os.getpid(), signal.SIGKILL)
            passed += 1

        for name in ("replace", "unlink", "chmod"):  # before each: a rename undone, a file left
            original = getattr(Path, name)

            def counted(self, *args, _original=original, **kwargs):
                count()
                return _original(self, *args, **kwargs)

            setattr(Path, name, counted)
        go(folder, progress=count)

    return in_child(work) != 0


def test_killed_at_any_point_and_started_again_gives_the_same_bits(tmp_path):
    whole = outcome(tmp_path / "whole", go(tmp_path / "whole"))
    points = 0
    while kill_at(points, tmp_path / f"{points}"):
        folder = tmp_path / f"{points}"
        assert outcome(folder, go(folder)) == whole, f"killed at point {points}"
        points += 1
    assert points > 20


def test_killed_again_and_again_gives_the_same_bits(tmp_path):
    whole = outcome(tmp_path / "whole", go(tmp_path / "whole"))
    folder = tmp_path / "often"
    for point in (6, 4, 5, 7):
        assert kill_at(point, folder)
    assert outcome(folder, go(folder)) == whole


def test_a_resume_in_the_middle_of_an_epoch_is_exact(tmp_path):
    settings = ToySettings(passes=3, evaluate_every=2, micro_batch=3)
    whole = outcome(tmp_path / "whole", go(tmp_path / "whole", settings))

    def die_after_three(updates, made=[0]):  # noqa: B006
        made[0] += updates
        if made[0] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "part", settings, progress=die_after_three)
    done = []
    trained = go(tmp_path / "part", settings, progress=done.append)
    assert done[0] == 2 and sum(done) == 6
    assert outcome(tmp_path / "part", trained) == whole


def test_a_finished_run_is_read_back_and_not_trained(tmp_path):
    first = go(tmp_path)
    again = go(tmp_path, progress=lambda n: pytest.fail("it trained again"))
    assert again == first


# One update, however it is cut ---------------------------------------------------------------


@pytest.mark.parametrize("settings", [BASELINE, ID])
def test_micro_batches_give_the_update_of_one_batch(tmp_path, settings):
    """12 examples at once, or in four slices of which the last is smaller."""
    one = settings.model_copy(update={"batch_size": 12})
    four = one.model_copy(update={"micro_batch": 3 if settings is BASELINE else 5})
    runs = [go(tmp_path / str(i), s, dropout=0.0) for i, s in enumerate((one, four))]
    a, b = (load_file(run.last) for run in runs)
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-6, atol=1e-6)
    assert runs[0].curves["train/task"] == pytest.approx(runs[1].curves["train/task"], rel=1e-6)


def test_two_processes_give_the_update_of_one(tmp_path):
    """A batch of 5 goes to the two as 3 and 2; SGD on the sum of unequal parts would differ."""
    settings = ID.model_copy(update={"batch_size": 5, "micro_batch": 2})
    alone = go(tmp_path / "one", settings, dropout=0.0)
    script = Path(__file__).with_name("two_processes.py")
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(script), str(tmp_path / "two")),
            settings.model_dump_json(),
        ],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    told = json.loads((tmp_path / "two" / "told.json").read_text())
    assert told["processes"] == 2
    a, b = load_file(alone.last), load_file(tmp_path / "two" / checkpoints.LAST)
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-6, atol=1e-6)
    assert told["task"] == pytest.approx(alone.curves["train/task"], rel=1e-6)


def test_fewer_processes_than_asked_for_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # as if a launcher had started one of two
    with pytest.raises(RuntimeError, match="2 processes were asked for and 1 run.*torchrun"):
        go(tmp_path)


def test_clipping_bounds_the_gradient(tmp_path):
    """With AdamW's eps large the step is proportional to the gradient, and so to the clip."""
    base = {"passes": 1, "alpha": 0.0, "epochs": 1, "batch_size": 12, "eps": 1e6}
    moved = []
    for clip in (1e-3, 2e-3):
        settings = ToySettings(**base, clip=clip, lr_peak=1e6)
        start = ToyTask().model().state_dict()
        last = load_file(go(tmp_path / str(clip), settings).last)
        moved.append(sum((last[n] - start[n]).square().sum() for n in start).sqrt())
    assert moved[1] / moved[0] == pytest.approx(2, rel=1e-2)


def test_bfloat16_trains_with_float32_weights(tmp_path):
    settings = ToySettings(passes=3, epochs=10, precision="bf16")
    trained = go(tmp_path, settings)
    assert trained.curves["validation/nll"][-1] < trained.curves["validation/nll"][0]
    assert {t.dtype for t in load_file(trained.last).values()} == {torch.float32}
    go(tmp_path / "after", ID)  # another precision in the same process


# Optimizers and their rates ------------------------------------------------------------------


def moved(folder: Path, settings: ToySettings) -> dict[str, torch.Tensor]:
    """By how much one update of the whole toy data changes each parameter."""
    one = settings.model_copy(update={"epochs": 1, "batch_size": 12})
    start, last = ToyTask().model().state_dict(), load_file(go(folder, one, dropout=0.0).last)
    return {name: last[name] - start[name] for name in start}


def test_the_optimizer_has_the_settings_and_what_is_trained():
    model, task = ToyTask().model(), ToyTask()
    model[0].weight.requires_grad_(False)
    for name, kind in ((None, torch.optim.AdamW), ("adamax", torch.optim.Adamax)):
        asked = {"betas": (0.8, 0.9), "eps": 1e-7, "weight_decay": 0.1, "lr_peak": 0.3}
        settings = ToySettings(optimizer=name, **asked)
        optimizer = optimizer_of(model, settings, task.is_head)
        assert type(optimizer) is kind
        (group,) = optimizer.param_groups
        asked["lr"] = asked.pop("lr_peak")
        assert {setting: group[setting] for setting in asked} == asked
        assert [id(p) for p in group["params"]] == [
            id(p) for p in (model[0].bias, model[2].weight, model[2].bias)
        ]


def test_adamax_first_moves_every_entry_by_the_rate(tmp_path):
    """Its step is the mean gradient over the largest one seen: ±1 in the first update."""
    settings = BASELINE.model_copy(update={"optimizer": "adamax", "lr_peak": 0.03})
    for name, change in moved(tmp_path, settings).items():
        seen = change != 0  # a unit that is never active has no gradient
        assert seen.any(), name
        torch.testing.assert_close(change[seen].abs(), torch.full_like(change[seen], 0.03))


@pytest.mark.parametrize("optimizer", ["adamw", "adamax"])
def test_the_head_learns_at_its_own_rate(tmp_path, optimizer):
    settings = BASELINE.model_copy(update={"optimizer": optimizer, "lr_peak": 0.01})
    plain = moved(tmp_path / "plain", settings)
    faster = moved(tmp_path / "faster", settings.model_copy(update={"lr_head": 0.04}))
    for name in plain:
        times = 4.0 if ToyTask().is_head(name) else 1.0
        torch.testing.assert_close(faster[name], times * plain[name], rtol=1e-4, atol=1e-7)


def test_both_rates_follow_the_schedule(tmp_path):
    """At a tenth of the rate everywhere an update moves a tenth, of the head too."""
    asked = {"optimizer": "adamax", "lr_head": 0.04, "lr_peak": 0.01}
    settings = ToySettings(passes=1, alpha=0.0, **asked)
    warm = settings.model_copy(update={"schedule": "inverse_sqrt", "warmup": 10})
    first, tenth = moved(tmp_path / "constant", settings), moved(tmp_path / "warm", warm)
    for name in first:
        torch.testing.assert_close(tenth[name], 0.1 * first[name], rtol=1e-4, atol=1e-7)
    trained = go(tmp_path / "curve", warm.model_copy(update={"epochs": 1, "batch_size": 12}))
    assert trained.curves["train/lr"] == [pytest.approx(0.001)]  # the body's


@pytest.mark.parametrize("optimizer", ["adamw", "adamax"])
def test_a_head_at_the_bodys_rate_changes_nothing(tmp_path, optimizer):
    settings = ID.model_copy(update={"optimizer": optimizer})
    one = outcome(tmp_path / "one", go(tmp_path / "one", settings))
    same = settings.model_copy(update={"lr_head": settings.lr_peak})
    assert outcome(tmp_path / "two", go(tmp_path / "two", same)) == one


def test_a_rate_for_a_head_needs_a_head():
    model, settings = torch.nn.Linear(2, 2), ID.model_copy(update={"lr_head": 0.05})
    assert len(optimizer_of(model, settings, lambda name: name == "bias").param_groups) == 2
    with pytest.raises(SettingsError, match="this model has none"):
        optimizer_of(model, settings, lambda name: False)


def test_adamw_is_what_is_meant_where_none_is_named(tmp_path):
    named = ID.model_copy(update={"optimizer": "adamw"})
    first = outcome(tmp_path / "none", go(tmp_path / "none"))
    assert outcome(tmp_path / "named", go(tmp_path / "named", named)) == first
    other = ID.model_copy(update={"optimizer": "adamax"})
    assert outcome(tmp_path / "adamax", go(tmp_path / "adamax", other)) != first


def test_two_rates_resume_to_the_same_bits(tmp_path):
    settings = ID.model_copy(update={"optimizer": "adamax", "lr_head": 0.05, "schedule": "linear"})
    whole = outcome(tmp_path / "whole", go(tmp_path / "whole", settings))

    def die_after_four(updates, made=[0]):  # noqa: B006
        made[0] += updates
        if made[0] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "part", settings, progress=die_after_four)
    done = []
    trained = go(tmp_path / "part", settings, progress=done.append)
    assert done[0] == 3
    assert outcome(tmp_path / "part", trained) == whole


# Schedules and methods -----------------------------------------------------------------------


def test_a_stretched_run_walks_the_same_rates_to_the_same_end():
    base = ToySettings(schedule="inverse_sqrt", warmup=2, lr_initial=0.001)
    compute = base.model_copy(update={"stretch": 3})
    rates = [learning_rate(base, step, 6) for step in range(1, 7)]
    stretched = [learning_rate(compute, step, 18) for step in range(1, 19)]
    assert stretched[2::3] == rates and len(stretched) == 18


def test_a_stretched_run_chooses_among_equally_many_checkpoints(tmp_path):
    compute = BASELINE.model_copy(update={"stretch": 3})
    trained = go(tmp_path, compute)
    assert trained.curves["validation/step"] == [9.0, 18.0]


def test_a_teacher_changes_what_is_learned(tmp_path):
    plain = go(tmp_path / "plain", BASELINE)
    taught = go(
        tmp_path / "taught", BASELINE, teacher=lambda b: torch.tensor([9.0, 0, 0]).expand(4, 3)
    )
    assert taught.curves["train/task"][0] > plain.curves["train/task"][0] + 0.5


def test_selection_takes_the_first_of_equals():
    assert Selection("nll").improves(1.0, None) and not Selection("nll").improves(1.0, 1.0)
    assert Selection("f1", higher_is_better=True).improves(0.6, 0.5)


def test_sources_of_randomness_are_apart():
    seeds = {derive_seed(s, "round", r, what) for s in (1, 2) for r in (0, 1) for what in "ab"}
    assert len(seeds) == 8 and max(seeds) < 2**63


# What stops a run ----------------------------------------------------------------------------


class PoisonedTask(ToyTask):
    """Example 7 is not a number from its second visit on."""

    def __init__(self) -> None:
        super().__init__()
        self.visits = 0

    def batches(self, indices):
        for rows, batch in zip(indices, super().batches(indices), strict=True):
            self.visits += 7 in rows
            if 7 in rows and self.visits > 1:
                batch["x"][rows.index(7)] = float("nan")
            yield batch


@pytest.mark.parametrize("settings", [BASELINE, ID])
def test_a_loss_that_is_not_finite_stops_the_run_and_says_where(tmp_path, settings):
    with pytest.raises(NonFiniteLoss) as raised:
        go(tmp_path, settings, PoisonedTask())
    text = str(raised.value)
    assert "of 6" in text and "nan" in text
    examples = json.loads(text[text.index("[") : text.index("]") + 1])
    assert 7 in examples and len(examples) == 4
    assert str(tmp_path / "state-3.pt") in text and "update 3" in text
    good = checkpoints.load(tmp_path)
    assert all(torch.isfinite(value).all() for value in good["model"].values())


def test_a_first_update_without_a_checkpoint_says_so(tmp_path):
    task = PoisonedTask()
    task.visits = 1
    with pytest.raises(NonFiniteLoss, match="no checkpoint|last good checkpoint"):
        go(tmp_path, BASELINE.model_copy(update={"batch_size": 12}), task)
