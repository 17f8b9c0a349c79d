"""What the pages of tagging, answering and classification say is what their records hold."""

from __future__ import annotations

from made_up.records import Level, record, results, world

from idlib.report.conditions import Condition
from idlib.report.pages import encoder as page
from idlib.report.tasks import report_of

BASELINE = Condition("baseline", 0, 0.0)


def taggers(f1, seeds=(1, 2), **settings):
    return [record("tagging", BASELINE, seed, Level(2.0, f1), **settings) for seed in seeds]


def test_the_random_encoder_beside_the_trained_one():
    trained = taggers(0.4, pretrained=True)
    shown = results("tagging", trained)
    swept = [*trained, *taggers(0.2, (1,), pretrained=False)]
    table, sentence = page.random_encoder(shown, swept)
    key = "test/f1_parallel/others"
    column = table[report_of("tagging").metric(key).title]
    values = [100 * r.measured.metrics[key] for r in (swept[0], swept[-1])]
    assert list(column) == [f"{value:.2f}" for value in values]
    assert list(table["seeds"]) == ["2", "1"]
    assert f"is {values[0] / values[1]:.1f} times the random one's" in sentence
    table, sentence = page.random_encoder(shown, trained)
    assert sentence == "There is no record of a random encoder."
    assert set(table.loc["random encoder"]) == {"–", "0"}


def test_costs_of_both_together():
    assert "for 10 epochs in 8.3 h together" in page.published_joint_cost(report_of("tagging"))
    assert "for 15 epochs in 16.6 h together" in page.published_joint_cost(report_of("answering"))
    assert "not stated" in page.published_joint_cost(report_of("classification"))


def test_the_papers_answering():
    assert "65.51 and 68.20; over which languages is not stated" in page.papers_answering()


def test_the_majority_class():
    text = page.majority_class({"heading": 0.5, "a_b": 0.255})
    assert "50.0 % of heading, 25.5 % of a\\_b" in text
    assert page.majority_class({}) == "No data set of this build has classes."


def test_other_metrics_are_means_over_seeds():
    records = world("classification")
    table = page.other_metrics(results("classification", records))
    assert list(table.columns) == ["accuracy", "nll"]
    heading = [
        r.measured.metrics["test/accuracy"]
        for r in records
        if (r.asked.method, r.asked.settings["dataset"]) == ("baseline", "heading")
        and r.asked.settings["round"] == 0
    ]
    assert table.loc[("heading", "baseline"), "accuracy"] == f"{sum(heading) / len(heading):.3f}"
    alone = [record for record in records if record.asked.method == "baseline"]
    table = page.other_metrics(results("classification", alone))
    assert set(table.loc[("heading", "intra-distillation")]) == {"–"}


def test_a_rule_that_beats_the_models_is_named():
    rules = {"first line": "f1_first", "line most like the question": "f1_shared"}

    def shown(shared: float):
        rows = []
        for method, f1 in (("baseline", 0.35), ("id", 0.4)):
            metrics = {"test/f1/others": f1, "test/f1_first/others": 0.1}
            metrics["test/f1_shared/others"] = shared
            rows.append(record("answering", Condition(method, 0, 0.0), metrics=metrics))
        return page.rules_beside(results("answering", rows), rules)

    both = shown(0.45)
    assert "“line most like the question” has 45.00" in both
    assert "more than baseline and intra-distillation" in both
    assert "more than baseline (" in shown(0.38)
    assert shown(0.3).endswith("30.00, and both models are better.")
    assert page.rules_beside(results("answering", []), rules).startswith("There are no records")
