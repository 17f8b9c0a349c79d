"""The loop: exact resume, exact accumulation, and what stops it."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from made_up.toy import EXAMPLES, ToySettings, ToyTask, interrupt_at
from safetensors.torch import load_file

from idlib.method.distillation import frozen_teacher
from idlib.method.objective import Parts
from idlib.method.schedules import adaptive_alpha, linear_decay
from idlib.metrics.names import BEST, LAST, LOSS, SELECTIONS
from idlib.training import checkpoints
from idlib.training.loop import NonFiniteLoss, train
from idlib.training.randomness import derive_seed
from idlib.training.trainable import Selection

ID = ToySettings(passes=3, alpha=5.0)
BASELINE = ToySettings(passes=1, alpha=0.0)
# It diverges and returns: the weights that are selected are neither the last nor the first.
DIVERGING = ToySettings(passes=1, alpha=0.0, epochs=12, lr_peak=0.5)
# AdamW's eps is so large that an update is the gradient times rate / eps, as in SGD with momentum.
AS_SGD = {"eps": 1e6, "lr_peak": 1e6}


def go(folder, settings=ID, task=None, seed=1, dropout=0.2, **kwargs):
    task = task or ToyTask(settings.batch_size)
    return train(task.model(dropout), task, settings, seed=seed, folder=folder, **kwargs)


def outcome(trained) -> tuple:
    weights = {name: load_file(trained.weights(name)) for name in SELECTIONS}
    flat = {f"{a}/{b}": t.tolist() for a, group in weights.items() for b, t in group.items()}
    return flat, trained.curves, trained.selected


def test_training_lowers_the_loss_and_keeps_curves(tmp_path):
    settings = ToySettings(passes=1, alpha=0.0, epochs=60)
    trained = go(tmp_path, settings)
    nll = trained.curves["validation/nll"]
    assert nll[-1] < 0.7 * nll[0]
    assert trained.curves["validation/step"] == [3.0 * epoch for epoch in range(1, 61)]
    assert {len(curve) for curve in trained.curves.values()} == {60}
    best = trained.curves["validation/step"][nll.index(min(nll))]
    assert trained.selected == {BEST: best, LOSS: best, LAST: 180}
    assert trained.seconds > 0 and trained.peak_memory_bytes > 0


def test_the_same_twice_and_another_seed_differs(tmp_path):
    first = outcome(go(tmp_path / "a"))
    assert outcome(go(tmp_path / "b")) == first
    assert outcome(go(tmp_path / "c", seed=2)) != first


def test_the_selected_weights_are_those_of_the_best_evaluation(tmp_path):
    trained, task = go(tmp_path, DIVERGING), ToyTask()
    nll = trained.curves["validation/nll"]
    best, last = (
        task.evaluate(checkpoints.load_weights(task.model(), path).eval(), "validation")["nll"]
        for path in map(trained.weights, (BEST, LAST))
    )
    assert best == min(nll) and last == nll[-1] and best < last


class ScriptedTask(ToyTask):
    """Its validation loss and its F1 are written down, and the F1 may be costly."""

    selection = Selection("f1", higher_is_better=True)

    def __init__(self, nll: list[float], f1: list[float], costly_every: int = 0) -> None:
        super().__init__()
        self.nll, self.f1 = iter(nll), iter(f1)
        self.costly_every, self.is_costly = costly_every or 1, bool(costly_every)

    def evaluate(self, model, split):
        assert not model.training
        nll = {"nll": next(self.nll)}
        return nll if self.is_costly else {**nll, "f1": next(self.f1)}

    def costly(self, model, split):
        assert not model.training and split == "validation"
        return {"f1": next(self.f1)} if self.is_costly else {}


def test_each_rule_selects_for_itself(tmp_path):
    settings, task = BASELINE.model_copy(update={"epochs": 5}), ToyTask()
    scripted = ScriptedTask([9.0, 7.0, 8.0, 7.0, 9.0], [0.2, 0.5, 0.7, 0.7, 0.4])
    trained = go(tmp_path, settings, scripted)
    assert trained.curves["validation/f1"] == [0.2, 0.5, 0.7, 0.7, 0.4]
    assert trained.selected == {BEST: 9, LOSS: 6, LAST: 15}  # the first of equals
    for number, name in ((3, BEST), (2, LOSS), (5, LAST)):
        shorter = go(tmp_path / str(number), settings.model_copy(update={"epochs": number}))
        ours, theirs = (load_file(path) for path in (trained.weights(name), shorter.weights(LAST)))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name
    assert task.model()[0].weight.tolist() != ours["0.weight"].tolist()


@pytest.mark.parametrize(("epochs", "measured"), [(5, [6.0, 12.0, 15.0]), (4, [6.0, 12.0])])
def test_what_is_costly_is_measured_more_rarely_and_at_the_end(tmp_path, epochs, measured):
    settings = BASELINE.model_copy(update={"epochs": epochs})
    task = ScriptedTask([9.0, 8.0, 7.0, 6.0, 7.0][:epochs], [0.5, 0.7, 0.6], costly_every=2)
    trained = go(tmp_path, settings, task)
    assert trained.curves["validation/f1/step"] == measured
    assert trained.curves["validation/f1"] == [0.5, 0.7, 0.6][: len(measured)]
    assert len(trained.curves["validation/nll"]) == epochs
    assert trained.selected == {BEST: 12, LOSS: 12, LAST: 3 * epochs}


def test_a_stretched_run_has_what_is_costly_as_often(tmp_path):
    compute = BASELINE.model_copy(update={"stretch": 3, "epochs": 4})
    task = ScriptedTask([9.0, 8.0, 7.0, 6.0], [0.5, 0.7], costly_every=2)
    assert go(tmp_path, compute, task).curves["validation/f1/step"] == [18.0, 36.0]


def test_a_run_is_resumed_before_anything_costly_was_measured(tmp_path):
    def task():
        return ScriptedTask([9.0, 8.0], [0.5], costly_every=2)

    whole = go(tmp_path / "whole", BASELINE, task())
    scripted = task()
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "part", BASELINE, scripted, progress=interrupt_at(5))
    assert checkpoints.load(tmp_path / "part")["selected"] == {LOSS: 3}
    assert outcome(go(tmp_path / "part", BASELINE, scripted)) == outcome(whole)


def test_the_last_update_is_evaluated_whatever_the_interval(tmp_path):
    trained = go(tmp_path, BASELINE.model_copy(update={"evaluate_every": 4}))
    assert trained.curves["validation/step"] == trained.curves["train/step"] == [4.0, 6.0]


def test_progress_is_called_after_every_update(tmp_path):
    calls = []
    go(tmp_path, progress=calls.append)
    assert calls == [0, 1, 1, 1, 1, 1, 1]  # none was done before


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


@pytest.mark.slow
def test_killed_at_any_point_and_started_again_gives_the_same_bits(tmp_path):
    whole = outcome(go(tmp_path / "whole"))
    points = 0
    while kill_at(points, tmp_path / f"{points}"):
        folder = tmp_path / f"{points}"
        assert outcome(go(folder)) == whole, f"killed at point {points}"
        points += 1
    assert points > 20


@pytest.mark.slow
def test_killed_again_and_again_gives_the_same_bits(tmp_path):
    whole = outcome(go(tmp_path / "whole"))
    folder = tmp_path / "often"
    for point in (6, 4, 5, 7):
        assert kill_at(point, folder)
    assert outcome(go(folder)) == whole


def stopped(folder: Path, settings: ToySettings, update: int) -> None:
    """Train until an update, and be interrupted there."""
    with pytest.raises(KeyboardInterrupt):
        go(folder, settings, progress=interrupt_at(update))


@pytest.mark.parametrize(
    ("asked", "update", "evaluated"),
    [
        ({"evaluate_every": 2, "micro_batch": 3}, 3, 2),  # in the middle of an epoch
        ({"optimizer": "adamax", "lr_head": 0.05, "schedule": "linear"}, 4, 3),  # two rates
    ],
)
def test_a_resume_is_exact(tmp_path, asked, update, evaluated):
    settings = ToySettings(**asked)
    whole = outcome(go(tmp_path / "whole", settings))
    stopped(tmp_path / "part", settings, update)
    done = []
    trained = go(tmp_path / "part", settings, progress=done.append)
    assert done[0] == evaluated and sum(done) == 6
    assert outcome(trained) == whole


@pytest.mark.pinned
def test_a_resumed_run_remembers_what_was_best(tmp_path):
    worse = DIVERGING.model_copy(update={"epochs": 5})  # after the first it is only worse
    whole = go(tmp_path / "whole", worse)
    assert whole.selected == {BEST: 3, LOSS: 3, LAST: 15}
    stopped(tmp_path / "part", worse, 7)
    resumed = go(tmp_path / "part", worse)
    assert outcome(resumed) == outcome(whole)


def test_a_resumed_run_costs_what_all_its_sessions_cost(tmp_path):
    stopped(tmp_path, ID, 4)
    state = checkpoints.load(tmp_path)
    assert state["seconds"] > 0 and state["peak_memory_bytes"] > 0
    longer = {**state, "seconds": 1e6, "peak_memory_bytes": 10**15}
    checkpoints.save(tmp_path, {}, longer)
    trained = go(tmp_path)
    assert trained.seconds > 1e6 and trained.peak_memory_bytes == 10**15
    assert go(tmp_path).seconds == trained.seconds


def test_a_finished_run_is_read_back_and_not_trained(tmp_path):
    first = go(tmp_path)
    again = go(tmp_path, progress=lambda n: pytest.fail("it trained again"))
    assert again == first


# One update, however it is cut ---------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:the K passes are equal")  # on purpose: no dropout
@pytest.mark.parametrize("settings", [BASELINE, ID])
def test_micro_batches_give_the_update_of_one_batch(tmp_path, settings):
    """12 examples at once, or in slices of which the last may be smaller."""
    one = settings.model_copy(update={"batch_size": 12, **AS_SGD, "lr_peak": 1e5})
    size, slices = (3, [3, 3, 3, 3]) if settings is BASELINE else (5, [5, 5, 2])
    cut, tasks = one.model_copy(update={"micro_batch": size}), [ToyTask(12), ToyTask(12)]
    runs = [go(tmp_path / str(i), (one, cut)[i], tasks[i], dropout=0.0) for i in (0, 1)]
    assert [[len(rows) for rows in task.seen] for task in tasks] == [[12] * 2, slices * 2]
    a, b = (load_file(run.weights(LAST)) for run in runs)
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-6, atol=1e-6)
    assert runs[0].curves["train/task"] == pytest.approx(runs[1].curves["train/task"], rel=1e-6)


TESTS = str(Path(__file__).parents[1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the K passes are equal")  # on purpose: no dropout
def test_two_processes_give_the_update_of_one(tmp_path):
    """A batch of 5 goes to the two as 3 and 2, and the gradient is that of the five."""
    sgd = {**AS_SGD, "lr_peak": 1e5}
    settings = ID.model_copy(update={"batch_size": 5, "micro_batch": 2, **sgd})
    alone = go(tmp_path / "one", settings, dropout=0.0)
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "made_up.two_processes", str(tmp_path / "two")),
            settings.model_dump_json(),
        ],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": TESTS},
        capture_output=True,
    )
    results = json.loads((tmp_path / "two" / "results.json").read_text())
    assert (
        results["processes"] == 2 and len(set(results["dropout"])) == 2
    )  # each draws its own masks
    assert results["resumed"] == results["whole"]  # with those masks, stopped in between
    a, b = load_file(alone.weights(LAST)), load_file(tmp_path / "two" / alone.weights(LAST).name)
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-6, atol=1e-6)
    assert results["task"] == pytest.approx(alone.curves["train/task"], rel=1e-6)


def test_fewer_processes_than_asked_for_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # as if a launcher had started one of two
    with pytest.raises(RuntimeError, match="2 processes were asked for and 1 run.*torchrun"):
        go(tmp_path)


def test_bfloat16_trains_with_float32_weights(tmp_path):
    settings = ToySettings(passes=3, epochs=10, precision="bf16")
    trained = go(tmp_path, settings)
    assert trained.curves["validation/nll"][-1] < trained.curves["validation/nll"][0]
    assert {t.dtype for t in load_file(trained.weights(LAST)).values()} == {torch.float32}
    go(tmp_path / "after", ID)  # another precision in the same process


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_model_and_teacher_compute_in_the_precision_asked_for(tmp_path, precision, dtype):
    task, seen = ToyTask(), []

    def watched(name: str) -> torch.nn.Module:
        model = task.model()
        model[0].register_forward_hook(lambda *given: seen.append((name, given[-1].dtype)))
        return model

    teacher = frozen_teacher(watched("teacher"), task.forward)
    settings = ID.model_copy(update={"precision": precision})
    train(watched("model"), task, settings, seed=1, folder=tmp_path, teacher=teacher)
    assert set(seen) == {("model", dtype), ("teacher", dtype)}


# Optimizers and their rates ------------------------------------------------------------------


def moved(folder: Path, settings: ToySettings) -> dict[str, torch.Tensor]:
    """By how much one update of the whole toy data changes each parameter."""
    one = settings.model_copy(update={"epochs": 1, "batch_size": 12})
    start = ToyTask().model().state_dict()
    last = load_file(go(folder, one, dropout=0.0).weights(LAST))
    return {name: last[name] - start[name] for name in start}


def test_clipping_bounds_the_gradient(tmp_path):
    """The first update is as long as the gradient, or as the bound where that is less."""
    settings, model, task = BASELINE.model_copy(update=AS_SGD), ToyTask().model(0.0), ToyTask()
    torch.nn.functional.cross_entropy(model(task.x), task.y).backward()
    gradient = sum(p.grad.square().sum() for p in model.parameters()).sqrt().item()
    assert gradient > 0.1
    for clip in (0.01, 0.1, 10.0, None):
        clipped = settings.model_copy(update={"clip": clip})
        change = moved(tmp_path / str(clip), clipped).values()
        length = sum(part.square().sum() for part in change).sqrt().item()
        assert length == pytest.approx(min(clip or gradient, gradient), rel=1e-3), clip


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
    one = outcome(go(tmp_path / "one", settings))
    same = settings.model_copy(update={"lr_head": settings.lr_peak})
    assert outcome(go(tmp_path / "two", same)) == one


# Order, masks, schedules and methods ---------------------------------------------------------


def orders(folder: Path, settings: ToySettings, seed: int = 1) -> list[tuple[int, ...]]:
    """The training examples of each epoch, in the order in which they were taken."""
    task = ToyTask(settings.batch_size)
    go(folder, settings, task, seed)
    seen = [example for rows in task.seen for example in rows]
    return [tuple(seen[start : start + EXAMPLES]) for start in range(0, len(seen), EXAMPLES)]


def test_every_epoch_of_every_seed_and_round_has_its_own_order(tmp_path):
    settings = BASELINE.model_copy(update={"epochs": 3})
    found = orders(tmp_path / "plain", settings)
    found += orders(tmp_path / "seed", settings, seed=2)
    found += orders(tmp_path / "round", settings.model_copy(update={"round": 1}))
    assert len(set(found)) == len(found) == 9
    assert all(sorted(order) == list(range(EXAMPLES)) for order in found)


def test_the_methods_see_the_same_examples_in_the_same_order(tmp_path):
    baseline = orders(tmp_path / "baseline", BASELINE)
    slices = ID.model_copy(update={"micro_batch": 3})
    assert orders(tmp_path / "id", ID) == orders(tmp_path / "slices", slices) == baseline
    compute = BASELINE.model_copy(update={"stretch": 3})
    assert orders(tmp_path / "compute", compute)[:2] == baseline


def test_every_seed_and_round_has_its_own_dropout(tmp_path):
    """Examples that are all alike make every order the same: what differs are the masks."""
    task = ToyTask()
    task.x[:], task.y[:] = task.x[0], 0
    asked = [(1, 0), (2, 0), (1, 1), (2, 1)]  # seed, round
    for dropout, distinct in ((0.5, 4), (0.0, 1)):
        losses = set()
        for seed, number in asked:
            folder = tmp_path / f"{dropout}-{seed}-{number}"
            settings = BASELINE.model_copy(update={"round": number})
            trained = go(folder, settings, task, seed, dropout)
            losses.add(tuple(trained.curves["train/task"]))
        assert len(losses) == distinct


@pytest.mark.parametrize("stretch", [1, 2])
def test_each_update_has_the_weight_and_the_rate_of_its_place_in_the_whole_run(tmp_path, stretch):
    """The curves hold means between evaluations, which are ``stretch`` updates apart."""
    shape, updates = {"alpha": 4.0, "p": 1.5, "q": 4.0}, 12
    settings = ToySettings(epochs=4 // stretch, stretch=stretch, evaluate_every=1, **shape)
    settings = settings.model_copy(update={"schedule": "linear", "warmup": 3})
    curves = go(tmp_path, settings).curves
    steps = range(1, updates + 1)
    expected = {
        "step": steps,
        "alpha": [adaptive_alpha(n, updates, **shape) for n in steps],
        "lr": [linear_decay(n / stretch, updates / stretch, 0.01, 3) for n in steps],
    }
    assert curves["train/step"] == list(steps[stretch - 1 :: stretch])
    for name in ("alpha", "lr"):
        pairs = zip(*(expected[name][start::stretch] for start in range(stretch)), strict=True)
        assert curves[f"train/{name}"] == pytest.approx([sum(pair) / stretch for pair in pairs])
    if stretch == 1:
        parts = zip(*(curves[f"train/{part}"] for part in Parts._fields), strict=True)
        for total, task, divergence, alpha in parts:
            assert total == pytest.approx(task + alpha * divergence, rel=1e-6)


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


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("state-3.pt", "The last good checkpoint is .*state-3.pt, update 3"),
        (checkpoints.CHECKSUMS, f"{checkpoints.CHECKSUMS} cannot be read"),
    ],
)
def test_a_damaged_checkpoint_does_not_hide_why_a_run_stopped(tmp_path, name, says):
    told = []

    def damage(updates):
        told.append(updates)
        if sum(told) == 3:
            (tmp_path / name).write_bytes(b"torn")

    with pytest.raises(NonFiniteLoss, match=f"the loss is not finite at update .*{says}"):
        go(tmp_path, BASELINE, PoisonedTask(), progress=damage)


def test_a_first_update_without_a_checkpoint_says_so(tmp_path):
    task = PoisonedTask()
    task.visits, task.batch_size = 1, EXAMPLES
    with pytest.raises(NonFiniteLoss, match="update 1 of 2.*There is no checkpoint before it"):
        go(tmp_path, BASELINE, task)


def test_a_validation_metric_that_is_not_finite_stops_the_run_and_says_where(tmp_path):
    with pytest.raises(NonFiniteLoss, match="validation f1 is nan at update 6") as raised:
        go(tmp_path, ID, ScriptedTask([9.0, 8.0], [0.2, math.nan]))
    assert str(tmp_path / "state-3.pt") in str(raised.value)
    assert checkpoints.load(tmp_path)["step"] == 3
