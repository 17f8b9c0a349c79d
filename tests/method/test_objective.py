"""The objective: modes agree, parts add up, masks and heads mean what they say."""

from functools import partial
from typing import get_args

import pytest
import torch
from torch import nn

from idlib.method.choices import REDUCTIONS, Divergence, Mode
from idlib.method.losses import DIVERGENCES, cross_entropy, x_divergence
from idlib.method.objective import IntraDistillation
from idlib.method.passes import MODES
from idlib.method.schedules import adaptive_alpha
from idlib.method.targets import Target

K, B, T, D, C = 3, 5, 7, 6, 4
ANY = torch.zeros(B)  # a batch whose logits are given


class MaskOfPass(nn.Module):
    """A dropout whose masks are fixed and differ by pass: it knows which pass it is in."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.masks = (torch.rand(K, B, D, generator=generator, dtype=torch.float64) > 0.4) / 0.6
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) == K * B:  # all passes stacked
            return x * self.masks.flatten(0, 1)
        self.calls += 1
        return x * self.masks[(self.calls - 1) % K]


def network(*, masks: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    middle = MaskOfPass() if masks else nn.Identity()
    return nn.Sequential(nn.Linear(D, D), nn.Tanh(), middle, nn.Linear(D, C)).double()


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = 3 * torch.randn(B, D, generator=generator, dtype=torch.float64)
    return {"x": x, "y": torch.arange(B) % C}


def targets(batch: dict[str, torch.Tensor]) -> Target:
    return Target(batch["y"])


def value_and_gradients(objective, model, batch, **kwargs):
    model.zero_grad()
    parts = objective(lambda b: model(b["x"]), targets, batch, step=100, total_steps=100, **kwargs)
    parts.total.backward()
    return parts, [parameter.grad.clone() for parameter in model.parameters()]


def of_logits(z, target, *, counts=None, teacher=None, **asked):
    """Parts at the last update for logits ``[K, B, ..., C]``, or a dict of them by head."""
    heads = {n: v.flatten(0, 1) for n, v in z.items()} if isinstance(z, dict) else z.flatten(0, 1)
    objective = IntraDistillation(passes=K, **asked)
    return objective(lambda b: heads, lambda b: target, ANY, 100, 100, teacher, counts)


def logits(*shape: int, seed: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(K, *shape, C, generator=generator, dtype=torch.float64)


MASK = torch.rand(B, T, generator=torch.Generator().manual_seed(4)) > 0.4
LABELS = torch.zeros(B, T, dtype=torch.int64)


def test_choices_have_one_definition():
    assert set(DIVERGENCES) == set(get_args(Divergence)) and set(MODES) == set(get_args(Mode))


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_modes_agree_in_value_and_gradients(batch, divergence):
    """The masks are counted by the calls, and the replays come in the order of the passes."""
    first, *others = (
        value_and_gradients(
            IntraDistillation(passes=K, divergence=divergence, smoothing=0.1, mode=mode),
            network(),
            batch,
        )
        for mode in MODES
    )
    assert first[0].divergence > 0.01 and len(others) == 2
    for other in others:
        torch.testing.assert_close(first[0][:3], other[0][:3], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(first[1], other[1], rtol=1e-10, atol=1e-10)


def test_parts_are_those_of_the_formula(batch):
    model = network()
    parts, _ = value_and_gradients(IntraDistillation(passes=K, alpha=5.0), model, batch)
    z = model(batch["x"].repeat(K, 1)).unflatten(0, (K, B))
    task = torch.stack([cross_entropy(z[i], batch["y"]).mean() for i in range(K)]).mean()
    x = x_divergence(z).mean()
    torch.testing.assert_close(parts[:3], (task + 5.0 * x, task, x))
    assert parts.alpha == 5.0


@pytest.mark.parametrize(("alpha", "p", "q"), [(5.0, 5.0, 10.0), (4.0, 2.0, 3.0), (0.5, 2.0, 3.0)])
def test_the_weight_is_the_adaptive_one_of_its_own_alpha_p_and_q(batch, alpha, p, q):
    model, objective = network(), IntraDistillation(passes=K, alpha=alpha, p=p, q=q)
    for step in (0, 15, 40, 100):
        parts = objective(lambda b: model(b["x"]), targets, batch, step=step, total_steps=100)
        assert parts.alpha == adaptive_alpha(step, 100, alpha, p, q)
        torch.testing.assert_close(parts.total, parts.task + parts.alpha * parts.divergence)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("passes", [1, K])
def test_only_the_total_carries_a_gradient(passes, mode, fused, batch):
    objective = IntraDistillation(passes=passes, mode=mode, fused=fused)
    parts, gradients = value_and_gradients(objective, network(), batch)
    assert not parts.task.requires_grad and not parts.divergence.requires_grad
    assert parts.total.requires_grad and any(gradient.any() for gradient in gradients)


def test_one_pass_is_the_ordinary_loss(batch):
    model = network(masks=False)
    parts, _ = value_and_gradients(IntraDistillation(passes=1, alpha=0.0), model, batch)
    expected = nn.functional.cross_entropy(model(batch["x"]), batch["y"])
    torch.testing.assert_close(parts.total, expected)
    assert parts.divergence == 0


def test_alpha_zero_leaves_the_mean_task_loss(batch):
    parts, gradients = value_and_gradients(IntraDistillation(passes=K, alpha=0.0), network(), batch)
    model = network()
    z = model(batch["x"].repeat(K, 1))
    nn.functional.cross_entropy(z, batch["y"].repeat(K)).backward()
    assert parts.divergence > 0.01
    torch.testing.assert_close(gradients, [parameter.grad for parameter in model.parameters()])


# A teacher -----------------------------------------------------------------------------------


def test_a_teacher_adds_the_cross_entropy_to_its_distribution():
    z, teacher, y = logits(B), logits(B)[0].requires_grad_(), torch.arange(B) % C
    plain = of_logits(z, Target(y))
    parts = of_logits(z.requires_grad_(), Target(y), teacher=lambda b: teacher)
    added = -(teacher.softmax(-1) * z.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(parts.task, plain.task + added)
    assert parts.divergence == plain.divergence
    parts.total.backward()
    assert teacher.grad is None


def test_a_teacher_in_half_precision_teaches_in_full():
    """Its logits are rounded; the distribution that they give is not rounded again."""
    half, target = torch.tensor([2.0, 1.0, 0.5, -1.0]).expand(B, C).bfloat16(), Target(LABELS[:, 0])
    rounded = of_logits(logits(B), target, teacher=lambda b: half)
    exact = of_logits(logits(B), target, teacher=lambda b: half.double())
    torch.testing.assert_close(rounded.task, exact.task, rtol=1e-6, atol=0)


# Masks, heads, kinds -------------------------------------------------------------------------


def test_masked_positions_do_not_count_whatever_their_label():
    z = logits(B, T).requires_grad_()
    labels = torch.randint(C, (B, T), generator=torch.Generator().manual_seed(0))
    parts = of_logits(z, Target(labels.where(MASK, -100), mask=MASK))
    kept = z[:, MASK]  # [K, n, C]
    task = cross_entropy(kept, labels[MASK].expand(K, -1)).mean()
    torch.testing.assert_close(parts.total, task + 5 * x_divergence(kept).mean())
    parts.total.backward()
    assert (z.grad[:, ~MASK] == 0).all() and torch.isfinite(z.grad).all()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", ["classes", "regression"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_a_model_gives_where_nothing_counts_reaches_no_gradient(value, kind, fused):
    """Values and gradients keep their bits, with a teacher too."""
    z, labels, blank = logits(B, T), LABELS, ~MASK.unsqueeze(-1)
    if kind == "regression":
        z, labels, blank = z[..., 0], LABELS.double(), ~MASK
    target, found = Target(labels, MASK, kind=kind), []
    for there in (0.0, value):
        weights = z.clone().requires_grad_()
        given = weights + torch.zeros(z.shape[1:]).masked_fill(blank, there)
        taught = partial(lambda z, _: z, given[0].detach())
        parts = of_logits(given, target, teacher=taught, fused=fused)
        parts.total.backward()
        found.append((*parts[:3], weights.grad))
    for clean, spoilt in zip(*found, strict=True):
        assert torch.equal(clean, spoilt) and spoilt.isfinite().all()


@pytest.mark.parametrize("taught", [False, True], ids=["labels", "teacher"])
def test_excluded_classes_equal_deleted_classes(taught):
    """For the passes, and for a teacher that would put most on an excluded class."""
    z, allowed = logits(B), torch.tensor([True, True, False, True])
    y, renamed = torch.tensor([0, 1, 3, 0, 1]), torch.tensor([0, 1, 2, 0, 1])
    teacher = torch.tensor([1.0, -1.0, 3.0, 0.5], dtype=torch.float64).expand(B, C)
    masked = of_logits(
        z,
        Target(y, class_mask=allowed),
        teacher=(lambda b: teacher) if taught else None,
        smoothing=0.1,
    )
    deleted = of_logits(
        z[..., allowed],
        Target(renamed),
        teacher=(lambda b: teacher[..., allowed]) if taught else None,
        smoothing=0.1,
    )
    torch.testing.assert_close(masked[:3], deleted[:3])


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_first_class_may_be_excluded_where_positions_do_not_count(reduction, fused):
    """As padding is, which may not be predicted and is the label of positions beyond the text."""
    z, found = logits(B, T), []
    allowed, labels = torch.tensor([False, True, True, True]), LABELS.masked_fill(MASK, 2)
    for seen, classes, renamed in ((z, allowed, labels), (z[..., 1:], None, (labels - 1).clamp(0))):
        seen = seen.clone().requires_grad_()
        target = Target(renamed, MASK, classes)
        parts = of_logits(seen, target, fused=fused, smoothing=0.1, divergence_reduction=reduction)
        parts.total.backward()
        found.append((*parts[:3], seen.grad[..., -3:]))
    torch.testing.assert_close(*found)
    with pytest.raises(ValueError, match="label 0 is a class that class_mask excludes"):
        of_logits(z, Target(labels, MASK | (labels == 0), allowed), fused=fused)


def test_heads_are_averaged():
    z = {"start": logits(B, seed=1), "end": logits(B, seed=2)}
    target = Target(LABELS[:, 0])
    both = of_logits(z, dict.fromkeys(z, target))
    each = [of_logits(z[name], target).total for name in z]
    torch.testing.assert_close(both.total, sum(each) / 2)


@pytest.mark.parametrize(
    ("labels", "shape"),
    [((B,), (K, B)), ((B,), (K, B, 1)), ((B, 1), (K, B, 1))],
    ids=["[B] from [B]", "[B] from [B, 1]", "[B, 1] from [B, 1]"],
)
def test_regression_is_squared_error_and_variance_between_passes(labels, shape):
    generator = torch.Generator().manual_seed(8)
    z, y, taught = (torch.randn(n, B, generator=generator) for n in (K, 1, 1))
    target, teacher = Target(y.view(labels), kind="regression"), taught.view(shape[1:])
    plain = of_logits(z.reshape(shape), target)
    parts = of_logits(z.reshape(shape), target, teacher=lambda b: teacher)
    torch.testing.assert_close(plain.task, (z - y).square().mean())
    torch.testing.assert_close(parts.task, plain.task + (z - taught).square().mean())
    torch.testing.assert_close(parts.divergence, (z - z.mean(0)).square().mean())


@pytest.mark.filterwarnings("ignore:the K passes are equal")  # nearly, in so few digits
def test_a_regression_in_half_precision_is_added_up_in_full():
    z = (3 + torch.rand(K, B, 1, generator=torch.Generator().manual_seed(9)) / 8).bfloat16()
    target = Target(torch.full((B,), 3.0), kind="regression")
    rounded, exact = of_logits(z, target), of_logits(z.double(), target)
    for a, b in zip(rounded[1:3], exact[1:3], strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=0)


# Updates in parts, and how the divergence is added up ----------------------------------------


def test_counts_of_the_whole_update_make_micro_batches_add_up(batch):
    model, counts = network(masks=False), {"logits": torch.tensor(B)}
    objective = IntraDistillation(passes=K)
    with pytest.warns(UserWarning, match="no dropout"):
        whole, gradients = value_and_gradients(objective, model, batch)
    model.zero_grad()
    total = 0.0
    for rows in ([0], [1, 2], [3, 4]):
        part = {name: value[rows] for name, value in batch.items()}
        parts = objective(lambda b: model(b["x"]), targets, part, 100, 100, counts=counts)
        parts.total.backward()
        total = total + parts.total
    torch.testing.assert_close(total, whole.total)
    torch.testing.assert_close(gradients, [parameter.grad for parameter in model.parameters()])


@pytest.mark.parametrize("shape", [(8, 128), (32,), (1,)])  # tagging's, classification's, one
def test_sums_without_padding_are_the_mean_times_the_positions(shape):
    """Audit A20: beside a mean of the cross-entropy, a sum makes α weigh so many times more."""
    z, target = logits(*shape), Target(torch.zeros(shape, dtype=torch.int64))
    mean = of_logits(z, target)
    assert mean.divergence > 0.01
    for reduction in ("sum", "sum_padded"):
        parts = of_logits(z, target, divergence_reduction=reduction)
        torch.testing.assert_close(parts.divergence, target.labels.numel() * mean.divergence)
        torch.testing.assert_close(parts.task, mean.task)


def by_hand(z: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """X-divergence of logits [K, B, T, C] by reduction."""
    each = x_divergence(z)
    return {"mean": each[mask].mean(), "sum": each[mask].sum(), "sum_padded": each.sum()}


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_sum_counts_what_the_mask_counts_and_the_padded_sum_all(reduction):
    z = logits(B, T).requires_grad_()
    parts = of_logits(z, Target(LABELS, mask=MASK), divergence_reduction=reduction)
    expected = by_hand(z, MASK)[reduction]
    torch.testing.assert_close(parts.divergence, expected)
    task = cross_entropy(z, LABELS.expand(K, B, T))[:, MASK].mean()
    torch.testing.assert_close(parts.total, task + 5.0 * expected)
    gradients = (torch.autograd.grad(t, z)[0] for t in (parts.total, task + 5.0 * expected))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("reduction", ["sum", "sum_padded"])
def test_sums_of_heads_add_up(reduction):
    """Answering: 8 contexts, and their starts and ends: 16 times the mean over both."""
    z = {name: logits(8, seed=seed) for seed, name in enumerate(("start", "end"))}
    target = Target(torch.zeros(8, dtype=torch.int64))
    found = of_logits(z, dict.fromkeys(z, target), divergence_reduction=reduction).divergence
    each = [of_logits(z[name], target, divergence_reduction=reduction).divergence for name in z]
    mean = of_logits(z, dict.fromkeys(z, target)).divergence
    torch.testing.assert_close(found, sum(each))
    torch.testing.assert_close(found, 16 * mean)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_micro_batches_average_their_sums_by_their_share_of_positions(reduction):
    """So an update in micro-batches has the mean of their sums, as accumulation in the scripts."""
    z, added, expected = logits(B, T), 0.0, 0.0
    for rows in ([0], [1, 2], [3, 4]):
        part, mask = z[:, rows], MASK[rows]
        target, counts = Target(LABELS[rows], mask=mask), {"logits": MASK.sum()}
        parts = of_logits(part, target, counts=counts, divergence_reduction=reduction)
        added = added + parts.divergence
        expected = expected + mask.sum() / MASK.sum() * by_hand(part, mask)[reduction]
    torch.testing.assert_close(added, expected)


def test_sums_reach_regressions_too():
    z = torch.randn(K, B, 1, generator=torch.Generator().manual_seed(6))
    target = Target(torch.zeros(B), kind="regression")
    parts = of_logits(z, target, alpha=0.5, divergence_reduction="sum")
    torch.testing.assert_close(parts.divergence, (z - z.mean(0)).square().sum() / K)
    torch.testing.assert_close(parts.total, parts.task + 0.5 * parts.divergence)


# Precision and errors ------------------------------------------------------------------------


def test_autocast_changes_the_model_and_not_the_loss():
    torch.manual_seed(0)
    model, x, y = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 37)), torch.randn(B, 64), ANY.long()
    seen = []
    model.register_forward_hook(lambda *call: seen.append(call[-1]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parts = IntraDistillation(passes=K)(model, lambda b: Target(y), x, 100, 100)
    assert seen[0].dtype == torch.bfloat16 and parts.total.dtype == torch.float32
    z = seen[0].double().unflatten(0, (K, B))
    expected = cross_entropy(z, y.expand(K, B)).mean() + 5 * x_divergence(z).mean()
    assert parts.total.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"passes": 0}, "passes must be a whole number, at least 1, not 0"),
        ({"passes": 2.5}, "passes must be a whole number, at least 1, not 2.5"),
        ({"passes": "3"}, "passes must be a whole number, at least 1, not '3'"),
        ({"divergence": "kld"}, "x, js, kl"),
        ({"mode": "stacked"}, "stack, loop, cached"),
        ({"divergence_reduction": "max"}, "mean, sum, sum_padded"),
        ({"smoothing": 1.0}, "smoothing"),
        ({"p": 10, "q": 5}, "A4"),
        ({"alpha": -1.0}, "alpha"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        IntraDistillation(**wrong)


@pytest.mark.parametrize(
    ("target", "teacher", "says"),
    [
        (Target(LABELS[:2, 0]), None, "labels of shape"),
        ({"start": Target(LABELS[:, 0])}, None, "'start'"),
        (Target(LABELS[:, 0]), {"start": torch.zeros(B, C)}, "the teacher.*'start'"),
        (Target(LABELS[:, 0], torch.zeros(B, dtype=torch.bool)), None, "no position"),
    ],
)
def test_shapes_and_heads_that_do_not_fit_are_named(target, teacher, says):
    with pytest.raises(ValueError, match=says):
        of_logits(logits(B), target, teacher=teacher and (lambda b: teacher))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("shape", [(B, T + 1, C), (B + 1, T, C), (T, B, C), (1, T, C), (B, T, 1)])
def test_a_teacher_of_other_positions_or_classes_is_refused(shape, fused):
    match = rf"'logits': the teacher's logits have shape \({shape[0]}, .*\({B}, {T}, {C}\)"
    with pytest.raises(ValueError, match=match):
        of_logits(logits(B, T), Target(LABELS), teacher=lambda b: torch.zeros(shape), fused=fused)


def test_a_regressions_teacher_of_other_positions_is_refused():
    target = Target(torch.zeros(B), kind="regression")
    with pytest.raises(ValueError, match="teacher's logits have shape"):
        of_logits(torch.rand(K, B, 1), target, teacher=lambda b: torch.zeros(1, B))


@pytest.mark.parametrize("kind", ["classes", "regression"])
def test_a_teacher_that_is_a_module_learns_nothing(kind):
    torch.manual_seed(3)
    student, teacher = torch.nn.Linear(4, 1), torch.nn.Linear(4, 1)
    x = torch.randn(5, 4)
    labels = torch.zeros(5, dtype=torch.long) if kind == "classes" else torch.randn(5)
    objective = IntraDistillation(passes=1)
    parts = objective(
        student, lambda b: Target(labels, kind=kind), x, step=0, total_steps=1, teacher=teacher
    )
    parts.total.backward()
    assert teacher.weight.grad is None and student.weight.grad is not None
