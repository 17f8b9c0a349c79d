"""The audit's effects on numbers of ours, and the ranking of all models against all."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
import torch
from made_up.records import made_up_record, record
from torch import nn

from idlib.audit.findings import AUDIT
from idlib.explain.audit import batch_norm, effects, measured, ranking
from idlib.explain.audit.sources import (
    Sources,
    difference,
    read_sources,
    written,
)
from idlib.metrics.names import at
from idlib.protocol import read
from idlib.records import Record
from idlib.report.conditions import Condition
from idlib.report.metrics import NLL

PAGE = {name: "measured" for name in ("A5", "A9", "A11", "A12", "A13", "A14", "A16", "A21")}


def runs(values: dict[int, float], key: str = "test/nll", **more: float) -> dict[int, Record]:
    return {
        seed: made_up_record(Condition("id", 0, 0.0), seed, "medium", {key: value, **more})
        for seed, value in values.items()
    }


LEVELS = {  # cell: test NLL of seeds 1 and 2
    "baseline": (0.50, 0.52),
    "baseline smoothed": (0.51, 0.55),
    "id": (0.46, 0.50),
    "id smoothed": (0.49, 0.51),
    "baseline student": (0.48, 0.51),
    "baseline smoothed student": (0.47, 0.48),
}
CELLS = {
    cell: {
        seed: made_up_record(
            Condition("id", 0, 0.0),
            seed,
            "medium",
            {"test/nll": nll, "test/nll@loss": nll, "test/nll@last": nll + 0.03},
            {"validation/step": [8.0, 15.0, 16.0], "validation/nll": [2.0, 1.0 + late, 1.5]},
        )
        for seed, nll, late in zip((1, 2), pair, (0.0, 0.6), strict=True)  # chosen last: seed 2
    }
    for cell, pair in LEVELS.items()
}


def test_a_difference_is_taken_seed_by_seed() -> None:
    cells = {"a": runs({1: 1.0, 2: 3.0, 3: 9.0}), "b": runs({2: 1.0, 1: 0.5})}
    found = difference(cells, {"a": 1.0, "b": -2.0}, "test/nll")
    assert found is not None and found[0] == pytest.approx(0.5) and found.n == 2
    assert difference(cells, {"a": 1.0, "c": -1.0}, "test/nll") is None
    assert written(NLL, None) == "–"
    one = difference(cells, {"a": 1.0, "b": 0.0}, "test/nll")
    assert written(NLL, one).endswith(", 2 seeds)")
    assert "(1 seed)" in written(NLL, difference({"a": runs({1: 1.0})}, {"a": 1.0}, "test/nll"))


def test_every_finding_has_an_effect_or_says_why_not() -> None:
    found = effects.effects(Sources(images=CELLS), PAGE)
    assert list(found) == [one.id for one in AUDIT]
    assert found["A1"].endswith("+0.020 nats (−0.107 to +0.147, 2 seeds)")  # 0.01 and 0.03
    assert "+0.020 nats (−0.107 to +0.147" in found["A2"]  # 0.03 and 0.01
    assert found["A7"].count("+0.030 nats") == 2
    assert "5.5e+06" in found["A4"] and "9.1e-07" in found["A4"]
    assert found["A22"].endswith("SacreBLEU is –") and found["A18"].count("–") == 2
    assert {name: found[name] for name in PAGE} == PAGE
    assert found["A3"].startswith("the teacher has 83 % of a student's target instead of 50 %")
    assert "divergence weighs 0.33 times" in found["A3"]  # 2 in 2 of the loss, and 2 in 6
    assert found["A8"].startswith("2 of our 4 students of images are chosen in the last 6.25 %")
    assert (
        found["A15"]
        == "ID over baseline in peak memory is 1.4 as printed, 3.2 by the report's logs"
    )
    assert found["A20"] == "–"
    assert effects.summary(found).startswith("For 20 of 22 findings there is a number")
    assert "For A6, A17 there is none" in effects.summary(found)
    assert effects.summary({"A1": "0.1"}) == (
        "For all 1 findings there is a number: of ours, or by their formula."
    )
    header, _, *rows = effects.table(found, {"A5"}, "this build, seed 1").splitlines()
    assert len(rows) == len(AUDIT) and "effect on a number of ours" in header
    of_build = [one.id for one, row in zip(AUDIT, rows, strict=True) if "this build, seed 1" in row]
    assert of_build == ["A5"]
    assert all(found[one.id] in row for one, row in zip(AUDIT, rows, strict=True))


def test_selection_and_languages_are_read_by_their_names() -> None:
    bleu = {
        cell: {
            11: made_up_record(
                Condition("id", 0, 0.1),
                11,
                "medium",
                {"test/bleu": best, "test/bleu@loss": loss, "test/bleu@last": last},
            )
        }
        for cell, best, loss, last in (("baseline", 20.0, 16.0, 20.5), ("id", 20.5, 19.0, 20.0))
    }
    f1 = {
        cell: runs({1: others}, "test/f1/others", **{"test/f1/en": english})
        for cell, others, english in (("baseline", 0.5, 0.8), ("id", 0.52, 0.79))
    }
    found = effects.effects(Sources(translation=bleu, tagging=f1), PAGE)
    assert found["A22"].endswith(
        "+0.50 points (1 seed) at the best validation score, +3.00 points (1 seed) at the "
        "lowest validation loss, −0.50 points (1 seed) at the last update"
    )
    assert (
        "−1.00 points (1 seed) in English and +2.00 points (1 seed) in the others" in (found["A18"])
    )


def test_runs_on_other_processors_are_no_pair() -> None:
    other = runs({1: 1.0, 2: 1.0})
    origin = other[1].origin.model_copy(update={"device": "another"})
    cells = {
        "a": runs({1: 3.0, 2: 3.5}),
        "b": {**other, 1: other[1].model_copy(update={"origin": origin})},
    }
    found = difference(cells, {"a": 1.0, "b": -1.0}, "test/nll")
    assert found is not None and (found.mean, found.n) == (2.5, 1)
    assert list(ranking.values(cells).index) == [2]


def test_memory_and_sums_are_those_of_the_records() -> None:
    translated = {
        cell: {11: record("translation", Condition(cell, 0, 0.1), 11, peak_memory_bytes=size)}
        for cell, size in (("baseline", 10), ("id", 25))
    }
    found = effects.effects(Sources(translation=translated), PAGE)
    assert found["A15"].endswith("logs, 2.5 in our runs of translation (1 seed)")
    of_task = {
        task: record(task, Condition("id", 0, 0.0), batch_size=8, max_length=128)
        for task in ("tagging", "answering", "classification")
    }
    counts = {task: effects.summed_positions(one) for task, one in of_task.items()}
    assert counts == {"tagging": 1024, "answering": 16, "classification": 8}
    told = effects.effects(Sources(encoders=of_task), PAGE)["A20"]
    assert "1,024 (tagging), 16 (answering), 8 (classification)" in told


def test_a_smoothed_loss_is_no_nll() -> None:
    class Two:
        def predictions(self, model, split):
            assert split == "validation"
            labels = torch.zeros(2, dtype=torch.int64)
            yield [0, 1], {"label": labels}, model(torch.zeros(2, 2))

    flat = nn.Identity()  # p = 1/2: both losses are 1 bit

    def sure(z: torch.Tensor) -> torch.Tensor:  # p = 3/4: 0.415 bits; smoothed 0.05 of 2 bits
        return z + torch.tensor([3.0, 1.0]).log()

    smoothed, plain = measured.smoothed_gap(flat, sure, Two())
    assert plain == pytest.approx(1 - np.log2(4 / 3))
    assert smoothed == pytest.approx(1 - 0.95 * np.log2(4 / 3) - 0.05 * 2)


def test_a_second_round_is_compared_with_the_first() -> None:
    records = [
        made_up_record(Condition(method, round_, s), seed, "medium", {"test/nll": value})
        for method, round_, s, seed, value in (
            ("baseline", 1, 0.0, 1, 0.50),
            ("baseline", 2, 0.0, 1, 0.48),
            ("baseline", 2, 0.1, 1, 9.0),
            ("id", 2, 0.0, 1, 9.0),
        )
    ]
    found = effects.effects(Sources(second_rounds=records), PAGE)
    assert "by −0.020 nats (1 seed)" in found["A10"]


def test_a_teacher_that_is_the_student_adds_nothing() -> None:
    assert measured.own_teacher_gradient() < 1e-15


def test_adamw_hides_larger_gradients_and_sgd_would_not() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1))
    batches = [{"x": torch.randn(16, 4), "y": torch.randn(16, 1)} for _ in range(5)]

    def loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return nn.functional.mse_loss(model(batch["x"]), batch["y"])

    before = [p.clone() for p in model.parameters()]
    assert 0 < measured.scaled_gradients(model, batches, loss) < 1e-3
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert model.training and all(p.grad is None for p in model.parameters())
    nearly_nothing = measured.scaled_gradients(model, batches, lambda m, b: 1e-9 * loss(m, b))
    assert nearly_nothing > 0.1  # gradients of about eps are told apart


def test_what_the_page_measures_is_told_by_finding() -> None:
    reductions = pd.DataFrame({"ratio": [4.0, 4.0], "effective α for α = 5": [20.0, 20.0]})
    statistics = pd.DataFrame(
        [
            ("a", batch_norm.AS_PUBLISHED, 0, 0.5),
            ("a", batch_norm.AS_PUBLISHED, 1, 0.7),
            ("a", batch_norm.AS_OURS, 0, 0.4),
        ],
        columns=["weights", "statistics", "order", "nll"],
    )
    index = [("raw", "right"), ("raw", "A12 alone"), ("normalised", "A12 alone")]
    orders = pd.DataFrame({"pairs reversed": [0, 7, 3]}, index=pd.MultiIndex.from_tuples(index))
    found = measured.of_models(reductions, statistics, orders, 0.01, (0.3, -0.2))
    assert found["A5"] == "effective α for α = 5 is 20.0"
    assert "by 1 % of their way" in found["A9"] and "+0.200 nats (a)" in found["A11"]
    assert "+0.300 bits apart by the smoothed loss and −0.200 by the NLL" in found["A16"]
    assert found["A12"] == "of 28 pairs of our models it turns round 7 (raw) and 3 (normalised)"


def test_sources_are_registered_runs_once_there_are_enough() -> None:
    protocol = read()
    sources, kinds = read_sources(protocol, {})
    assert set(kinds.values()) == {"earlier evidence"}
    assert tuple(sources.rules) == ("loss",) and len(sources.encoders) == 3
    assert len(sources.images["id"]) == 5 and len(sources.tagging["id"]) == 5
    cells = protocol.studies["images"].cells
    lines = [line for line in protocol.lines.values() if line.study == "images"]
    metrics = {at(line.metric, line.selection): 0.5 for line in lines}
    every = {cell: runs(dict.fromkeys(range(11, 16), 0.5), **metrics) for cell in cells}
    sources, kinds = read_sources(protocol, {"images": every})
    assert kinds["images"] == "registered runs" and sources.images is every
    del every["compute"][15]
    assert read_sources(protocol, {"images": every})[1]["images"] == "registered runs"
    del every["id"][15]
    assert read_sources(protocol, {"images": every})[1]["images"] == "earlier evidence"


# ---- all against all

FOUND = ranking.values(CELLS)


def test_ranks_are_within_a_seed_and_averaged() -> None:
    assert list(FOUND.index) == [1, 2] and set(FOUND) == set(LEVELS)
    table = ranking.ranks(FOUND)
    # seed 1: id .46, bss .47, bs .48, ids .49, b .50, bsm .51; seed 2: bss .48, id .50, ...
    assert table.loc["id", "rank"] == 1.5 and table.loc["baseline smoothed student", "rank"] == 1.5
    assert list(table.loc["id"]) == [1.5, 1.0, 2.0]
    assert list(table["rank"]) == sorted(table["rank"])
    written = ranking.ranks_written(FOUND)
    assert list(written.loc["id"]) == ["1.5", "1.0 to 2.0", "0.480"]
    short = {**CELLS, "passes": runs({1: 0.5})}
    assert list(ranking.values(short).index) == [1]


def test_one_seed_misleads_as_often_as_it_disagrees_with_the_mean() -> None:
    found = pd.DataFrame({"a": [0.0, 0.0, 0.0, 0.0], "b": [1.0, 1.0, 1.0, -1.0]})
    assert "Over 4 seeds and 1 pair of ways" in ranking.one_seed(found)
    assert "wrongly in 25 %" in ranking.one_seed(found)
    assert "for 1 pair in a fifth" in ranking.one_seed(found)


def test_every_pair_has_its_difference_and_the_seeds_that_reverse_it() -> None:
    found = pd.DataFrame({"a": [0.0, 0.0], "b": [1.0, 1.5], "c": [2.0, 1.0]}, index=[1, 2])
    table = ranking.pairs_written(found)
    assert list(table["compared"]) == ["c minus a", "b minus a", "c minus b"]
    assert list(table["seeds reversed"]) == ["0 of 2", "0 of 2", "1 of 2"]
    assert table.loc[1, "test NLL (nats)"].startswith("+1.250 nats (") and len(table.columns) == 3
    # 0.25 is the mean of 1 and −0.5; Student's t of one degree of freedom is 12.7062
    assert f"(−{12.7062 * 0.75 - 0.25:.3f} to" in table.loc[2, "test NLL (nats)"]
    assert ranking.pairs_written(found.iloc[:0, :1]).empty


def test_reversals_stand_beside_the_reports() -> None:
    table = ranking.reversals(CELLS, [NLL], ranking.stated())
    assert list(table["compared"]) == [
        "ID minus baseline student",
        "ID smoothed minus baseline smoothed student",
    ]
    assert table.loc[0, "ours"].startswith("−0.015 nats") and table.loc[0, "earlier report"] == (
        f"{0.480 - 0.657:+.3f}".replace("-", "−")
    )
    assert table.loc[1, "earlier report"] == "−0.089"
    assert ranking.reversals({"id": CELLS["id"]}, [NLL]).empty


def test_the_reports_order_is_counted_in_pairs() -> None:
    cells = {name: runs({1: 0.4, 2: 0.41}) for name in ranking.REPORTED["id"]}
    cells |= {name: runs({1: 0.5, 2: 0.52}) for name in ranking.REPORTED["baseline"]}
    # −0.10 and −0.11: half of the interval is 12.7 × 0.005
    assert ranking.order_of_report(cells) == {"better": 16, "worse": 0, "open": 0, "unknown": 0}
    cells["id"] = runs({1: 0.6, 2: 0.62})  # +0.10 twice
    cells["id student"] = runs({1: 0.4, 2: 0.7})
    cells["id smoothed"] = runs({1: 0.4})
    assert ranking.order_of_report(cells) == {"better": 4, "worse": 4, "open": 4, "unknown": 4}


def test_nothing_is_ranked_without_a_shared_seed() -> None:
    found = ranking.values({"a": runs({1: 0.1}), "b": runs({2: 0.1}), "c": {}})
    assert found.empty and list(found) == ["a", "b"]
    assert ranking.ranks_written(found).empty
    assert ranking.one_seed(found) == "There is no seed that every way to train has."
    assert ranking.values({}).empty
    ranking.differences_figure(found)
    single = ranking.ranks_written(ranking.values({"a": runs({1: 0.1}), "b": runs({1: 0.2})}))
    assert list(single["95 % interval"]) == ["–", "–"]


def test_the_figure_marks_what_is_open() -> None:
    figure = ranking.differences_figure(FOUND)
    (ax,) = figure.axes
    order = list(ranking.ranks(FOUND).index)
    assert [label.get_text() for label in ax.get_yticklabels()] == order[1:]
    assert [label.get_text() for label in ax.get_xticklabels()] == order[:-1]
    texts = {text.get_text() for text in ax.texts}
    apart = FOUND["baseline"] - FOUND["id"]
    number = f"{1000 * apart.mean():.0f}"
    assert f"({number})" in texts or number in texts
    assert np.count_nonzero([bool(t) for t in texts]) > 1
