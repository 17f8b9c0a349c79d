"""The objective: modes agree, parts add up, masks and heads mean what they say."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from idlib.method.batch_norm import frozen_batch_norm
from idlib.method.choices import REDUCTIONS
from idlib.method.losses import DIVERGENCES, cross_entropy, x_divergence
from idlib.method.objective import IntraDistillation
from idlib.method.schedules import adaptive_alpha
from idlib.method.targets import Target

K, B, D, C = 3, 5, 6, 4


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


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_stack_and_loop_agree_in_value_and_gradients(batch, divergence):
    stacked, looped = (
        value_and_gradients(
            IntraDistillation(passes=K, divergence=divergence, smoothing=0.1, mode=mode),
            network(),
            batch,
        )
        for mode in ("stack", "loop")
    )
    assert stacked[0].divergence > 0.01
    for a, b in zip(stacked[0][:3], looped[0][:3], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    for a, b in zip(stacked[1], looped[1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


class Pair(NamedTuple):
    x: torch.Tensor
    y: torch.Tensor


@pytest.mark.parametrize("mode", ["stack", "loop"])
@pytest.mark.parametrize(
    "form",
    [
        lambda b: (b["x"], b["y"]),
        lambda b: [b["x"], b["y"]],
        lambda b: Pair(b["x"], b["y"]),
        lambda b: ({"x": b["x"]}, b["y"], "a name", torch.tensor(3)),
    ],
    ids=["tuple", "list", "named tuple", "nested"],
)
def test_a_batch_may_be_a_sequence_or_nested(batch, form, mode):
    objective, model, given = IntraDistillation(passes=K, mode=mode), network(), form(batch)

    def forward(b):
        assert type(b) is type(given) and len(b) == len(given)
        assert len(b) == 2 or (b[2] == "a name" and b[3].shape == ())  # nothing to repeat
        return model(b[0]["x"] if isinstance(b[0], dict) else b[0])

    expected, _ = value_and_gradients(objective, network(), batch)
    parts = objective(forward, lambda b: Target(b[1]), given, 100, 100)
    torch.testing.assert_close(parts[:3], expected[:3])


def test_parts_are_those_of_the_formula(batch):
    model = network()
    parts, _ = value_and_gradients(IntraDistillation(passes=K, alpha=5.0), model, batch)
    z = model(batch["x"].repeat(K, 1)).unflatten(0, (K, B))
    task = torch.stack([cross_entropy(z[i], batch["y"]).mean() for i in range(K)]).mean()
    x = x_divergence(z).mean()
    torch.testing.assert_close(parts.task, task)
    torch.testing.assert_close(parts.divergence, x)
    torch.testing.assert_close(parts.total, task + 5.0 * x)
    assert parts.alpha == 5.0


@pytest.mark.parametrize(("alpha", "p", "q"), [(5.0, 5.0, 10.0), (4.0, 2.0, 3.0), (0.5, 2.0, 3.0)])
def test_the_weight_is_the_adaptive_one_of_its_own_alpha_p_and_q(batch, alpha, p, q):
    model, objective = network(), IntraDistillation(passes=K, alpha=alpha, p=p, q=q)
    for step in (0, 15, 40, 100):
        parts = objective(lambda b: model(b["x"]), targets, batch, step=step, total_steps=100)
        assert parts.alpha == adaptive_alpha(step, 100, alpha, p, q)
        torch.testing.assert_close(parts.total, parts.task + parts.alpha * parts.divergence)


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
    for gradient, parameter in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.parametrize("mode", ["stack", "loop"])
def test_a_teacher_adds_the_cross_entropy_to_its_distribution(batch, mode):
    model, taught = network(), torch.randn(B, C, dtype=torch.float64)
    objective = IntraDistillation(passes=K, mode=mode)
    plain, _ = value_and_gradients(objective, network(), batch)
    parts, _ = value_and_gradients(objective, model, batch, teacher=lambda b: taught)
    z = model(batch["x"].repeat(K, 1)).unflatten(0, (K, B))
    added = -(taught.softmax(-1) * z.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(parts.task, plain.task + added)
    torch.testing.assert_close(parts.divergence, plain.divergence)


def test_a_teacher_that_is_sure_of_the_label_doubles_the_task_loss(batch):
    sure = 1e4 * nn.functional.one_hot(batch["y"], C).double()
    plain, _ = value_and_gradients(IntraDistillation(passes=K), network(), batch)
    parts, _ = value_and_gradients(
        IntraDistillation(passes=K), network(), batch, teacher=lambda b: sure
    )
    torch.testing.assert_close(parts.task, 2 * plain.task)


def test_a_teacher_gets_no_gradient_from_its_student(batch):
    teacher = network(masks=False)
    value_and_gradients(
        IntraDistillation(passes=K), network(), batch, teacher=lambda b: teacher(b["x"])
    )
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_teacher_in_half_precision_teaches_in_full(batch):
    """Its logits are rounded; the distribution that they give is not rounded again."""
    half = torch.tensor([2.0, 1.0, 0.5, -1.0]).expand(B, C).bfloat16()
    objective = IntraDistillation(passes=K)
    rounded, exact = (
        value_and_gradients(objective, network(), batch, teacher=lambda b, z=z: z)[0]
        for z in (half, half.double())
    )
    torch.testing.assert_close(rounded.task, exact.task, rtol=1e-6, atol=0)


def test_masked_positions_do_not_count_whatever_their_label():
    torch.manual_seed(0)
    z = torch.randn(K, B, 7, C, dtype=torch.float64, requires_grad=True)
    labels, mask = torch.randint(C, (B, 7)), torch.rand(B, 7) > 0.4
    objective = IntraDistillation(passes=K, mode="loop")
    padded = Target(labels.where(mask, -100), mask=mask)
    passes = iter(z)
    parts = objective(lambda b: next(passes), lambda b: padded, torch.zeros(B), 100, 100)
    kept = z[:, mask]  # [K, n, C]
    expected = (
        cross_entropy(kept, labels[mask].expand(K, -1)).mean() + 5 * x_divergence(kept).mean()
    )
    torch.testing.assert_close(parts.total, expected)
    parts.total.backward()
    assert (z.grad[:, ~mask] == 0).all() and torch.isfinite(z.grad).all()


@pytest.mark.parametrize("taught", [False, True], ids=["labels", "teacher"])
def test_excluded_classes_equal_deleted_classes(batch, taught):
    """For the passes, and for a teacher that would put most on an excluded class."""
    model, allowed = network(), torch.tensor([True, True, False, True])
    batch["y"] = torch.tensor([0, 1, 3, 0, 1])
    given = torch.tensor([1.0, -1.0, 3.0, 0.5], dtype=torch.float64).expand(B, C)
    objective = IntraDistillation(passes=K, smoothing=0.1)
    masked = objective(
        lambda b: model(b["x"]),
        lambda b: Target(b["y"], class_mask=allowed),
        *(batch, 100, 100),
        teacher=(lambda b: given) if taught else None,
    )
    renamed = torch.tensor([0, 1, -1, 2])[batch["y"]]
    deleted = objective(
        lambda b: model(b["x"])[..., allowed],
        lambda b: Target(renamed),
        *(batch, 100, 100),
        teacher=(lambda b: given[..., allowed]) if taught else None,
    )
    torch.testing.assert_close(masked[:3], deleted[:3])


def test_heads_are_averaged(batch):
    model = network()
    objective = IntraDistillation(passes=K)
    first, _ = value_and_gradients(objective, model, batch)
    both = objective(
        lambda b: {"start": model(b["x"]), "end": 2 * model(b["x"])},
        lambda b: {"start": Target(b["y"]), "end": Target(b["y"])},
        batch,
        100,
        100,
    )
    second = objective(lambda b: 2 * model(b["x"]), targets, batch, 100, 100)
    torch.testing.assert_close(both.total, (first.total + second.total) / 2)


def test_regression_is_squared_error_and_variance_between_passes():
    z = torch.tensor([[1.0, 2.0], [3.0, 2.0]])  # two passes, two positions
    passes = iter(z.unsqueeze(-1))
    objective = IntraDistillation(passes=2, alpha=1.0, mode="loop")
    target = Target(torch.tensor([1.0, 4.0]), kind="regression")
    parts = objective(lambda b: next(passes), lambda b: target, torch.zeros(2), 1, 1)
    assert parts.task == pytest.approx((0 + 4 + 4 + 4) / 4)
    assert parts.divergence == pytest.approx((1 + 1 + 0 + 0) / 4)


@pytest.mark.parametrize(
    ("labels", "logits"),
    [((B,), (-1,)), ((B,), (-1, 1)), ((B, 1), (-1, 1))],
    ids=["[B] from [B]", "[B] from [B, 1]", "[B, 1] from [B, 1]"],
)
def test_a_regressions_teacher_adds_the_squared_distance_to_its_value(labels, logits):
    generator = torch.Generator().manual_seed(8)
    z, y, taught = (torch.randn(n, B, generator=generator) for n in (K, 1, 1))
    parts = IntraDistillation(passes=K)(
        lambda b: z.reshape(logits),
        lambda b: Target(y.view(labels), kind="regression"),
        *(torch.zeros(B), 100, 100),
        teacher=lambda b: taught.view(logits),
    )
    torch.testing.assert_close(parts.task, (z - y).square().mean() + (z - taught).square().mean())
    torch.testing.assert_close(parts.divergence, (z - z.mean(0)).square().mean())


@pytest.mark.filterwarnings("ignore:the K passes are equal")  # nearly, in so few digits
def test_a_regression_in_half_precision_is_added_up_in_full():
    z = (3 + torch.rand(K, B, 1, generator=torch.Generator().manual_seed(9)) / 8).bfloat16()
    target = Target(torch.full((B,), 3.0), kind="regression")
    rounded, exact = (
        IntraDistillation(passes=K)(
            lambda b, z=z: z.flatten(0, 1), lambda b: target, torch.zeros(B), 100, 100
        )
        for z in (z, z.double())
    )
    torch.testing.assert_close(rounded.task.double(), exact.task, rtol=1e-5, atol=0)
    torch.testing.assert_close(rounded.divergence.double(), exact.divergence, rtol=1e-5, atol=0)


def test_counts_of_the_whole_update_make_micro_batches_add_up(batch):
    model = network(masks=False)
    objective = IntraDistillation(passes=K)
    with pytest.warns(UserWarning, match="no dropout"):
        whole, gradients = value_and_gradients(objective, model, batch)
    model.zero_grad()
    total = 0.0
    for rows in ([0], [1, 2], [3, 4]):
        part = {name: value[rows] for name, value in batch.items()}
        parts = objective(
            lambda b: model(b["x"]), targets, part, 100, 100, counts={"logits": torch.tensor(B)}
        )
        parts.total.backward()
        total = total + parts.total
    torch.testing.assert_close(total, whole.total)
    for gradient, parameter in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


# How the divergence is added up --------------------------------------------------------------


def divergences(z: dict, targets: dict, counts: dict | None = None, **asked) -> dict:
    """Parts of the objective by reduction, for given logits ``[K, B, ..., C]`` by head."""
    flat = {name: value.flatten(0, 1) for name, value in z.items()}
    return {
        reduction: IntraDistillation(passes=K, divergence_reduction=reduction, **asked)(
            lambda b: flat, lambda b: targets, torch.zeros(B), 100, 100, counts=counts
        )
        for reduction in REDUCTIONS
    }


def logits(*shape: int, seed: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(K, *shape, C, generator=generator, dtype=torch.float64)


def test_sums_without_padding_are_the_mean_times_the_positions():
    """Audit A20: beside a mean of the cross-entropy, a sum makes α weigh so many times more."""
    for shape in ((8, 128), (32,), (1,)):  # tagging's rows and pieces; classification's rows
        labels = torch.zeros(shape, dtype=torch.int64)
        found = divergences({"logits": logits(*shape)}, {"logits": Target(labels)})
        mean = found["mean"].divergence
        assert mean > 0.01
        for reduction in ("sum", "sum_padded"):
            torch.testing.assert_close(found[reduction].divergence, labels.numel() * mean)
            torch.testing.assert_close(found[reduction].task, found["mean"].task)


def test_a_sum_counts_what_the_mask_counts_and_the_padded_sum_all():
    z, mask = logits(B, 7), torch.rand(B, 7, generator=torch.Generator().manual_seed(4)) > 0.4
    target = Target(torch.zeros(B, 7, dtype=torch.int64), mask=mask)
    found = divergences({"logits": z}, {"logits": target})
    each = x_divergence(z)  # [B, 7]
    torch.testing.assert_close(found["mean"].divergence, each[mask].mean())
    torch.testing.assert_close(found["sum"].divergence, each[mask].sum())
    torch.testing.assert_close(found["sum_padded"].divergence, each.sum())
    assert len({float(parts.task) for parts in found.values()}) == 1
    for parts in found.values():
        torch.testing.assert_close(parts.total, parts.task + 5.0 * parts.divergence)


def test_sums_of_heads_add_up():
    """Answering: 8 contexts, and their starts and ends: 16 times the mean over both."""
    z = {name: logits(8, seed=seed) for seed, name in enumerate(("start", "end"))}
    target = Target(torch.zeros(8, dtype=torch.int64))
    both = divergences(z, dict.fromkeys(z, target))
    each = [divergences({name: z[name]}, {name: target}) for name in z]
    for reduction in ("sum", "sum_padded"):
        expected = sum(parts[reduction].divergence for parts in each)
        torch.testing.assert_close(both[reduction].divergence, expected)
        torch.testing.assert_close(both[reduction].divergence, 16 * both["mean"].divergence)
    torch.testing.assert_close(
        both["mean"].divergence, sum(parts["mean"].divergence for parts in each) / 2
    )


def test_micro_batches_average_their_sums_by_their_share_of_positions():
    """So an update in micro-batches has the mean of their sums, as accumulation in the scripts."""
    z, mask = logits(B, 7), torch.rand(B, 7, generator=torch.Generator().manual_seed(5)) > 0.4
    counts, cuts = {"logits": mask.sum()}, ([0], [1, 2], [3, 4])
    added = dict.fromkeys(REDUCTIONS, 0.0)
    expected = dict.fromkeys(REDUCTIONS, 0.0)
    for rows in cuts:
        own, each = mask[rows], x_divergence(z[:, rows])
        target = Target(torch.zeros(own.shape, dtype=torch.int64), mask=own)
        share = own.sum() / mask.sum()
        sums = {"mean": each[own].mean(), "sum": each[own].sum(), "sum_padded": each.sum()}
        for name, parts in divergences({"logits": z[:, rows]}, {"logits": target}, counts).items():
            added[name] = added[name] + parts.divergence
            expected[name] = expected[name] + share * sums[name]
    for name in REDUCTIONS:
        torch.testing.assert_close(added[name], expected[name])
    torch.testing.assert_close(added["mean"], x_divergence(z)[mask].mean())


def test_sums_reach_regressions_too():
    z = torch.randn(K, B, 1, generator=torch.Generator().manual_seed(6))
    target = Target(torch.zeros(B), kind="regression")
    found = divergences({"logits": z}, {"logits": target}, alpha=0.5)
    expected = (z - z.mean(0)).square().sum() / K
    torch.testing.assert_close(found["sum"].divergence, expected)
    torch.testing.assert_close(found["mean"].divergence, expected / B)
    torch.testing.assert_close(found["sum"].total, found["sum"].task + 0.5 * expected)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_every_reduction_has_the_gradient_of_its_value(batch, reduction):
    objective = IntraDistillation(passes=K, divergence_reduction=reduction)
    model = network()
    _, gradients = value_and_gradients(objective, model, batch)
    z = model(batch["x"].repeat(K, 1)).unflatten(0, (K, B))
    divergence = x_divergence(z).mean() if reduction == "mean" else x_divergence(z).sum()
    model.zero_grad()
    (cross_entropy(z, batch["y"].expand(K, B)).mean() + 5.0 * divergence).backward()
    for gradient, parameter in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


def normed() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(D, D), nn.BatchNorm1d(D), nn.Dropout(0.5), nn.Linear(D, C))


def test_loop_updates_running_statistics_by_the_first_pass_only(batch):
    batch["x"] = batch["x"].float()
    once, thrice = normed(), normed()
    IntraDistillation(passes=1, alpha=0.0)(lambda b: once(b["x"]), targets, batch, 1, 10)
    IntraDistillation(passes=K, mode="loop")(lambda b: thrice(b["x"]), targets, batch, 1, 10)
    for name, buffer in once.named_buffers():
        assert torch.equal(buffer, dict(thrice.named_buffers())[name]), name


def test_frozen_batch_norm_normalises_by_the_batch_and_is_undone_after_an_error(batch):
    model, x = normed()[:2], batch["x"].float()
    expected, before = model(x), [b.clone() for b in model.buffers()]
    with pytest.raises(KeyError), frozen_batch_norm():
        torch.testing.assert_close(model(x), expected)
        raise KeyError
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))
    model(x)
    assert not torch.equal(before[0], next(model.buffers()))


def test_autocast_changes_the_model_and_not_the_loss():
    torch.manual_seed(0)
    model, x, y = (
        nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 37)),
        torch.randn(B, 64),
        torch.arange(B),
    )
    seen = []

    def forward(batch):
        seen.append(model(batch))
        return seen[-1]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        parts = IntraDistillation(passes=K)(forward, lambda b: Target(y), x, 100, 100)
    assert seen[0].dtype == torch.bfloat16 and parts.total.dtype == torch.float32
    z = seen[0].double().unflatten(0, (K, B))
    expected = cross_entropy(z, y.expand(K, B)).mean() + 5 * x_divergence(z).mean()
    assert parts.total.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"passes": 0}, "passes"),
        ({"divergence": "kld"}, "x, js, kl"),
        ({"mode": "stacked"}, "stack, loop"),
        ({"divergence_reduction": "max"}, "mean, sum, sum_padded"),
        ({"smoothing": 1.0}, "smoothing"),
        ({"p": 10, "q": 5}, "A4"),
        ({"alpha": -1.0}, "alpha"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        IntraDistillation(**wrong)


def test_shapes_and_heads_that_do_not_fit_are_named(batch):
    model, objective = network(masks=False), IntraDistillation(passes=K)
    with pytest.raises(ValueError, match="labels of shape"):
        objective(lambda b: model(b["x"]), lambda b: Target(b["y"][:2]), batch, 1, 10)
    with pytest.raises(ValueError, match="'start'"):
        objective(lambda b: model(b["x"]), lambda b: {"start": Target(b["y"])}, batch, 1, 10)
    with pytest.raises(ValueError, match="the teacher.*'start'"):
        taught = {"start": torch.zeros(B, C, dtype=torch.float64)}
        objective(lambda b: model(b["x"]), targets, batch, 1, 10, teacher=lambda b: taught)
    with pytest.raises(ValueError, match="no position"):
        nothing = torch.zeros(B, dtype=torch.bool)
        objective(lambda b: model(b["x"]), lambda b: Target(b["y"], nothing), batch, 1, 10)
