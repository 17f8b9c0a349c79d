"""Each bug of the published evaluation alone: off it is the right measure, on what it must be."""

from __future__ import annotations

import copy

import pytest
import torch
from made_up.records import made_up_record
from torch import nn

from idlib.audit.bugs import (
    EVALUATION_ORDER,
    Bugs,
    bug_combinations,
    comparisons_won,
    effective_images,
    published_divergence,
    published_divergence_reduction,
    published_divisor,
    rank_agreement,
    reestimate_statistics,
    sensitivity_with_bugs,
    smoothing_confound,
    without_divisor_bug,
)
from idlib.audit.findings import AUDIT, derived_numbers, repeated_pairs
from idlib.method.losses import cross_entropy, x_divergence
from idlib.method.schedules import adaptive_alpha
from idlib.report.conditions import Condition
from idlib.report.metrics import NLL, STD_NORMALIZED
from idlib.report.tasks.images import IMAGES
from idlib.sensitivity.first_order import parameter_sensitivity


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    layers = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    return nn.Sequential(*layers)


def loss(model: nn.Module, batch: tuple) -> torch.Tensor:
    return cross_entropy(model(batch[0]), batch[1]).mean()


@pytest.fixture
def models() -> dict[str, nn.Module]:
    return {f"model {seed}": network(seed) for seed in range(3)}


@pytest.fixture
def batches() -> list[tuple]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(5, 6, generator=generator), torch.randint(3, (5,), generator=generator))
        for _ in range(4)
    ]


def right(model: nn.Module, batches: list[tuple]) -> tuple[float, float]:
    measured = parameter_sensitivity(model, batches, loss)
    return measured.std, measured.std_normalized


# --- sensitivity: A12, A13, A14 --------------------------------------------------------------


def spreads(bugs: Bugs, models: dict, batches: list) -> dict:
    return sensitivity_with_bugs({"": bugs}, models, batches, loss)[""]


def test_without_bugs_it_is_the_right_sensitivity(models, batches) -> None:
    found = spreads(Bugs(), models, batches)
    assert list(found) == list(models)
    for name, model in models.items():
        assert found[name] == pytest.approx(right(model, batches), rel=1e-6)


def test_each_bug_moves_the_figure_and_leaves_the_models(models, batches) -> None:
    before = copy.deepcopy({name: model.state_dict() for name, model in models.items()})
    found = sensitivity_with_bugs(bug_combinations(len(batches) / 4), models, batches, loss)
    first, *others = found
    assert (first, others) == ("right", ["A12 alone", "A13 alone", "A14 alone", "published"])
    for bug in others:
        assert found[bug]["model 1"].std != pytest.approx(found["right"]["model 1"].std, rel=1e-3)
    for name, model in models.items():
        assert model.training and all(p.grad is None for p in model.parameters())
        torch.testing.assert_close(model.state_dict(), before[name], rtol=0, atol=0)


def test_first_model_parameters_spare_the_first_and_identical_models(models, batches) -> None:
    a12 = Bugs(first_model_parameters=True)
    found = spreads(a12, models, batches)
    assert found["model 0"] == pytest.approx(right(models["model 0"], batches), rel=1e-6)
    same = {"a": models["model 2"], "b": copy.deepcopy(models["model 2"])}
    found = spreads(a12, same, batches)
    assert found["a"] == found["b"] == pytest.approx(right(same["a"], batches), rel=1e-6)


def test_accumulation_by_hand() -> None:
    # Loss of (2, -1)·x is its value: gradients are the inputs, (1, 3) and then (2, 1).
    model = nn.Linear(2, 1, bias=False)
    model.weight.data = torch.tensor([[2.0, -1.0]])
    batches = [torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 1.0]])]  # losses 1 and 3
    bugs = {"A13": Bugs(accumulate=True)}
    found = sensitivity_with_bugs(bugs, {"m": model}, batches, lambda m, x: m(x).mean())
    # Running gradients (1, 1) and (3, 2), times θ: (2, 1) and (6, 2), in the mean (4, 1.5).
    # Running losses 1 and 4: (2, 1) and (1.5, 0.5), in the mean (1.75, 0.75).
    assert found["A13"]["m"] == pytest.approx(((4 - 1.5) / 2, (1.75 - 0.75) / 2))


def test_divisor_is_a_factor_of_four(models, batches) -> None:
    groups = 3000 / 60
    assert published_divisor(3000) == 12.5 and without_divisor_bug(groups) == 12.5
    correct, a14 = (
        spreads(Bugs(divisor=divisor), models, batches) for divisor in (None, len(batches) / 4)
    )
    for name in models:
        assert a14[name] == pytest.approx([4 * x for x in correct[name]])


def test_what_cannot_be_evaluated_is_refused(models, batches) -> None:
    for some_models, some_batches in (({}, batches), (models, [])):
        with pytest.raises(ValueError, match="at least one model and one batch"):
            spreads(Bugs(), some_models, some_batches)
    with pytest.raises(ValueError, match="one architecture"):
        spreads(Bugs(), models | {"other": nn.Linear(6, 3)}, batches)


def test_orders_are_compared() -> None:
    assert rank_agreement([1, 2, 3, 4], [10, 20, 30, 40]) == {
        "kendall": pytest.approx(1),
        "spearman": pytest.approx(1),
        "reversed": 0,
    }
    turned = rank_agreement([2, 1, 3, 4], [10, 20, 30, 40])
    assert turned["reversed"] == 1 and turned["kendall"] == pytest.approx(2 / 3)
    won = comparisons_won(IMAGES.earlier_report["sensitivity/std"])
    assert won == {"id": 1, "student": 1}  # the report: contradicted in three of four each
    assert comparisons_won(IMAGES.earlier_report[STD_NORMALIZED.key]) == {"id": 3, "student": 4}


# --- training: A2, A4, A5, A11 ---------------------------------------------------------------


def test_alpha_of_the_text_starts_in_the_millions() -> None:
    text = adaptive_alpha(1, 4000, 5.0, p=10, q=5, allow_inverted=True)
    assert text == pytest.approx(5.5e6, rel=0.01)
    assert adaptive_alpha(1, 4000, 5.0, p=5, q=10) < 1e-6


def test_summed_divergence_makes_alpha_four_times_as_large() -> None:
    logits = torch.randn(3, 60, 10, generator=torch.Generator().manual_seed(0))
    found = published_divergence_reduction(logits, alpha=5.0)
    assert found["right"] == pytest.approx(float(x_divergence(logits).mean()), rel=1e-5)
    assert found["ratio"] == pytest.approx(4)
    assert found["effective_alpha"] == pytest.approx(20)
    one = published_divergence_reduction(logits, micro_batch=1)
    assert one["ratio"] == pytest.approx(1)
    with pytest.raises(ValueError, match="58 images do not fill micro-batches of 4"):
        published_divergence(logits[:, :58])


def test_summed_divergence_has_four_times_the_gradient() -> None:
    z = torch.randn(3, 8, 5, dtype=torch.float64, requires_grad=True)
    (published,) = torch.autograd.grad(published_divergence(z), z)
    (averaged,) = torch.autograd.grad(x_divergence(z).mean(), z)
    torch.testing.assert_close(published, 4 * averaged)


def test_running_statistics_by_hand() -> None:
    model = nn.Sequential(nn.BatchNorm1d(1), nn.Dropout(0.5)).eval()
    batch = torch.tensor([[0.0], [2.0]])  # mean 1, unbiased variance 2
    once = reestimate_statistics(model, [batch], lambda m, x: m(x), updates_per_batch=1)
    thrice = reestimate_statistics(model, [batch], lambda m, x: m(x), updates_per_batch=3)
    assert once[0].running_mean.item() == pytest.approx(0.1)
    assert thrice[0].running_mean.item() == pytest.approx(1 - 0.9**3)
    assert thrice[0].running_var.item() == pytest.approx(2 - 0.9**3)
    assert model[0].running_mean.item() == 0 and not model.training and not once.training
    with pytest.raises(ValueError, match="no batch norm"):
        reestimate_statistics(nn.Linear(1, 1), [batch], lambda m, x: m(x))


def test_reestimation_is_seeded_and_leaves_the_generator(models, batches) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    inputs = [x for x, _ in batches]
    deep = nn.Sequential(nn.Dropout(0.5), models["model 0"])  # what batch norm sees is random
    first, again = (reestimate_statistics(deep, inputs, lambda m, x: m(x)) for _ in range(2))
    other = reestimate_statistics(deep, inputs, lambda m, x: m(x), seed=1)
    torch.testing.assert_close(torch.rand(2), expected)
    torch.testing.assert_close(first.state_dict(), again.state_dict(), rtol=0, atol=0)
    assert not torch.equal(first[1][1].running_mean, other[1][1].running_mean)
    assert torch.equal(first[1][0].weight, models["model 0"][0].weight)


def test_remembered_images_of_one_batch() -> None:
    assert effective_images(60, 1, momentum=1.0) == 60  # only the last batch counts
    assert effective_images(4, 3) < 30 < 1000 < effective_images(60, 1)


def record(method: str, round_: int, smoothing: float, seed: int, nll: float):
    cell = Condition(method, round_, smoothing)
    return made_up_record(cell, seed, "small", {"test/nll": nll})


def test_confound_of_smoothing() -> None:
    nll = {("baseline", 0.0): 0.50, ("baseline", 0.1): 0.46, ("id", 0.0): 0.47, ("id", 0.1): 0.45}
    records = [
        record(method, 0, s, seed, value + seed / 100)
        for seed in (1, 2)
        for (method, s), value in nll.items()
    ]
    records.append(record("id", 0, 0.0, 3, 9.0))  # a seed that the others lack
    records.append(record("id", 1, 0.0, 1, 9.0))  # a round that is not complete
    (row,) = smoothing_confound(records)
    assert row == {
        "round": 0,
        "seeds": 2,
        "as compared": pytest.approx(0.05),
        "matched, s = 0": pytest.approx(0.03),
        "matched, s = 0.1": pytest.approx(0.01),
        "smoothing alone": pytest.approx(0.04),
    }


# --- the findings ----------------------------------------------------------------------------


def test_all_findings_are_there_once() -> None:
    assert [finding.id for finding in AUDIT] == [f"A{number}" for number in range(1, 23)]
    assert all(field for finding in AUDIT for field in finding)


def test_models_stand_in_the_order_of_the_published_evaluation() -> None:
    assert len(set(EVALUATION_ORDER)) == 8
    assert EVALUATION_ORDER[0] == Condition("id", 0, 0.0)
    assert set(EVALUATION_ORDER) == set(IMAGES.earlier_report[NLL.key])


def test_derived_figures_of_the_report() -> None:
    figures = derived_numbers(
        IMAGES.earlier_report[NLL.key], IMAGES.earlier_report[STD_NORMALIZED.key]
    )
    wrong = {figure.printed: figure.rounded for figure in figures if not figure.agrees}
    assert wrong == {
        "0.098": "0.089",
        "1.28": "1.29",
        "1.06": "1.07",
        "4.10": "4.11",
        "66.33": "66.29",
    }
    mean_gain = next(figure for figure in figures if "mean gain" in figure.what)
    assert mean_gain.printed == "0.098" and mean_gain.agrees
    assert mean_gain.computed == pytest.approx(0.098)


def test_repeated_runs_of_the_report() -> None:
    pairs = repeated_pairs(IMAGES.earlier_report[NLL.key])
    assert pairs["baseline teacher"] == (0.565, 0.659)
    assert pairs["baseline student"] == (0.657, 0.584)
    assert pairs["ID teacher"] == (0.480, 0.495)
