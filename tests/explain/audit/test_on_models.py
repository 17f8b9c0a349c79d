"""The audit page applies the bugs to models, and tells what came out in numbers and sentences."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from made_up.records import made_up_record
from matplotlib import pyplot as plt
from torch import nn

from idlib.audit import bugs
from idlib.audit.bugs import EVALUATION_ORDER, Spread
from idlib.audit.findings import AUDIT, Derived, derived_numbers
from idlib.experiments.specs import Spec
from idlib.explain.audit import (
    answer,
    arithmetic,
    batch_norm,
    loss,
    runs,
    sensitivity,
    smoothing,
)
from idlib.method.losses import x_divergence
from idlib.report.conditions import Condition
from idlib.report.metrics import NLL, STD_NORMALIZED
from idlib.report.tasks.images import IMAGES

FEW = {"train": 16, "validation": 4, "test": 8}
SPEC = Spec("images", "id", "smoke", "embedded", 1, {"examples": FEW, "warmup": 1})
LABELS = [cell.full_label for cell in EVALUATION_ORDER]
STATED = IMAGES.earlier_report
PRINTED = derived_numbers(STATED[NLL.key], STATED[STD_NORMALIZED.key])


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {label: SPEC.plan.task.model().eval() for label in LABELS}


def spreads(published: float = 3.0) -> dict[str, dict[str, Spread]]:
    """The right figures rise from model to model; A14's are 4 times those, A12's fall."""
    values = np.arange(1.0, 9.0)
    found = {"right": values, "A14 alone": 4 * values, "published": published - values}
    return {
        bug: {label: Spread(x / 1000, 1.0) for label, x in zip(LABELS, found, strict=True)}
        for bug, found in found.items()
    }


def test_every_finding_is_a_row() -> None:
    header, _, *rows = answer.findings_table().splitlines()
    assert [cell.strip() for cell in header.split("|")[2:-1]] == [
        "where",
        "the text says",
        "the code does",
        "consequence",
    ]
    assert len(rows) == len(AUDIT)
    for row, finding in zip(rows, AUDIT, strict=True):
        shown = [cell.strip() for cell in row.split("|")[1:-1]]
        assert shown == [f"**{finding.id}**", *finding[1:]]


def test_eight_models_of_each_seed_are_asked_for() -> None:
    specs = runs.eight_models("smoke", "embedded", [1, 2], {"train": 5})
    assert list(specs) == [(seed, cell) for seed in (1, 2) for cell in EVALUATION_ORDER]
    spec = specs[2, Condition("baseline", 1, 0.1)]
    assert (spec.task, spec.method, spec.profile, spec.seed) == ("images", "baseline", "smoke", 2)
    assert spec.overrides == {"round": 1, "smoothing": 0.1, "examples": {"train": 5}}


# --- sensitivity -----------------------------------------------------------------------------


def test_what_is_measured_on_is_told() -> None:
    batches = [{"label": torch.zeros(1000)}, {"label": torch.zeros(500)}]
    assert sensitivity.measured_on(SPEC, batches, 12.5) == (
        "Here: 1,500 training images in 2 batches of 60, published divisor 12.5; seed 1, profile "
        "`smoke`, source `embedded`."
    )
    other = dataclasses.replace(SPEC, seed=3)
    assert "1,000 training images in 1 batches" in sensitivity.measured_on(other, batches[:1], 1)
    assert "seed 3" in sensitivity.measured_on(other, batches, 1)


def test_spreads_are_shown_times_a_thousand() -> None:
    table = sensitivity.spreads_table(spreads(), "std")
    assert list(table) == ["right", "A14 alone", "published"] and list(table.index) == LABELS
    assert table.loc[LABELS[2]].tolist() == pytest.approx([3, 12, 0])
    assert (sensitivity.spreads_table(spreads(), "std_normalized") == 1000).all(axis=None)


def test_factors_are_over_the_right_figure() -> None:
    tables = {
        name: sensitivity.spreads_table(spreads(9.0), "std") for name in ("raw", "normalised")
    }
    found = sensitivity.factors(tables)
    assert len(found) == 2 * 2 * len(LABELS)
    assert (found.loc[found["evaluation"] == "A14 alone", "factor"] == 4).all()
    last = found.query("evaluation == 'published' and figure == 'raw'").iloc[-1]
    assert last["model"] == LABELS[-1] and last["factor"] == pytest.approx(1 / 8)


def test_factors_are_drawn_as_they_are() -> None:
    tables = {
        name: sensitivity.spreads_table(spreads(9.0), "std") for name in ("raw", "normalised")
    }
    figure = sensitivity.factors_figure(tables)
    assert [axes.get_title() for axes in figure.axes] == [
        "raw sensitivity",
        "normalised sensitivity",
    ]
    drawn = figure.axes[0].collections[0].get_offsets()[:, 0]
    expected = sensitivity.factors({"raw": tables["raw"]})["factor"]
    np.testing.assert_allclose(sorted(drawn), sorted(expected))
    assert not plt.fignum_exists(figure.number)


def test_orders_are_compared_with_the_right_one() -> None:
    table = sensitivity.orders({"raw": sensitivity.spreads_table(spreads(), "std")})
    assert list(table.index) == [("raw", bug) for bug in spreads()]
    scaled, turned = table.loc[("raw", "A14 alone")], table.loc[("raw", "published")]
    assert scaled["Kendall"] == pytest.approx(1) and scaled["pairs reversed"] == 0
    assert turned["Spearman"] == pytest.approx(-1) and turned["pairs reversed"] == 28
    assert scaled["ID lower, of 4"] == 4 and turned["ID lower, of 4"] == 0
    assert scaled["student lower, of 4"] == 0 and turned["student lower, of 4"] == 4


def test_the_order_is_told_for_each_figure() -> None:
    raw = sensitivity.spreads_table(spreads(), "std")
    said = sensitivity.orders_sentence(sensitivity.orders({"raw": raw, "normalised": raw.abs()}))
    assert said.startswith(
        "By the raw figure, the published evaluation turns 28 of 28 pairs of our models round. It "
        "finds ID lower in 0 of 4 pairs where 4 is right, and students lower in 4 where 0 is right."
    )
    assert "By the normalised figure, the published evaluation turns 4 of 28" in said


def test_printed_figures_of_sensitivity_are_corrected() -> None:
    table = sensitivity.without_divisor(
        [Derived("images, std: a", "4.0", 1.0), Derived("NLL: b", "1.0", 1.0)]
    )
    assert table.to_dict("index") == {"std: a": {"as printed": 4.0, "A14 corrected": 1.0}}
    assert len(sensitivity.without_divisor(PRINTED)) == 4


# --- batch norm ------------------------------------------------------------------------------


def test_images_that_statistics_rest_on() -> None:
    found = batch_norm.images_remembered()["effective images"]
    assert found["as published, ID"] == bugs.effective_images(4, 3)
    assert found["as published, ID"] < found["as published, baseline"] < found.iloc[-1]


def test_statistics_are_estimated_anew_and_models_left_alone(models) -> None:
    before = copy.deepcopy({label: model.state_dict() for label, model in models.items()})
    task = SPEC.plan.task
    found = batch_norm.reestimated(models, task, count=2)
    assert len(found) == 2 * (2 * 3 + 1)
    for label, part in found.groupby("weights"):
        (kept,) = part.loc[part["statistics"] == "as trained", "nll"]
        assert kept == task.evaluate(models[label], "test")["nll"]
        assert part["nll"].nunique() == len(part)
    for label, model in models.items():
        torch.testing.assert_close(model.state_dict(), before[label], rtol=0, atol=0)


def test_statistics_as_ours_are_those_of_one_epoch(models) -> None:
    task, label = SPEC.plan.task, batch_norm.BASE_MODELS[0].full_label
    epoch = task.epoch(torch.Generator().manual_seed(0))
    model = bugs.reestimate_statistics(
        models[label], task.batches(epoch), task.loss, updates_per_batch=1, seed=0
    )
    found = batch_norm.reestimated(models, task, count=1).set_index(["weights", "statistics"])
    ours = found.loc[(label, "batches of 60, first pass only"), "nll"]
    assert ours == task.evaluate(model, "test")["nll"]


def test_only_the_last_micro_batches_are_run(models, monkeypatch) -> None:
    whole = batch_norm.reestimated(models, SPEC.plan.task, count=1)
    monkeypatch.setattr(batch_norm, "REMEMBERED", 1)
    last = batch_norm.reestimated(models, SPEC.plan.task, count=1)
    changed = whole.loc[whole["nll"] != last["nll"], "statistics"]
    assert set(changed) == {"as published, ID", "as published, baseline"}


STATISTICS = pd.DataFrame(
    [
        ("baseline", "as published, ID", 0, 0.5),
        ("baseline", "as published, ID", 1, 0.7),
        ("baseline", "batches of 60, first pass only", 0, 0.4),
        ("baseline", "batches of 60, first pass only", 1, 0.41),
        ("baseline", "as trained", 0, 0.3),
    ],
    columns=["weights", "statistics", "order", "nll"],
)


def test_orders_of_an_epoch_are_averaged() -> None:
    row = batch_norm.by_way(STATISTICS).loc[("baseline", "as published, ID")]
    assert row.to_dict() == pytest.approx(
        {"test NLL, mean": 0.6, "test NLL, min": 0.5, "test NLL, max": 0.7}
    )


def test_the_cost_of_the_published_statistics_is_told() -> None:
    said = batch_norm.statistics_sentence(STATISTICS)
    assert "move the test NLL by +0.1950 nats (baseline), in the mean over 2 orders" in said
    assert "by up to 0.2000 nats kept the first way and 0.0100 the second" in said
    lower = STATISTICS.assign(nll=[0.3, 0.3, 0.4, 0.4, 0.3])
    assert "by -0.1000 nats" in batch_norm.statistics_sentence(lower)


# --- the loss --------------------------------------------------------------------------------


def test_summing_over_micro_batches_weighs_four_times(models) -> None:
    task = SPEC.plan.task
    (batch,) = task.batches([list(range(10))])
    before = copy.deepcopy(models[LABELS[0]].state_dict())
    table = loss.reductions(models, task, batch, seed=1)
    assert list(table.index) == LABELS[:4]  # the ID models
    assert list(table["ratio"]) == pytest.approx([4] * 4)
    assert list(table["effective α for α = 5"]) == pytest.approx([20] * 4)
    assert table["X, averaged"].nunique() == 4 and (table["X, averaged"] > 0).all()
    assert not loss.reductions(models, task, batch, seed=2).equals(table)
    part = {name: value[:8] for name, value in batch.items()}  # 10 images fill two micro-batches
    pd.testing.assert_frame_equal(loss.reductions(models, task, part, seed=1), table)
    torch.testing.assert_close(models[LABELS[0]].state_dict(), before, rtol=0, atol=0)
    assert not models[LABELS[0]].training


def test_the_divergence_is_that_of_three_passes_with_dropout(models) -> None:
    task, model = SPEC.plan.task, copy.deepcopy(models[LABELS[0]])
    (batch,) = task.batches([list(range(8))])
    found = loss.reductions(models, task, batch, seed=5).loc[LABELS[0], "X, averaged"]
    torch.manual_seed(5)
    with torch.no_grad():
        logits = torch.stack([model.train()(batch["image"]) for _ in range(3)])
    assert found == pytest.approx(float(x_divergence(logits.double()).mean()))


def test_the_first_weights_are_told() -> None:
    weights = pd.DataFrame({"the text": [5e6, 1.0], "the code": [1.5e-7, 1.0]})
    said = loss.first_weights_sentence(weights)
    assert "give a weight of 5,000,000, those of the code 1.5e-07." in said
    assert "give a weight of 1, those" in loss.first_weights_sentence(weights.iloc[1:])


# --- label smoothing -------------------------------------------------------------------------


def records(gain: float = 0.03) -> list:
    nll = {("baseline", 0.0): 0.5, ("baseline", 0.1): 0.46, ("id", 0.0): 0.5 - gain}
    nll["id", 0.1] = 0.45
    return [
        made_up_record(Condition(method, round_, s), seed, "small", {NLL.key: value - round_ / 10})
        for seed in (1, 2)
        for round_ in (0, 1)
        for (method, s), value in nll.items()
    ]


def test_comparisons_stand_by_role() -> None:
    table = smoothing.confound(records())
    assert list(table.index) == ["base model", "student"] and list(table["seeds"]) == [2, 2]
    shown = smoothing.written_gains(table)
    assert list(shown["matched, s = 0"]) == ["+0.030", "+0.030"]
    assert shown.loc["base model", "as compared"] == "+0.050" and list(shown["seeds"]) == [2, 2]


def test_the_confounded_gain_is_told() -> None:
    said = smoothing.confound_sentence(smoothing.confound(records()))
    assert "a gain of +0.050 nats. Matched, it is +0.030 at s = 0 and +0.010 at s = 0.1" in said
    assert "the baseline +0.040. Seeds in these means: 2." in said
    assert said.endswith("{doc}`images`.")
    assert "it is −0.020 at s = 0" in smoothing.confound_sentence(
        smoothing.confound(records(-0.02))
    )


def test_models_trained_alike_stand_side_by_side() -> None:
    table = smoothing.repeats()
    assert list(table["test NLL (nats)"].loc["baseline teacher"]) == [0.565, 0.659]
    assert table["std of sensitivity (× 10⁻³)"].loc["ID teacher"].tolist() == pytest.approx(
        [1.61, 2.40]
    )


def test_how_far_they_lie_apart_is_told() -> None:
    said = smoothing.repeats_sentence(PRINTED)
    assert "The two runs of the baseline teacher lie 0.094 nats apart" in said
    assert "where the mean gain of ID is 0.098." in said
    assert "by a factor of up to 6.4 (baseline student)" in said
    other = smoothing.repeats_sentence([Derived("mean gain", "0.2", 0.25)])
    assert "where the mean gain of ID is 0.250." in other


# --- arithmetic ------------------------------------------------------------------------------


def test_derived_figures_are_compared_as_printed() -> None:
    two = [Derived("one", "0.10", 0.1), Derived("two", "0.20", 0.3)]
    _, _, one, other = arithmetic.arithmetic_table(two).splitlines()
    assert [cell.strip() for cell in one.split("|")[1:-1]] == ["one", "0.10", "0.10", "yes"]
    assert [cell.strip() for cell in other.split("|")[1:-1]] == ["two", "0.20", "0.30", "**no**"]
    assert arithmetic.arithmetic_sentence(two).startswith("1 of 2 agree")
    assert arithmetic.arithmetic_sentence(PRINTED).startswith("13 of 18 agree")
