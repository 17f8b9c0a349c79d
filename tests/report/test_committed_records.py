"""The committed records agree with themselves and with each other.

What follows from other numbers of a record, or of records beside it, is computed anew from them:
a run whose schedule, selection, teacher or measures had gone wrong would not fit. Each test goes
through all records and names those that do not.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from idlib.earlier import Group, earlier, manifest
from idlib.experiments.specs import Spec
from idlib.method.schedules import adaptive_alpha, constant, inverse_sqrt, linear_decay
from idlib.metrics import bleu, items
from idlib.metrics.names import LAST, LOSS, at, parted
from idlib.records import MANIFEST, Record, Store, paths
from idlib.report.tasks import REPORTS
from idlib.tasks import TASKS, task_class
from idlib.tasks.tagging import TaggingTask

FOLDER = Path(__file__).resolve().parents[2] / "records"
# Where training is in bf16, so are its evaluations; the test is in fp32, as sensitivity is.
HALF = {"nll": 0.01, "score": 0.03}  # relative, and absolute: three of 115 questions


GROUPS = manifest(FOLDER).groups
GROUP_OF = {name: group for group in GROUPS for name in (*group.grid, *group.sweep)}


@pytest.fixture(scope="module")
def records() -> list[Record]:
    each = {(group.task, group.profile): group for group in GROUPS}
    return [record for key in each for record in earlier(*key, FOLDER, sweep=True)]


def named(record: Record) -> str:
    asked = record.asked
    settings = {name: asked.settings.get(name) for name in ("dataset", "smoothing", "round")}
    told = ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)
    return f"{record.signature} ({asked.task} {asked.method}, seed {asked.seed}, {told})"


def check(wrong: list[tuple[Record, str]]) -> None:
    shown = [f"{named(record)}: {what}" for record, what in wrong[:10]]
    assert not wrong, f"{len(wrong)} disagreements, the first of them:\n" + "\n".join(shown)


def curve(record: Record, name: str) -> np.ndarray:
    return np.array(record.measured.curves[name])


def score_of(record: Record) -> str:
    """The validation metric that selected."""
    return GROUP_OF[record.signature].selected


def selected(record: Record) -> int:
    """The place of the selected evaluation."""
    steps = record.measured.curves["validation/step"]
    return steps.index(record.measured.metrics["selected/step"])


def alike(records: list[Record], *without: str) -> list[dict]:
    """Groups of records that differ in these settings alone, each by their values."""
    groups: dict[str, dict] = defaultdict(dict)
    for record in records:
        asked = record.asked.model_dump(mode="json")
        values = tuple(asked["settings"].pop(name) for name in without)
        groups[json.dumps(asked, sort_keys=True)][values] = record
    return [group for group in groups.values() if len(group) > 1]


def test_there_are_records_of_every_task_and_method(records):
    assert {r.asked.task for r in records} == set(TASKS)
    assert {r.asked.method for r in records} == {"baseline", "id", "passes", "compute"}
    assert len({r.signature for r in records}) == len(records) > 200


def test_the_manifest_lists_each_record_of_an_earlier_revision_once(records):
    """And each is whole, of the group that lists it, and an answer to nothing of today."""
    listed = [name for group in GROUPS for name in (*group.grid, *group.sweep)]
    stored = [record for record, _ in Store(FOLDER, also=()).all()]  # signature and digest hold
    todays = {task: task_class(task).revision for task in TASKS}
    before = [r.signature for r in stored if r.asked.revision < todays[r.asked.task]]
    assert sorted(listed) == sorted(before) == sorted(set(listed))
    assert len(stored) == len(paths(FOLDER)) and FOLDER / MANIFEST not in paths(FOLDER)
    for record in records:
        group, asked = GROUP_OF[record.signature], record.asked
        assert (asked.task, asked.profile, asked.source) == (group.task, group.profile, "embedded")


def test_each_record_says_all_of_its_own_settings(records):
    for record in records:
        asked = record.asked
        told = task_class(asked.task).schema(**asked.settings).model_dump(mode="json")
        assert {name: told[name] for name in asked.settings} == asked.settings
    sweeps = {name for group in GROUPS for name in group.sweep}
    assert {r.asked.task for r in records if r.signature in sweeps} == {"translation", "tagging"}


def test_their_figures_have_todays_names(records):
    for record in records:
        raw = Store(FOLDER, also=()).find(record.signature).measured.metrics
        found, by_loss = record.measured.metrics, score_of(record) == "nll"
        ends = [name.removesuffix("/last") for name in raw if name.endswith("/last")]
        assert len(ends) > 10 and not any(name.endswith("/last") for name in found)
        for name in ends:
            own = name if name in raw else f"{name}/{items.TRAINED_ON}"
            assert found[at(own, LAST)] == raw[f"{name}/last"]
        assert {found[name] == raw[name] for name in raw if name in found} == {True}
        assert found.get(at("test/nll", LOSS)) == (raw["test/nll"] if by_loss else None)


@pytest.mark.slow
@pytest.mark.parametrize("group", [group for group in GROUPS if group.profile == "large"])
def test_records_at_full_size_are_those_of_the_profile(monkeypatch, group: Group):
    """At the revision that they were made at, the present settings ask for them."""
    monkeypatch.setattr(TaggingTask, "revision", 1)
    asked = [
        Spec("tagging", method, "large", "embedded", seed, {}, "cuda").signature
        for method in ("baseline", "id", "passes")
        for seed in range(1, 6)
    ]
    assert sorted(asked) == sorted(group.grid)


# ---- training


def test_updates_and_evaluations_are_as_many_as_were_asked_for(records):
    wrong, epochs = [], defaultdict(set)
    for record in records:
        s, steps = record.asked.settings, curve(record, "train/step")
        every = steps[0] / s["stretch"]  # updates of an epoch
        expected = every * s["stretch"] * np.arange(1, s["epochs"] + 1)
        if len(steps) != s["epochs"] or (steps != expected).any() or every % 1:
            wrong.append((record, f"evaluated after {steps}"))
        if not np.array_equal(steps, curve(record, "validation/step")):
            wrong.append((record, "evaluations and training curves have other steps"))
        data = (record.asked.task, s.get("dataset"), str(s["examples"]))
        epochs[data].add(every)
    check(wrong)
    assert all(len(found) == 1 for found in epochs.values()), "an epoch is one for all methods"


def means_since_the_last_evaluation(record: Record, of_step) -> np.ndarray:
    ends = record.measured.curves["train/step"]
    starts = [0.0, *ends[:-1]]
    return np.array(
        [
            sum(map(of_step, range(int(a) + 1, int(b) + 1))) / (b - a)
            for a, b in zip(starts, ends, strict=True)
        ]
    )


def test_the_weight_of_the_divergence_is_the_adaptive_one_of_the_whole_run(records):
    wrong = []
    for record in records:
        s, updates = record.asked.settings, record.measured.curves["train/step"][-1]
        expected = means_since_the_last_evaluation(
            record,
            lambda n, s=s, N=updates: adaptive_alpha(n, N, s["alpha"], s["p"], s["q"]),
        )
        if not np.allclose(curve(record, "train/alpha"), expected, rtol=1e-12, atol=0):
            wrong.append((record, "train/alpha"))
        if (s["alpha"] > 0) != (record.asked.method == "id"):
            wrong.append((record, f"alpha {s['alpha']}"))
    check(wrong)


def test_the_rate_is_that_of_the_schedule_stretched_with_the_updates(records):
    wrong = []
    for record in records:
        s, total = record.asked.settings, record.measured.curves["train/step"][-1]
        peak, warmup, slower = s["lr_peak"], s["warmup"], s["stretch"]
        rate = {
            "inverse_sqrt": lambda n: inverse_sqrt(n, peak, warmup, s["lr_initial"]),  # noqa: B023
            "linear": lambda n: linear_decay(n, total / slower, peak, warmup),  # noqa: B023
            "constant": lambda n: constant(n, peak),  # noqa: B023
        }[s["schedule"]]
        expected = means_since_the_last_evaluation(record, lambda n: rate(n / slower))  # noqa: B023
        if not np.allclose(curve(record, "train/lr"), expected, rtol=1e-12, atol=0):
            wrong.append((record, "train/lr"))
        if (slower == 3) != (record.asked.method == "compute"):
            wrong.append((record, f"stretched {slower} times"))
    check(wrong)


def test_the_loss_is_the_tasks_and_the_weighted_divergence(records):
    wrong = []
    for record in records:
        s, method = record.asked.settings, record.asked.method
        parts = ("total", "task", "divergence", "alpha")
        total, task, divergence, alpha = (curve(record, f"train/{part}") for part in parts)
        passes = {"baseline": 1, "compute": 1, "id": 3, "passes": 3}[method]
        if s["passes"] != passes or ((divergence > 0) != (passes > 1)).any():
            wrong.append((record, f"divergence {divergence}"))
        added = total - task
        if method != "id":
            if added.any():
                wrong.append((record, "the divergence is in the loss"))
            continue
        most = s["alpha"] * divergence
        # A mean of products lies below the product of the largest weight and the mean.
        if not ((added > 0) & (added <= most * (1 + 1e-5))).all():
            wrong.append((record, "what is added to the task's loss"))
        full = alpha == s["alpha"]
        if not full[-1] or not np.allclose(added[full], most[full], rtol=1e-5, atol=1e-7):
            wrong.append((record, "what is added once the weight is whole"))
    check(wrong)


# ---- selection


def test_the_selected_update_is_the_best_on_validation(records):
    wrong = []
    for record in records:
        values = curve(record, f"validation/{score_of(record)}")
        best = int((values.argmin if score_of(record) == "nll" else values.argmax)())
        if best != selected(record):
            wrong.append((record, f"selected {selected(record)}, the best is {best}"))
    check(wrong)


def test_what_is_tested_is_the_selected_model(records):
    """Its validation figures are those of the evaluation that selected it."""
    wrong, exact = [], 0
    for record in records:
        found, place = record.measured.metrics, selected(record)
        names = [n for n in record.measured.curves if n.startswith("validation/")]
        names.remove("validation/step")
        for name in names:
            then = record.measured.curves[name][place]
            if record.asked.precision == "fp32":
                same, exact = found[name] == then, exact + 1
            elif name in ("validation/nll", "validation/bits"):
                same = found[name] == pytest.approx(then, rel=HALF["nll"])
            else:
                same = found[name] == pytest.approx(then, abs=HALF["score"])
            if not same:
                wrong.append((record, f"{name} {found[name]}, was {then}"))
    check(wrong)
    assert exact > 250


def test_the_last_model_is_the_selected_one_exactly_where_it_was_selected_last(records):
    wrong, kinds = [], set()
    for record in records:
        found = record.measured.metrics
        at_end = found["selected/step"] == record.measured.curves["validation/step"][-1]
        kinds.add((record.asked.task, at_end))
        figures = ["test/nll", "train/nll", "sensitivity/mean", "sensitivity/std"]
        figures += ["sensitivity/cv", "sensitivity/gini", "sensitivity/std_normalized"]
        for name in figures:
            if (found[at(name, LAST)] == found[name]) != at_end:
                wrong.append((record, f"{name}, selected and last"))
        if at_end:
            for name in [n for n in found if parted(n)[1] == LAST]:
                own = parted(name)[0]
                # F1 of single answers is that of rounded items.
                if found[name] != pytest.approx(found[own], abs=1e-4 if "f1" in name else 0):
                    wrong.append((record, name))
    check(wrong)
    assert {(task, end) for task in TASKS for end in (True, False)} - kinds <= {("tagging", False)}


def test_runs_that_differ_in_length_alone_share_what_they_share(records):
    """Without a divergence and at rates that no length enters, the shorter run begins the longer.

    So do their students, where the same update taught both: the last updates of their teachers
    are others, so that the teacher was the selected model, and what is tested too.
    """
    wrong, compared = [], defaultdict(int)
    free = [
        r
        for r in records
        if r.asked.settings["alpha"] == 0 and r.asked.settings["schedule"] != "linear"
    ]
    for group in alike(free, "epochs", "round"):
        lengths = sorted({epochs for epochs, _ in group})
        rounds = sorted({round_ for _, round_ in group})
        for short, long in pairwise(lengths):
            for round_ in rounds:
                if not {(short, round_), (long, round_)} <= set(group):
                    break
                pair = group[short, round_], group[long, round_]
                for name in ("train/task", "validation/nll"):
                    ours, theirs = (r.measured.curves[name] for r in pair)
                    if ours != theirs[:short]:
                        wrong.append((pair[0], f"{name} is not that of {named(pair[1])}"))
                compared[round_] += 1
                steps = {r.measured.metrics["selected/step"] for r in pair}
                if len(steps) > 1:
                    break
                metrics = [
                    {k: v for k, v in r.measured.metrics.items() if parted(k)[1] != LAST}
                    for r in pair
                ]
                if metrics[0] != metrics[1]:
                    wrong.append((pair[0], f"figures are not those of {named(pair[1])}"))
    check(wrong)
    assert compared[0] >= 12 and compared[1] >= 3


def test_students_have_a_teacher_and_begin_elsewhere(records):
    wrong, students = [], 0
    for group in alike(records, "round"):
        for (round_,), student in sorted(group.items()):
            if not round_:
                continue
            students += 1
            teachers = [group.get((number,)) for number in range(round_)]
            if None in teachers:
                wrong.append((student, "has no teacher among the records"))
                continue
            for teacher in teachers:
                for name in ("train/task", "validation/nll"):
                    if curve(student, name)[0] == curve(teacher, name)[0]:
                        wrong.append((student, f"{name} begins as {named(teacher)}"))
            # The cross-entropies to the labels and to the teacher are added: about twice as much.
            ratio = curve(student, "train/task") / curve(teachers[0], "train/task")
            if not (ratio > 1.5).all() or not 1.8 < ratio[0] < 2.3:
                wrong.append((student, f"task loss over that of round 0 {ratio}"))
    check(wrong)
    assert students > 80


def test_no_two_runs_are_alike(records):
    """Seeds, methods and rounds train differently; of a longer run the beginning may be shared."""
    for name in ("train/task", "validation/nll"):
        seen = defaultdict(list)
        for record in records:
            seen[tuple(record.measured.curves[name])].append(named(record))
        assert [names for names in seen.values() if len(names) > 1] == []
    by_seed = [r for r in records if r.asked.settings["round"] == 0]
    firsts = defaultdict(set)
    for record in by_seed:
        asked = record.asked.model_dump(mode="json")
        seed = asked.pop("seed")
        firsts[json.dumps(asked, sort_keys=True)].add((seed, curve(record, "train/task")[0]))
    for found in firsts.values():
        assert len({value for _, value in found}) == len(found) >= 3


# ---- test figures


def test_test_figures_are_those_of_the_items(records):
    wrong = []

    def same(record, name, expected, tolerance=1e-12):
        found = record.measured.metrics[name]
        if found != pytest.approx(expected, rel=tolerance, abs=tolerance):
            wrong.append((record, f"{name} is {found}, its items give {expected}"))

    for record in records:
        metrics, curves = record.measured.metrics, record.measured.curves
        same(record, "test/nll", np.mean(curves["test/nll/items"]), 2e-5)  # items are rounded
        for name in curves:
            if name.endswith("/numerators"):
                metric = name.removesuffix("/numerators")
                same(record, metric, items.score(items.items_of(curves, metric)))
        for name in metrics:
            if name.endswith("/others") and items.items_of(curves, name):
                same(record, name, items.score(items.items_of(curves, name)))
            if name.startswith("test/f1_parallel/"):
                same(record, name, items.score(items.items_of(curves, name)))
        if record.asked.task == "translation":
            sentences = items.items_of(curves, "test/bleu", bleu.ITEMS)
            same(record, "test/bleu", items.score(sentences, bleu.ITEMS), 1e-9)
            length, reference = sentences["en"].statistics[:2].sum(axis=1)
            same(record, "test/length_ratio", length / reference)
            for split in ("validation", "test"):
                same(record, f"{split}/bits", metrics[f"{split}/nll"] / math.log(2))
    check(wrong)


def test_means_over_the_other_languages_are_those_of_the_languages(records):
    wrong = []
    for record in records:
        metrics = record.measured.metrics
        others = [n for n in items.languages(record.measured.curves) if n != items.TRAINED_ON]
        for name in [n for n in metrics if n.endswith("/others") and n != "test/nll/others"]:
            each = [metrics[f"{name.removesuffix('others')}{language}"] for language in others]
            if metrics[name] != pytest.approx(np.mean(each)):
                wrong.append((record, name))
    check(wrong)


def test_all_models_of_a_task_are_tested_on_the_same_items(records):
    """And what needs no model scores the same beside each."""
    fixed = ("test/items/", "test/bleu/reference_length", "test/f1_first/", "test/f1_line/")
    found = defaultdict(lambda: defaultdict(list))
    for record in records:
        named_ = {**record.measured.curves, **record.measured.metrics}
        kept = {name: value for name, value in named_.items() if name.startswith(fixed)}
        kept["number of items"] = len(named_["test/nll/items"])
        kept["checksums"] = {k: v for k, v in record.asked.data.items() if k.startswith("test")}
        for name, value in kept.items():
            key = record.asked.task, record.asked.profile, record.asked.settings.get("dataset")
            found[key][name].append(value)
    for key, by_name in found.items():
        for name, values in by_name.items():
            assert all(value == values[0] for value in values), (key, name)


def test_temperatures_differ_and_help_where_they_were_fitted(records):
    wrong, temperatures = [], []
    for record in [r for r in records if r.asked.task == "images"]:
        metrics = record.measured.metrics
        temperatures.append(metrics["calibration/temperature"])
        gains = {
            split: metrics[f"{split}/nll"] - metrics[f"{split}/nll/calibrated"]
            for split in ("validation", "test")
        }
        if not gains["validation"] > 1e-4 or not abs(gains["test"]) > 1e-6:
            wrong.append((record, f"a temperature of {temperatures[-1]} takes off {gains}"))
        for split in ("validation", "test"):
            name = f"{split}/accuracy"
            if metrics[f"{name}/calibrated"] != metrics[name]:
                wrong.append((record, f"temperature changes the {name}"))
    check(wrong)
    assert len(set(temperatures)) == len(temperatures) >= 70
    assert min(temperatures) < 0.8 and max(temperatures) > 1.25


# ---- sensitivity


def test_statistics_of_sensitivity_fit_each_other(records):
    wrong = []
    for record in records:
        metrics, levels = record.measured.metrics, curve(record, "sensitivity/quantiles/levels")
        for kind in ("", "_normalized", "@last", "_normalized@last"):
            mean, std, cv, gini = (
                metrics[f"sensitivity/{name}{kind}"] for name in ("mean", "std", "cv", "gini")
            )
            # Of values from 0, Gini's coefficient is at most std / (√3 · mean).
            if cv != pytest.approx(std / mean, rel=1e-12) or not 0 < gini < min(
                1, cv / 3**0.5 + 1e-9
            ):
                wrong.append((record, f"cv{kind} {cv}, gini{kind} {gini}"))
        counts, edges = (curve(record, f"sensitivity/histogram/{n}") for n in ("counts", "edges"))
        total = metrics["sensitivity/parameters"]
        if counts.sum() != total:
            wrong.append((record, "the histogram does not hold all parameters"))
        low, high = ((counts * 10.0**side).sum() / total for side in (edges[:-1], edges[1:]))
        if not low <= metrics["sensitivity/mean"] <= high:
            wrong.append((record, "the histogram is not of values with this mean"))
        values = curve(record, "sensitivity/quantiles/values")
        places = [np.searchsorted(counts.cumsum(), round(q * (total - 1)), "right") for q in levels]
        for value, place in zip(values, places, strict=True):
            within = np.log10(value) <= edges[place + 1] + 1e-6 if value else place == 0
            if not within or (place and np.log10(value) < edges[place] - 1e-6):
                wrong.append((record, f"quantile {value} is not in the histogram's bin {place}"))
    check(wrong)


def test_layers_of_whole_numbers_of_parameters_make_up_the_whole(records):
    """Σ n_l m_l = n m and Σ n_l (s_l² + m_l²) = n (s² + m²), with the same n_l for all records.

    Records of one architecture give many such equations for a few n_l: a solution in whole
    numbers exists only if layers and whole are of the same values.
    """
    groups = defaultdict(list)
    for record in records:
        s = record.asked.settings
        key = (record.asked.task, s.get("dataset"), s.get("pretrained"), str(s["examples"]))
        groups[key].append(record)
    for key, members in groups.items():
        rows = []
        for record in members:
            metrics = record.measured.metrics
            moments = []
            for where in ("", *(f"/{layer}" for layer in REPORTS[record.asked.task].layers)):
                mean, std = (metrics[f"sensitivity/{name}{where}"] for name in ("mean", "std"))
                moments.append((mean, std**2 + mean**2))
            whole, *layers = np.array(moments)
            rows += list((np.array(layers) / whole).T)
        totals = {record.measured.metrics["sensitivity/parameters"] for record in members}
        assert len(totals) == 1, (key, totals)
        total = totals.pop()
        counts, *_ = np.linalg.lstsq(np.array(rows), np.full(len(rows), total), rcond=None)
        assert np.abs(np.array(rows) @ counts / total - 1).max() < 1e-9, key
        assert np.abs(counts - counts.round()).max() < 0.01 and counts.min() > 100, (key, counts)
        assert counts.sum() == pytest.approx(total, rel=1e-9), key
    assert len(groups) == 11
