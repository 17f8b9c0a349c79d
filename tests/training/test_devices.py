"""An update gives a device its work, and waits for none of it."""

import math

import pytest
import torch
from made_up.toy import ToySettings, ToyTask

from idlib.method.distillation import frozen_teacher
from idlib.method.objective import IntraDistillation
from idlib.method.schedules import adaptive_alpha
from idlib.method.targets import Target
from idlib.training.devices import UPDATES_AHEAD, Arrivals, Losses, Means
from idlib.training.loop import Run


class Masked(ToyTask):
    """Two heads, one with masks of positions and classes, one of numbers."""

    def targets(self, batch):
        count = torch.ones_like(batch["y"], dtype=torch.bool)
        allowed = torch.ones(3, dtype=torch.bool, device=count.device)
        return {
            "class": Target(batch["y"], mask=count, class_mask=allowed),
            "number": Target(batch["y"].float(), kind="regression"),
        }

    def forward(self, model):
        def both(batch):
            logits = model(batch["x"])
            return {"class": logits, "number": logits[..., :1]}

        return both


@pytest.mark.parametrize("task", [ToyTask(), Masked()])
@pytest.mark.parametrize("divergence", ["x", "js", "kl"])
def test_nothing_is_read_back_while_an_update_is_made(tmp_path, task, divergence):
    """On the meta device there is nothing to read: whoever tries gets an error."""
    teacher = task.model()
    taught = frozen_teacher(teacher, task.forward)
    settings = ToySettings(divergence=divergence, micro_batch=2, smoothing=0.1, clip=1.0)
    run = Run(task.model(), task, settings, 1, tmp_path, "cpu", taught)
    updates = run.order.updates_after(0)
    run.update(next(updates)[1])  # looks once at the passes
    for model in (run.model, teacher):
        model.to("meta")
    run.device = torch.device("meta")
    losses, means = run.forward_backward(next(updates)[1]), Means()
    means.add(losses, lr=1.0)
    assert losses.is_meta and losses.shape == (3,)
    assert all(p.grad.is_meta for p in run.model.parameters())
    with pytest.raises(RuntimeError, match="meta"):
        means.means()


def test_what_cannot_be_meant_is_found_before_it_goes_to_the_device(tmp_path):
    task = ToyTask()
    run = Run(task.model(), task, ToySettings(), 1, tmp_path, "cpu", None)
    batch = {"x": task.x[:4], "y": task.y[:4]}
    run.update([batch])
    run.model.to("meta")
    run.device = torch.device("meta")
    with pytest.raises(ValueError, match=r"label 3 is not a class in 0\.\.2"):
        run.forward_backward([{**batch, "y": batch["y"] + 1}])
    run.targets = lambda batch: Target(batch["y"], mask=batch["y"] > 9)
    with pytest.raises(ValueError, match="no position of this update is counted"):
        run.forward_backward([batch])


def test_the_weight_of_the_divergence_can_be_given():
    objective, task = IntraDistillation(), ToyTask()
    model, batch = task.model(), {"x": task.x, "y": task.y}
    for given in (None, 2.5, torch.tensor(2.5)):
        parts = objective(task.forward(model), task.targets, batch, 1, 100, alpha=given)
        weight = adaptive_alpha(1, 100, 5.0, 5, 10) if given is None else 2.5
        assert parts.alpha == weight and parts.divergence > 0
        torch.testing.assert_close(parts.total, parts.task + weight * parts.divergence)


class Event:
    """Stands in for an event of a GPU."""

    def synchronize(self) -> None:
        waited.append(self)


waited: list[Event] = []


def test_losses_of_a_gpu_are_looked_at_a_few_updates_later_and_each_once():
    arrivals = Arrivals()
    taken = []
    for step in range(1, 6):
        losses = Losses(step, [step], 1.0, torch.zeros(3))
        arrivals._coming.append(losses._replace(arrived=Event()))
        taken.append([item.step for item in arrivals.take()])
    assert taken == [[], [], [1], [2], [3]] and UPDATES_AHEAD == 2
    assert [item.step for item in arrivals.take(everything=True)] == [4, 5]
    assert not arrivals.take(everything=True) and len(waited) == 5


def test_losses_of_a_cpu_are_looked_at_at_once():
    arrivals = Arrivals()
    arrivals.send(Losses(1, [0], 1.0, torch.full((3,), math.nan)))
    assert [item.step for item in arrivals.take()] == [1]


@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="wants a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_update_on_a_gpu_never_waits_for_it(tmp_path, precision):
    task = ToyTask()
    settings = ToySettings(precision=precision, clip=1.0, epochs=4)
    run = Run(task.model(), task, settings, 1, tmp_path, "cuda", None)
    for number, (indices, batches) in enumerate(run.order.updates_after(0)):
        torch.cuda.set_sync_debug_mode("error" if number else "default")
        try:
            losses = run.update(batches)
            run.arrivals.send(Losses(number, indices, run.alpha, losses))
            run.check_finite()
        finally:
            torch.cuda.set_sync_debug_mode("default")
