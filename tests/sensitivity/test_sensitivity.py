"""Sensitivity against its definition, first order and exact, and the statistics of it."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from idlib.sensitivity.exact import exact_sensitivity
from idlib.sensitivity.first_order import group_sensitivity, parameter_sensitivity
from idlib.sensitivity.parameter_sets import channel_groups, random_groups
from idlib.sensitivity.statistics import gini, layer_of


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch["x"]), batch["y"])


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(64, 3),
    ).double()


def images(count: int) -> list[dict[str, torch.Tensor]]:
    """Batches of five."""
    generator = torch.Generator().manual_seed(0)
    return [
        {
            "x": torch.randn(5, 1, 6, 6, generator=generator, dtype=torch.float64),
            "y": torch.randint(0, 3, (5,), generator=generator),
        }
        for _ in range(count)
    ]


class Weights(nn.Module):
    """Parameters whose loss is written out in the test."""

    def __init__(self, *values):
        super().__init__()
        self.w = nn.Parameter(tensor(*values))


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def linear(model, batch):
    return (model.w * batch).sum()


# ---- every parameter


def test_a_linear_loss_by_hand():
    batches = [tensor(3.0, 0.5, 7.0), tensor(1.0, -1.0, 5.0)]  # losses 2 and 3
    found = parameter_sensitivity(Weights(1.0, -2.0, 0.0), batches, linear)
    raw = tensor((3 + 1) / 2, (1 + 2) / 2, 0.0)
    normalized = tensor((3 / 2 + 1 / 3) / 2, (1 / 2 + 2 / 3) / 2, 0.0)
    torch.testing.assert_close(found.values["w"], raw)
    torch.testing.assert_close(found.normalized["w"], normalized)
    assert (found.count, found.batches, found.loss) == (3, 2, 2.5)
    assert found.mean == pytest.approx(3.5 / 3)
    assert found.std == pytest.approx(raw.std(correction=0).item())  # over the population
    assert found.std_normalized == pytest.approx(normalized.std(correction=0).item())
    assert found.cv == pytest.approx(found.std / found.mean)
    assert found.gini == pytest.approx(gini(raw))
    assert found.cv_normalized == pytest.approx(found.std_normalized / found.mean_normalized)
    assert found.gini_normalized == pytest.approx(gini(normalized))


def test_finite_differences():
    model, (batch,) = network(), images(1)
    found = parameter_sensitivity(model, [batch], cross_entropy)
    model.eval()
    step = 1e-6
    for name, parameter in model.named_parameters():
        flat = parameter.detach().view(-1)
        for place in (0, len(flat) - 1):
            losses = []
            for change in (step, -step):
                flat[place] += change
                losses.append(cross_entropy(model, batch).item())
                flat[place] -= change
            slope = (losses[0] - losses[1]) / (2 * step)
            value = found.values[name].view(-1)[place].item()
            assert value == pytest.approx(abs(flat[place].item() * slope), rel=1e-4, abs=1e-9)


def test_streaming_equals_stacking_in_any_order():
    model, batches = network(), images(4)
    found = parameter_sensitivity(model, iter(batches), cross_entropy)
    turned = parameter_sensitivity(model, iter(batches[::-1]), cross_entropy)
    model.eval()
    losses = [cross_entropy(model, batch) for batch in batches]
    raw = {name: [] for name, _ in model.named_parameters()}
    for loss in losses:
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        for (name, p), gradient in zip(model.named_parameters(), gradients, strict=True):
            raw[name].append((p * gradient).abs().detach())
    for name, values in raw.items():
        normalized = [v / loss.item() for v, loss in zip(values, losses, strict=True)]
        torch.testing.assert_close(found.values[name], torch.stack(values).mean(0))
        torch.testing.assert_close(found.normalized[name], torch.stack(normalized).mean(0))
        torch.testing.assert_close(found.values[name], turned.values[name], rtol=1e-12, atol=1e-15)
    assert found.loss == pytest.approx(sum(losses).item() / 4)
    assert found.count == sum(p.numel() for p in model.parameters())
    flat = torch.cat([torch.stack(values).mean(0).flatten() for values in raw.values()])
    assert found.std == pytest.approx(flat.std(correction=0).item())


def test_batches_are_not_summed_before_the_absolute_value():
    batches = [tensor(3.0, -1.0), tensor(-1.0, 3.0)]
    found = parameter_sensitivity(Weights(1.0, 1.0), batches, linear)
    torch.testing.assert_close(found.values["w"], tensor(2.0, 2.0))


def test_gradients_that_share_memory_are_left_alone():
    """Of a sum it is one number, expanded; and two parameters may have the same one."""
    model, shift = nn.ParameterList([tensor(1.0, -2.0), tensor(3.0, 4.0)]), tensor(-1.0, -1.0)
    found = parameter_sensitivity(model, [shift], lambda m, x: 9 + ((m[0] + m[1]) * x).sum())
    assert found.values["0"].tolist() == [1, 2] and found.values["1"].tolist() == [3, 4]
    found = parameter_sensitivity(Weights(2.0, -3.0), [9.0], lambda m, x: x + m.w.sum())
    assert found.values["w"].tolist() == [2, 3] and shift.tolist() == [-1, -1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int64])
def test_gini_takes_every_type_of_number(dtype):
    assert gini(torch.tensor([3, 1, 0, 2], dtype=dtype)) == gini(tensor(3.0, 1.0, 0.0, 2.0))


def test_it_works_where_gradients_are_off():
    model, batches = network(), images(2)
    expected = parameter_sensitivity(model, batches, cross_entropy).std
    with torch.no_grad():
        assert parameter_sensitivity(model, batches, cross_entropy).std == expected


def test_frozen_tied_and_unused_parameters():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3, bias=False)
            self.b = nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight
            self.frozen = nn.Linear(3, 3)
            self.frozen.requires_grad_(False)
            self.unused = nn.Linear(3, 2)

        def forward(self, x):
            return self.b(self.frozen(self.a(x)))

    model = Tied()
    batches = [{"x": torch.randn(4, 3), "y": torch.tensor([0, 1, 2, 0])}]
    found = parameter_sensitivity(model, batches, cross_entropy)
    assert list(found.values) == ["a.weight", "unused.weight", "unused.bias"]
    assert found.count == 9 + 6 + 2
    assert found.values["unused.weight"].abs().sum() == 0
    (gradient,) = torch.autograd.grad(cross_entropy(model, batches[0]), model.a.weight)
    torch.testing.assert_close(
        found.values["a.weight"], (model.a.weight * gradient).abs().detach(), rtol=1e-5, atol=1e-9
    )
    assert found.values["a.weight"].dtype == torch.float32


def test_half_precision_parameters_give_float32_values():
    found = parameter_sensitivity(Weights(1.0, 2.0).bfloat16(), [torch.ones(2)], linear)
    assert found.values["w"].dtype == torch.float32 and found.mean == 1.5


def test_scale_free_figures_do_not_change_with_the_loss():
    model, batches = network(), images(3)
    one = parameter_sensitivity(model, batches, cross_entropy)
    ten = parameter_sensitivity(model, batches, lambda m, b: 10 * cross_entropy(m, b))
    assert (ten.std, ten.mean) == pytest.approx((10 * one.std, 10 * one.mean), rel=1e-10)
    for name in ("cv", "gini", "std_normalized", "mean_normalized", "cv_normalized"):
        assert getattr(ten, name) == pytest.approx(getattr(one, name), rel=1e-10)


def test_excluded_entries_are_counted_apart():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(6, 2), nn.Flatten(), nn.Linear(4, 3))
    batches = [{"x": torch.tensor([[0, 1], [2, 1]]), "y": torch.tensor([0, 2])}]
    unseen = torch.zeros(6, 2, dtype=torch.bool)
    unseen[3:] = True
    whole = parameter_sensitivity(model, batches, cross_entropy)
    seen = parameter_sensitivity(model, batches, cross_entropy, exclude={"0.weight": unseen})
    assert (whole.count, whole.excluded_count) == (27, 0)
    assert (seen.count, seen.excluded_count) == (21, 6)
    assert seen.mean == pytest.approx(whole.mean * 27 / 21)
    assert seen.gini < whole.gini
    assert sum(seen.histogram([-9, -3, 0])) == 21
    assert [row.count for row in seen.by_layer()] == [6, 15]
    assert seen.values["0.weight"].shape == (6, 2)


# ---- statistics


def ladder():
    """A sensitivity of exactly 0, 0.01, 0.1, 1, 10."""
    batch = tensor(0.0, 0.01, 0.1, 1.0, 10.0)
    return parameter_sensitivity(Weights(1.0, 1.0, 1.0, 1.0, 1.0), [batch], linear)


def test_quantiles():
    assert ladder().quantiles([0, 0.25, 0.5, 0.75, 1]) == pytest.approx([0, 0.01, 0.1, 1, 10])
    assert ladder().quantiles([0.875]) == pytest.approx([5.5])
    found = parameter_sensitivity(network(), images(2), cross_entropy)
    flat = torch.cat([v.flatten() for v in found.values.values()])
    levels = torch.linspace(0, 1, 13, dtype=torch.float64)
    assert found.quantiles(levels.tolist()) == torch.quantile(flat, levels).tolist()
    with pytest.raises(ValueError, match="levels must lie in 0..1"):
        found.quantiles([0.5, 1.5])


def test_histogram_counts_every_parameter():
    found = ladder()
    assert found.histogram([-3.5, -1.5, -0.5, 0.5, 1.5]) == [2, 1, 1, 1]  # the zero: first bin
    assert found.histogram([-0.5, 0.5]) == [5]  # clipped at both ends
    assert found.histogram([-9, -0.5, 0.2]) == [3, 2]
    for edges in ([1], [1, 1], [2, 1]):
        with pytest.raises(ValueError, match="edges must be at least two rising numbers"):
            found.histogram(edges)


def test_by_layer():
    found = parameter_sensitivity(network(), images(2), cross_entropy)
    rows = found.by_layer()
    assert [(row.layer, row.count) for row in rows] == [("0", 40), ("1", 8), ("5", 195)]
    assert sum(row.count * row.mean for row in rows) == pytest.approx(found.count * found.mean)
    second = sum(row.count * (row.std**2 + row.mean**2) for row in rows)
    assert second == pytest.approx(found.count * (found.std**2 + found.mean**2))
    (only,) = found.by_layer(key=lambda name: "all")
    assert only == ("all", found.count, found.mean, found.std)


def test_a_layer_is_the_number_that_names_tell():
    names = "bert.embeddings.x bert.encoder.layer.3.output.bias 5.weight blocks.2.experts.0.w head"
    layers = [layer_of(name) for name in names.split()]
    assert layers == ["bert", "bert.encoder.layer.3", "5", "blocks.2", "head"]


@pytest.mark.parametrize("value", [0.0, -2.0])
def test_a_loss_that_is_not_above_zero_leaves_the_raw_figures(value):
    def shifted(model, batch):
        loss = cross_entropy(model, batch)
        return loss - loss.detach() + (value if batch is batches[1] else loss.detach())

    model, batches = network(), images(3)
    found = parameter_sensitivity(model, batches, shifted)
    plain = parameter_sensitivity(model, batches, cross_entropy)
    assert (found.mean, found.std, found.cv, found.gini) == pytest.approx(
        (plain.mean, plain.std, plain.cv, plain.gini)
    )
    normalized = [getattr(found, f"{name}_normalized") for name in ("mean", "std", "cv", "gini")]
    assert all(map(math.isnan, normalized))
    assert all(value.isnan().all() for value in found.normalized.values())


def test_gini_is_half_the_relative_mean_difference_of_pairs():
    generator = torch.Generator().manual_seed(0)
    for scale in (1.0, 1e-12, 1e12):
        x = scale * torch.rand(50, generator=generator, dtype=torch.float64) ** 4
        pairs = (x[:, None] - x[None, :]).abs().mean() / (2 * x.mean())
        assert gini(x) == pytest.approx(pairs.item(), rel=1e-12)
        assert gini(7 * x) == pytest.approx(gini(x), rel=1e-12)
        assert gini(x.flip(0).view(5, 10)) == gini(x)


def test_gini_at_its_ends():
    for equal in (torch.full((1000,), 0.1), torch.zeros(5), torch.tensor([3])):
        assert gini(equal) == 0.0
    assert gini(torch.eye(100)[0]) == pytest.approx(0.99)
    with pytest.raises(ValueError, match="at least one value"):
        gini(torch.tensor([]))
    with pytest.raises(ValueError, match="not -1.0"):
        gini(tensor(1.0, -1.0))
    with pytest.raises(ValueError, match="finite"):
        gini(tensor(1.0, math.nan))
    with pytest.raises(ValueError, match="finite"):
        gini(tensor(math.inf, 1.0))


def test_all_zero_parameters_are_balanced():
    found = parameter_sensitivity(Weights(0.0), [torch.ones(1)], lambda m, b: linear(m, b) + 1.0)
    assert (found.mean, found.std, found.cv, found.gini) == (0, 0, 0, 0)


# ---- groups


def test_exact_equals_first_order_where_the_loss_is_linear():
    model = Weights(1.0, -2.0, 3.0, 0.5)
    groups = {
        "some": [("w", torch.tensor([0, 1]))],
        "one": [("w", torch.tensor([3]))],
        "all": [("w", None)],
    }
    batches = [tensor(3.0, 0.5, 1.0, 1.0), tensor(1.0, 2.0, 0.0, -4.0)]
    first = group_sensitivity(model, groups, iter(batches), linear)
    exact = exact_sensitivity(model, groups, iter(batches), linear)
    assert first == pytest.approx(exact, rel=1e-12)
    assert first == pytest.approx({"some": (2 + 3) / 2, "one": (0.5 + 2) / 2, "all": (5.5 + 5) / 2})


def test_exact_is_the_loss_without_the_group():
    model, batches = network(), images(2)
    model[0].weight.data = model[0].weight.data.to(memory_format=torch.channels_last)
    groups = {"mixed": [("0.weight", torch.tensor([5, 7])), ("5.bias", None)]}
    found = exact_sensitivity(model, groups, batches, cross_entropy)
    model.eval()
    whole = [cross_entropy(model, batch).item() for batch in batches]
    with torch.no_grad():
        model[0].weight[0, 0, 1, 2] = 0
        model[0].weight[0, 0, 2, 1] = 0
        model[5].bias.zero_()
    without = [cross_entropy(model, batch).item() for batch in batches]
    expected = sum(abs(a - b) for a, b in zip(whole, without, strict=True)) / 2
    assert found == {"mixed": pytest.approx(expected, rel=1e-12)}


def test_a_group_of_one_is_the_parameter_itself():
    model, batches = network(), images(3)
    found = parameter_sensitivity(model, batches, cross_entropy)
    groups = {str(place): [("0.weight", torch.tensor([place]))] for place in range(36)}
    single = group_sensitivity(model, groups, batches, cross_entropy)
    assert list(single.values()) == pytest.approx(found.values["0.weight"].flatten().tolist())


def test_first_order_and_exact_agree_for_a_small_group():
    model, batches = network(), images(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.01)  # zeroing is then a small step
    groups = {name: g for name, g in channel_groups(model).items() if name.startswith("5.weight")}
    first = group_sensitivity(model, groups, batches, cross_entropy)
    assert first == pytest.approx(
        exact_sensitivity(model, groups, batches, cross_entropy), rel=0.02
    )


def test_random_groups_are_disjoint_and_repeatable():
    model = network()

    def drawn(seed: int) -> list[list[tuple[str, int]]]:
        groups = random_groups(model, count=20, size=12, seed=seed)
        return [[(name, i) for name, at in group for i in at.tolist()] for group in groups.values()]

    places = sum(drawn(3), [])
    assert {len(group) for group in drawn(3)} == {12} and len(places) == len(set(places)) == 240
    assert drawn(3) == drawn(3) != drawn(4)
    groups = random_groups(model, count=20, size=12, seed=3)
    found = exact_sensitivity(model, groups, images(1), cross_entropy)
    assert list(found) == list(groups) and min(found.values()) >= 0
    for count, size in ((0, 1), (1, 0), (100, 100)):
        with pytest.raises(ValueError, match=f"{count} groups of {size} parameters"):
            random_groups(model, count, size, seed=1)


def test_channel_groups_are_the_rows_of_every_weight():
    model = network()
    groups = channel_groups(model)
    names = [*(f"0.weight[{i}]" for i in range(4)), *(f"5.weight[{i}]" for i in range(3))]
    assert list(groups) == names
    ((_, indices),) = groups["5.weight[1]"]
    assert torch.equal(model[5].weight.flatten()[indices], model[5].weight[1])
    with pytest.raises(ValueError, match="two axes"):
        channel_groups(Weights(1.0, 2.0))


# ---- the model is left alone, and errors


MEASURES = {
    "parameters": parameter_sensitivity,
    "groups": lambda m, b, f: group_sensitivity(m, channel_groups(m), b, f),
    "exact": lambda m, b, f: exact_sensitivity(m, channel_groups(m), b, f),
}
measures = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


def state(model):
    return (
        [module.training for module in model.modules()],
        [p.requires_grad for p in model.parameters()],
        [value.tolist() for value in model.state_dict().values()],
        [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
    )


@measures
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_found(measure, fails):
    model, batches = network(), images(3)
    model.train()
    model[3].eval()  # one module in another mode than the others
    cross_entropy(model, batches[0]).backward()
    model[0].bias.requires_grad_(False)
    model[5].bias.grad = None
    before, calls = state(model), []

    def loss(model, batch):
        assert not any(module.training for module in model.modules())
        calls.append(batch)
        if fails and len(calls) == 8:
            raise KeyboardInterrupt
        model[1].running_mean.add_(1.0)  # even a loss that changes buffers
        return cross_entropy(model, batch)

    if fails:
        with pytest.raises(KeyboardInterrupt):
            measure(model, batches * 3, loss)
    else:
        measure(model, batches, loss)
    assert state(model) == before


@measures
def test_errors_of_all_three(measure):
    model, batches = network(), images(2)
    with pytest.raises(ValueError, match="at least one batch"):
        measure(model, [], cross_entropy)
    with pytest.raises(ValueError, match=r"batch 0 must be a scalar tensor, not shape \(5, 3\)"):
        measure(model, batches, lambda m, b: m(b["x"]))
    with pytest.raises(ValueError, match="must be a scalar tensor, not float"):
        measure(model, batches, lambda m, b: 1.0)
    bad = [batches[0], {**batches[1], "x": batches[1]["x"] * math.nan}]
    with pytest.raises(ValueError, match="the loss of batch 1 is nan"):
        measure(model, bad, cross_entropy)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="no trainable parameter"):
        measure(model, batches, cross_entropy)


@pytest.mark.parametrize(
    ("loss", "named"),
    [
        (
            lambda m, b: SimpleNamespace(loss=1),
            "scalar tensor, not SimpleNamespace: give its .loss",
        ),
        (lambda m, b: torch.tensor(1.0), "batch 0 depends on no trainable parameter"),
    ],
)
def test_losses_that_give_no_sensitivity(loss, named):
    with pytest.raises(ValueError, match=named):
        parameter_sensitivity(network(), images(1), loss)


@pytest.mark.parametrize(
    ("exclude", "named"),
    [
        ({"v": torch.ones(2).bool()}, "'v', which is not a trainable parameter"),
        ({"w": torch.ones(3).bool()}, r"bool of shape \(2,\), not torch.bool of shape \(3,\)"),
        ({"w": torch.zeros(2)}, "not torch.float32"),
        ({"w": torch.ones(2).bool()}, "leaves no parameter"),
    ],
)
def test_errors_of_masks(exclude, named):
    with pytest.raises(ValueError, match=named):
        parameter_sensitivity(Weights(1.0, 2.0), [torch.ones(2)], linear, exclude=exclude)


@pytest.mark.parametrize("measure", [group_sensitivity, exact_sensitivity])
@pytest.mark.parametrize(
    ("members", "named"),
    [
        ([], "'g' must name at least one parameter"),
        ([("w", None), ("w", torch.tensor([0]))], "each once"),
        ([("v", None)], "'g' names 'v', not a trainable parameter"),
        ([("w", torch.tensor([0.5]))], "must be int64"),
        ([("w", torch.tensor([0, 2]))], r"must lie in 0\.\.1"),
        ([("w", torch.tensor([-1]))], r"must lie in 0\.\.1"),
        ([("w", torch.tensor([1, 1]))], "has an index of 'w' twice"),
    ],
)
def test_errors_of_groups(measure, members, named):
    with pytest.raises(ValueError, match=named):
        measure(Weights(1.0, 2.0), {"g": members}, [torch.ones(2)], linear)


def test_a_group_that_breaks_the_loss_is_named():
    model = Weights(1.0, 2.0)
    groups = {"first": [("w", torch.tensor([0]))]}
    with pytest.raises(ValueError, match="batch 0 with group 'first' at zero is inf"):
        exact_sensitivity(model, groups, [torch.ones(2)], lambda m, b: (b / m.w).sum())
    assert model.w.tolist() == [1.0, 2.0]
