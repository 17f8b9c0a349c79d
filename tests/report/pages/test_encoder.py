"""What the pages of tagging, answering and classification say is what their records hold."""

from __future__ import annotations

from made_up.records import made_up_classifications, made_up_tagging

from idlib.report.conditions import Condition
from idlib.report.pages import encoder as page
from idlib.report.results import Results
from idlib.report.tasks import report_of

F1 = {"en": 0.8, "de": 0.4, "ja": 0.2}


def taggers(scale=1.0, seeds=(1, 2), **settings):
    scores = {name: value * scale for name, value in F1.items()}
    condition = Condition("baseline", 0, 0.0)
    return [made_up_tagging(condition, seed, scores, 2.0, **settings) for seed in seeds]


def test_the_random_encoder_beside_the_trained_one():
    results = Results("tagging", "medium", "embedded", taggers(pretrained=True))
    swept = [*taggers(pretrained=True), *taggers(0.5, (1,), pretrained=False)]
    table, sentence = page.random_encoder(results, swept)
    assert list(table["seeds"]) == ["2", "1"]
    assert list(table["F1 on parallel items in the other languages (points)"]) == ["30.00", "15.00"]
    assert "2.0 times the random one's, on the items that all have; in English" in sentence
    table, sentence = page.random_encoder(results, taggers(pretrained=True))
    assert sentence == "There is no record of a random encoder."
    assert set(table.loc["random encoder"]) == {"–", "0"}


def test_costs_of_both_together():
    assert "for 10 epochs in 8.3 h together" in page.published_joint_cost(report_of("tagging"))
    assert "for 15 epochs in 16.6 h together" in page.published_joint_cost(report_of("answering"))
    assert "not stated" in page.published_joint_cost(report_of("classification"))


def test_the_papers_answering():
    assert "65.51 and 68.20; over which languages is not stated" in page.papers_answering()


def test_the_majority_class():
    shares = {"heading": 0.5, "a_b": 0.255}
    text = page.majority_class(shares)
    assert "50.0 % of heading, 25.5 % of a\\_b" in text
    assert page.majority_class({}) == "No data set of this build has classes."


def test_other_metrics_are_means_over_seeds():
    results = Results("classification", "medium", "embedded", made_up_classifications())
    table = page.other_metrics(results)
    assert list(table.columns) == ["accuracy", "nll"]
    assert table.loc[("heading", "baseline"), "accuracy"] == "0.620"
    one = [r for r in results.records if r.asked.method == "baseline"]
    table = page.other_metrics(Results("classification", "medium", "embedded", one))
    assert set(table.loc[("heading", "intra-distillation")]) == {"–"}
