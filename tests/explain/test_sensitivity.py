"""The sensitivity page measures what it says, here on a small image model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors
from matplotlib import pyplot as plt

from idlib.experiments.specs import Spec
from idlib.explain.sensitivity import (
    CHANNELS,
    RANDOM,
    Prepared,
    Sizes,
    agreement,
    agreement_figure,
    glued,
    measure,
    prepare,
    sizes,
    touched,
    within_layers,
)
from idlib.report.figures.style import PALETTE
from idlib.sensitivity.exact import exact_sensitivity
from idlib.sensitivity.first_order import group_sensitivity

FEW = {"examples": {"train": 8, "validation": 4, "test": 4}, "batch_size": 4, "warmup": 1}
SPEC = Spec("images", "id", "smoke", "embedded", 1, {**FEW, "sensitivity_batch": 4})


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(SPEC, Sizes(channels=3, random_sets=2, batches=1), set_size=9)


def rows(exact, first_order, model="baseline", layer="a", sets=CHANNELS) -> pd.DataFrame:
    table = pd.DataFrame({"exact": exact, "first order": first_order}, dtype=float)
    return table.assign(task="images", model=model, layer=layer, sets=sets)


def test_sizes_are_the_profiles_where_none_is_asked_for() -> None:
    smoke, small = sizes("smoke"), sizes("small")
    assert all(fewer < more for fewer, more in zip(smoke, small, strict=True))
    assert sizes("small", channels=1) == small._replace(channels=1)
    assert sizes("smoke", random_sets=5, batches=6) == smoke._replace(random_sets=5, batches=6)


def test_what_is_measured_spans_the_model(prepared: Prepared) -> None:
    names = list(prepared.sets[CHANNELS])
    assert len(names) == 3 and len(prepared.batches) == 1
    assert names[0] == "conv1.weight[0]" and names[-1] == "fc.weight[9]"
    for parts in prepared.sets[RANDOM].values():
        assert sum(len(indices) for _, indices in parts) == 9
    assert len(prepared.sets[RANDOM]) == 2


def test_too_large_sets_are_refused_before_training() -> None:
    with pytest.raises(ValueError, match="of 10000000 parameters cannot be drawn"):
        prepare(SPEC, Sizes(1, 1, 1), set_size=10_000_000)


def test_both_figures_of_every_set_are_measured(prepared: Prepared) -> None:
    task = prepared.task
    model = task.model()
    table = measure(prepared, model)
    assert list(table["sets"]) == [CHANNELS] * 3 + [RANDOM] * 2
    assert list(table["layer"]) == ["stem", "layer4", "head", "all", "all"]
    assert set(table["model"]) == {"intra-distillation"} and set(table["task"]) == {"images"}
    for kind, groups in prepared.sets.items():
        part, given = table[table["sets"] == kind], (groups, prepared.batches, task.loss)
        assert list(part["exact"]) == list(exact_sensitivity(model, *given).values())
        assert list(part["first order"]) == list(group_sensitivity(model, *given).values())


def test_sets_that_no_batch_depends_on_are_left_out() -> None:
    kept = touched(rows([0, 0, 1, 2], [0, 1, 0, 2]))
    assert list(kept.index) == [1, 2, 3]


def test_agreement_tells_ranks_and_factor() -> None:
    table = rows([1, 2, 3, 4, 0], [2, 4, 6, 8, 1])
    double = agreement(table.iloc[:4]).iloc[0]
    assert double["number"] == 4 and double["rank correlation"] == pytest.approx(1)
    assert double["median exact"] == 2.5 and double["median first order"] == 5
    assert double["median factor"] == 2 and double["middle half"] == "2.00 to 2.00"
    infinite = agreement(table).iloc[0]  # first order over an exact figure of 0
    assert infinite["number"] == 5 and infinite["median factor"] == 2
    assert infinite["rank correlation"] < 1
    spread = agreement(rows([1, 2, 3], [1, 4, 9])).iloc[0]  # by factors of 1, 2 and 3
    assert spread["middle half"] == "1.50 to 2.50"


def test_agreement_has_a_row_for_each_model_and_kind() -> None:
    several = [rows([1, 2], [1, 2], model) for model in ("baseline", "other")]
    several.append(rows([1, 2], [2, 1], sets=RANDOM))
    found = agreement(pd.concat(several, ignore_index=True))
    assert list(found["model"]) == ["baseline", "other", "baseline"]
    assert list(found["rank correlation"]) == pytest.approx([1, 1, -1])


def test_every_set_above_zero_is_a_point_in_its_models_colour() -> None:
    table = rows([1, 2, 3, 0], [2, 3, 4, 1], "intra-distillation")
    (axes,) = (figure := agreement_figure(table)).axes
    drawn = np.concatenate([dots.get_offsets() for dots in axes.collections])
    assert sorted(map(tuple, drawn)) == [(1, 2), (2, 3), (3, 4)]
    shade = axes.collections[0].get_facecolors()[0, :3]
    np.testing.assert_allclose(shade, colors.to_rgb(PALETTE["intra-distillation"]))
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert not plt.fignum_exists(figure.number)


def test_layers_are_compared_on_channels_alone() -> None:
    parts = [
        rows([1, 2, 3], [1, 2, 3], layer="stem"),
        rows([1, 2, 3], [3, 2, 1], layer="head"),
        rows([1, 2, 3], [3, 2, 1], layer="all", sets=RANDOM),
    ]
    found = within_layers(pd.concat(parts, ignore_index=True))
    assert list(found.index) == [("images", "stem"), ("images", "head")]
    assert list(found["baseline"]) == [1, -1]


def test_the_prose_takes_range_and_number() -> None:
    both = [rows([1, 2, 3], [1, 2, 3]), rows([1, 2, 3], [1, 3, 2], sets=RANDOM)]
    table = pd.concat(both, ignore_index=True)
    found = glued(table, agreement(table), Spec("images", "id", "smoke", "embedded", 3))
    assert found == {
        "sensitivity_models": "profile smoke, source embedded, seed 3",
        "sensitivity_rank_correlation": "0.50 to 1.00",
        "sensitivity_sets": "6",
    }
