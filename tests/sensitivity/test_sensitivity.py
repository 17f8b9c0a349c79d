import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from idlib.sensitivity.exact import exact_sensitivity
from idlib.sensitivity.first_order import group_sensitivity, parameter_sensitivity
from idlib.sensitivity.parameter_sets import channel_groups, random_groups
from idlib.sensitivity.statistics import gini


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch["x"]), batch["y"])


def network(seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(64, 3),
    ).to(dtype)


def images(count=3, size=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [
        {
            "x": torch.randn(size, 1, 6, 6, generator=generator, dtype=dtype),
            "y": torch.randint(0, 3, (size,), generator=generator),
        }
        for _ in range(count)
    ]


class Weights(nn.Module):
    """Parameters whose loss is written out in the test."""

    def __init__(self, *values):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(values, dtype=torch.float64))


def linear(model, batch):
    return (model.w * batch).sum()


def test_a_linear_loss_by_hand():
    model = Weights(1.0, -2.0, 0.0)
    batches = [torch.tensor([3.0, 0.5, 7.0]), torch.tensor([1.0, -1.0, 5.0])]  # losses 2 and 3
    found = parameter_sensitivity(model, batches, linear)
    raw = torch.tensor([(3 + 1) / 2, (1 + 2) / 2, 0.0], dtype=torch.float64)
    normalized = torch.tensor([(3 / 2 + 1 / 3) / 2, (1 / 2 + 2 / 3) / 2, 0.0], dtype=torch.float64)
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
    model, batches = network(), images(1)
    found = parameter_sensitivity(model, batches, cross_entropy)
    model.eval()
    step = 1e-6
    for name, parameter in model.named_parameters():
        for place in (0, parameter.numel() - 1):
            losses = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter.view(-1)[place] += sign * step
                    losses.append(cross_entropy(model, batches[0]).item())
                    parameter.view(-1)[place] -= sign * step
            slope = (losses[0] - losses[1]) / (2 * step)
            expected = abs(parameter.view(-1)[place].item() * slope)
            assert found.values[name].view(-1)[place].item() == pytest.approx(
                expected, rel=1e-4, abs=1e-9
            )


def test_streaming_equals_stacking():
    model, batches = network(), images(4)
    found = parameter_sensitivity(model, iter(batches), cross_entropy)
    model.eval()
    raw, normalized, losses = {}, {}, []
    for batch in batches:
        loss = cross_entropy(model, batch)
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        for (name, p), g in zip(model.named_parameters(), gradients, strict=True):
            raw.setdefault(name, []).append((p * g).abs().detach())
            normalized.setdefault(name, []).append(raw[name][-1] / loss.item())
    for name in raw:
        torch.testing.assert_close(found.values[name], torch.stack(raw[name]).mean(0))
        torch.testing.assert_close(found.normalized[name], torch.stack(normalized[name]).mean(0))
    assert found.loss == pytest.approx(sum(losses) / 4)
    assert found.count == sum(p.numel() for p in model.parameters())
    flat = torch.cat([torch.stack(v).mean(0).flatten() for v in raw.values()])
    assert found.std == pytest.approx(flat.std(correction=0).item())


def test_the_order_of_batches_does_not_matter():
    model, batches = network(), images(4)
    one = parameter_sensitivity(model, batches, cross_entropy)
    other = parameter_sensitivity(model, batches[::-1], cross_entropy)
    for name in one.values:
        torch.testing.assert_close(one.values[name], other.values[name], rtol=1e-12, atol=1e-15)
    assert one.std == pytest.approx(other.std, rel=1e-12)


def test_batches_are_not_summed_before_the_absolute_value():
    model = Weights(1.0, 1.0)
    batches = [torch.tensor([3.0, -1.0]), torch.tensor([-1.0, 3.0])]
    found = parameter_sensitivity(model, batches, linear)
    torch.testing.assert_close(found.values["w"], torch.full((2,), 2.0, dtype=torch.float64))


def state(model):
    return (
        {name: value.clone() for name, value in model.state_dict().items()},
        [module.training for module in model.modules()],
        [p.requires_grad for p in model.parameters()],
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
    )


def measures():
    return {
        "first": lambda m, b, f: parameter_sensitivity(m, b, f),
        "group": lambda m, b, f: group_sensitivity(m, channel_groups(m), b, f),
        "exact": lambda m, b, f: exact_sensitivity(m, channel_groups(m), b, f),
    }


@pytest.mark.parametrize("measure", measures().values(), ids=measures())
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_found(measure, fails):
    model, batches = network(), images(3)
    model.train()
    model[3].eval()  # one module in another mode than the others
    cross_entropy(model, batches[0]).backward()
    model[0].bias.requires_grad_(False)
    model[5].bias.grad = None
    before = state(model)
    seen = []

    def loss(model, batch):
        seen.append([module.training for module in model.modules()])
        if fails and len(seen) == 8:
            raise KeyboardInterrupt
        model[1].running_mean.add_(1.0)  # even a loss that changes buffers
        return cross_entropy(model, batch)

    if fails:
        with pytest.raises(KeyboardInterrupt):
            measure(model, batches * 3, loss)
    else:
        measure(model, batches, loss)
    after = state(model)
    assert not any(any(modes) for modes in seen)  # eval mode throughout
    assert before[1:3] == after[1:3]
    for name, value in before[0].items():
        assert torch.equal(value, after[0][name]), name
    for old, new in zip(before[3], after[3], strict=True):
        assert (old is None and new is None) or torch.equal(old, new)


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
    model = Weights(1.0, 2.0).bfloat16()
    found = parameter_sensitivity(model, [torch.tensor([1.0, 1.0])], linear)
    assert found.values["w"].dtype == torch.float32
    assert found.mean == 1.5


def test_scale_free_figures_do_not_change_with_the_loss():
    model, batches = network(), images(3)
    one = parameter_sensitivity(model, batches, cross_entropy)
    ten = parameter_sensitivity(model, batches, lambda m, b: 10 * cross_entropy(m, b))
    assert ten.std == pytest.approx(10 * one.std, rel=1e-10)
    assert ten.mean == pytest.approx(10 * one.mean, rel=1e-10)
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


def ladder():
    """A sensitivity of exactly 0, 0.01, 0.1, 1, 10 on one batch; normalised by 11.11."""
    batch = torch.tensor([0.0, 0.01, 0.1, 1.0, 10.0], dtype=torch.float64)
    return parameter_sensitivity(Weights(1.0, 1.0, 1.0, 1.0, 1.0), [batch], linear)


def test_quantiles():
    found = ladder()
    assert found.quantiles([0, 0.25, 0.5, 0.75, 1]) == pytest.approx([0, 0.01, 0.1, 1, 10])
    assert found.quantiles([0.875]) == pytest.approx([5.5])
    assert found.quantiles([1], normalized=True) == pytest.approx([10 / 11.11])
    values = network(), images(2)
    found = parameter_sensitivity(*values, cross_entropy)
    flat = torch.cat([v.flatten() for v in found.values.values()])
    levels = torch.linspace(0, 1, 13, dtype=torch.float64)
    expected = torch.quantile(flat, levels).tolist()
    assert found.quantiles(levels.tolist()) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="levels must lie in 0..1"):
        found.quantiles([0.5, 1.5])


def test_histogram_counts_every_parameter():
    found = ladder()
    assert found.histogram([-3.5, -1.5, -0.5, 0.5, 1.5]) == [2, 1, 1, 1]  # the zero: first bin
    assert found.histogram([-0.5, 0.5]) == [5]  # clipped at both ends
    assert found.histogram([-9, -0.5, 0.2]) == [3, 2]
    assert found.histogram([-1.5, -0.5, 0.5], normalized=True) == [4, 1]
    for edges in ([1], [1, 1], [2, 1]):
        with pytest.raises(ValueError, match="edges must be at least two rising numbers"):
            found.histogram(edges)


def test_by_layer():
    found = parameter_sensitivity(network(), images(2), cross_entropy)
    rows = found.by_layer()
    assert [row.layer for row in rows] == ["0", "1", "5"]
    assert [row.count for row in rows] == [40, 8, 195]
    assert sum(row.count * row.mean for row in rows) == pytest.approx(found.count * found.mean)
    second = sum(row.count * (row.std**2 + row.mean**2) for row in rows)
    assert second == pytest.approx(found.count * (found.std**2 + found.mean**2))
    (only,) = found.by_layer(key=lambda name: "all", normalized=True)
    assert only == ("all", found.count, *map(pytest.approx, (found.mean_normalized, only.std)))
    assert only.std == pytest.approx(found.std_normalized)


def test_exact_equals_first_order_where_the_loss_is_linear():
    model = Weights(1.0, -2.0, 3.0, 0.5)
    groups = {
        "some": [("w", torch.tensor([0, 1]))],
        "one": [("w", torch.tensor([3]))],
        "all": [("w", None)],
    }
    batches = [torch.tensor([3.0, 0.5, 1.0, 1.0]), torch.tensor([1.0, 2.0, 0.0, -4.0])]
    first = group_sensitivity(model, groups, iter(batches), linear)
    exact = exact_sensitivity(model, groups, iter(batches), linear)
    assert first == pytest.approx(exact, rel=1e-12)
    assert first == pytest.approx({"some": (2 + 3) / 2, "one": (0.5 + 2) / 2, "all": (5.5 + 5) / 2})


def test_exact_is_the_loss_without_the_group():
    model, batches = network(), images(2)
    model[0].weight.data = model[0].weight.data.to(memory_format=torch.channels_last)
    groups = {
        "mixed": [("0.weight", torch.tensor([5, 7])), ("5.bias", None)],
        "whole": [("5.weight", None)],
    }
    found = exact_sensitivity(model, groups, batches, cross_entropy)
    model.eval()
    whole = [cross_entropy(model, batch).item() for batch in batches]
    with torch.no_grad():
        model[0].weight[0, 0, 1, 2] = 0
        model[0].weight[0, 0, 2, 1] = 0
        model[5].bias.zero_()
    without = [cross_entropy(model, batch).item() for batch in batches]
    expected = sum(abs(a - b) for a, b in zip(whole, without, strict=True)) / 2
    assert found["mixed"] == pytest.approx(expected, rel=1e-12)


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
    groups = channel_groups(model)
    first = group_sensitivity(model, groups, batches, cross_entropy)
    exact = exact_sensitivity(model, groups, batches, cross_entropy)
    heads = [name for name in groups if name.startswith("5.weight")]
    for name in heads:
        assert first[name] == pytest.approx(exact[name], rel=0.02)


def test_random_groups_are_disjoint_and_repeatable():
    model = network()
    groups = random_groups(model, count=20, size=12, seed=3)
    places = [(name, i) for g in groups.values() for name, at in g for i in at.tolist()]
    assert len(groups) == 20 and len(places) == len(set(places)) == 240
    assert all(sum(len(at) for _, at in g) == 12 for g in groups.values())
    again = random_groups(model, count=20, size=12, seed=3)
    other = random_groups(model, count=20, size=12, seed=4)

    def plain(groups):
        return [[(name, at.tolist()) for name, at in members] for members in groups.values()]

    assert plain(groups) == plain(again) != plain(other)
    found = exact_sensitivity(model, groups, images(1), cross_entropy)
    assert list(found) == list(groups) and min(found.values()) >= 0
    for count, size in ((0, 1), (1, 0), (100, 100)):
        with pytest.raises(ValueError, match=f"{count} groups of {size} parameters"):
            random_groups(model, count, size, seed=1)


def test_channel_groups_are_the_rows_of_every_weight():
    model = network()
    groups = channel_groups(model)
    assert list(groups) == [f"0.weight[{i}]" for i in range(4)] + [
        f"5.weight[{i}]" for i in range(3)
    ]
    ((name, indices),) = groups["5.weight[1]"]
    assert torch.equal(model[5].weight.flatten()[indices], model[5].weight[1]), name
    with pytest.raises(ValueError, match="two axes"):
        channel_groups(Weights(1.0, 2.0))


def test_gini_is_half_the_relative_mean_difference_of_pairs():
    generator = torch.Generator().manual_seed(0)
    for scale in (1.0, 1e-12, 1e12):
        x = scale * torch.rand(50, generator=generator, dtype=torch.float64) ** 4
        pairs = (x[:, None] - x[None, :]).abs().mean() / (2 * x.mean())
        assert gini(x) == pytest.approx(pairs.item(), rel=1e-12)
        assert gini(7 * x) == pytest.approx(gini(x), rel=1e-12)
        assert gini(x.flip(0).view(5, 10)) == gini(x)


def test_gini_at_its_ends():
    assert gini(torch.full((1000,), 0.1)) == 0.0
    assert gini(torch.zeros(5)) == 0.0
    assert gini(torch.tensor([3])) == 0.0
    assert gini(torch.eye(100)[0]) == pytest.approx(0.99)


@pytest.mark.parametrize(
    "values, named",
    [([], "at least one value"), ([1.0, -1.0], "not -1.0"), ([1.0, math.nan], "finite")],
)
def test_gini_refuses(values, named):
    with pytest.raises(ValueError, match=named):
        gini(torch.tensor(values))


def test_all_zero_parameters_are_balanced():
    found = parameter_sensitivity(
        Weights(0.0, 0.0), [torch.ones(2)], lambda m, b: linear(m, b) + 1.0
    )
    assert (found.mean, found.std, found.cv, found.gini) == (0, 0, 0, 0)


@pytest.mark.parametrize("measure", measures().values(), ids=measures())
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


def test_errors_of_parameter_sensitivity():
    model, batches = network(), images(2)
    with pytest.raises(ValueError, match="the loss of batch 0 is 0.0.*above 0"):
        parameter_sensitivity(model, batches, lambda m, b: 0 * cross_entropy(m, b))
    with pytest.raises(ValueError, match="batch 0 depends on no trainable parameter"):
        parameter_sensitivity(model, batches, lambda m, b: torch.tensor(1.0))
    for exclude, named in (
        ({"nothing": torch.zeros(3).bool()}, "'nothing', which is not a trainable parameter"),
        (
            {"5.bias": torch.zeros(2).bool()},
            r"bool of shape \(3,\), not torch.bool of shape \(2,\)",
        ),
        ({"5.bias": torch.zeros(3)}, "not torch.float32"),
        (
            {name: torch.ones_like(p).bool() for name, p in model.named_parameters()},
            "leaves no parameter",
        ),
    ):
        with pytest.raises(ValueError, match=named):
            parameter_sensitivity(model, batches, cross_entropy, exclude=exclude)


@pytest.mark.parametrize("measure", [group_sensitivity, exact_sensitivity])
@pytest.mark.parametrize(
    "members, named",
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
    def inverse(model, batch):
        return (batch / model.w).sum()

    model = Weights(1.0, 2.0)
    with pytest.raises(ValueError, match="batch 0 with group 'first' at zero is inf"):
        exact_sensitivity(model, {"first": [("w", torch.tensor([0]))]}, [torch.ones(2)], inverse)
    assert model.w.tolist() == [1.0, 2.0]
