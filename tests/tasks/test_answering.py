"""The answering task: what counts in its loss, how answers are chosen, and what a record holds."""

from __future__ import annotations

import itertools

import pytest
import torch
from made_up.questions import every_row, question, write
from made_up.tasks import Lookup, spec_of, task_of
from torch import nn

from idlib.data import DataError
from idlib.experiments.runs import load_model, run
from idlib.method.objective import IntraDistillation
from idlib.metrics import squad
from idlib.tasks.answering import AnsweringSettings, AnsweringTask, best_spans
from idlib.training.settings import SettingsError, resolve

LANGUAGES = ("en", "de", "ja")


@pytest.fixture(scope="module")
def task(small) -> AnsweringTask:
    return task_of(small, "answering")


def lookup(task: AnsweringTask, splits, logits) -> Lookup:
    """A model that gives ``logits`` [L, 2] for each window of these splits."""
    windows = [window for split in splits for window in task.data.splits[split].windows]
    return Lookup({tuple(window.ids): logits(window) for window in windows})


def knowing(window) -> torch.Tensor:
    """The labels, and where there is no answer position 0 with an even higher logit."""
    logits = torch.zeros(len(window.ids), 2)
    logits[window.start, 0] = logits[window.end, 1] = 9.0 if window.holds_answer else 99.0
    return logits


def model_of(task: AnsweringTask) -> nn.Module:
    torch.manual_seed(0)
    return task.model().double().eval()


# ---- the loss


def test_what_stands_in_places_that_are_no_positions_plays_no_part(task):
    batch = task.data.splits["train"].batch([0, 3, 6, 9])
    positions = batch["positions"]
    assert not positions.all() and positions.any(1).all()
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(3 * len(positions), positions.shape[1], 2, generator=generator)
    objective = IntraDistillation(passes=3, alpha=5.0)
    losses = []
    for outside in (0.0, 80.0, -1e30):
        filled = z.where(positions.repeat(3, 1)[..., None], torch.tensor(outside))
        filled.requires_grad_()
        forward = lambda _, filled=filled: dict(zip(("start", "end"), filled.unbind(-1)))  # noqa
        parts = objective(forward, task.targets, batch, step=9, total_steps=10)
        parts.total.backward()
        assert torch.isfinite(torch.stack(parts[:3])).all() and parts.divergence > 0.1
        assert torch.isfinite(filled.grad).all()
        assert filled.grad[~positions.repeat(3, 1)].eq(0).all()
        losses.append(parts.total.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6) == pytest.approx(losses[2], rel=1e-6)


def test_the_loss_is_the_mean_over_windows_and_both_ends(task):
    model, split = model_of(task), task.data.splits["train"]
    without = [i for i, window in enumerate(split.windows) if not window.holds_answer]
    batch, expected = split.batch([0, 1, 2, 3, *without[:2]]), []
    with torch.no_grad():
        logits = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
        for row in range(6):
            places = batch["positions"][row].nonzero().flatten()
            for head, name in enumerate(("start", "end")):
                label = (places == batch[name][row]).nonzero().item()
                expected.append(-logits[row, places, head].log_softmax(-1)[label].item())
        found = task.loss(model, batch).item()
    assert found == pytest.approx(sum(expected) / 12, rel=1e-12)
    assert (batch["start"] == 0).tolist() == [False] * 4 + [True] * 2


# ---- the choice of an answer


def best_by_hand(start, end, allowed, longest):
    every = [
        (start[i] + end[j], -i, -j)
        for i, j in itertools.product(range(len(start)), repeat=2)
        if allowed[i] and allowed[j] and 0 <= j - i < longest
    ]
    score, i, j = max(every)
    return score, -i, -j


@pytest.mark.parametrize("longest", [1, 3, 50])
def test_the_best_span_is_the_best_of_all(longest):
    generator = torch.Generator().manual_seed(longest)
    start, end = torch.randn(2, 40, 12, generator=generator)
    allowed = torch.zeros(40, 12, dtype=torch.bool)
    for row in range(40):
        allowed[row, 1 + row % 4 : 12 - row % 5] = True
    score, first, last = best_spans(start, end, allowed, longest)
    for row in range(40):
        expected = best_by_hand(start[row].tolist(), end[row].tolist(), allowed[row], longest)
        assert (score[row], first[row], last[row]) == pytest.approx(expected)
    assert 1 <= (last - first + 1).max() <= longest


def test_where_nothing_is_allowed_there_is_no_span():
    score, *_ = best_spans(*torch.zeros(2, 1, 4), torch.zeros(1, 4, dtype=torch.bool), 3)
    assert score.item() == -torch.inf


def test_who_knows_the_labels_answers_every_question(task):
    """Also where the windows without the answer say so with a higher logit than the others."""
    model = lookup(task, ["validation", "test/en", "test/de"], knowing)
    for split in ("validation", "test"):
        found = task.evaluate(model, split)
        assert found["f1"] == found["em"] == 1.0
        assert 0 < found["nll"] < 0.1
    german = task.data.splits["test/de"]
    assert task.read(model, "test/de").texts == [one.answers[0] for one in german.questions]
    assert len(german) > len(german.ids)
    assert task.answer(model, "test/de", [5, 0]) == [
        german.questions[5].answers[0],
        german.questions[0].answers[0],
    ]


def test_the_window_with_the_highest_sum_answers(task):
    """Every window points at its first piece of context; the later ones the more."""
    windows = task.data.splits["test/en"]
    order = {tuple(window.ids): place for place, window in enumerate(windows.windows)}

    def first(window):
        logits = torch.zeros(len(window.ids), 2)
        logits[window.first] = 5.0 + order[tuple(window.ids)]
        return logits

    texts = task.read(lookup(task, ["test/en"], first), "test/en").texts
    assert len(order) == len(windows) > len(texts)
    for own, text in zip(windows.by_question(), texts, strict=True):
        last = windows.windows[own[-1]]
        assert text == windows.text(own[-1], last.first, last.first)


def test_an_answer_has_at_most_max_answer_tokens(small, task):
    """Where the end's logit rises with its place, the longest span that is allowed is the best."""
    windows = task.data.splits["test/en"]
    order = {tuple(window.ids): place for place, window in enumerate(windows.windows)}

    def rising(window):
        logits = torch.zeros(len(window.ids), 2)
        logits[window.first, 0] = 100.0 * (1 + order[tuple(window.ids)])
        logits[:, 1] = torch.arange(len(window.ids)) / 10
        return logits

    for longest in (1, 5, 100):
        other = task_of(small, "answering", max_answer=longest)
        texts = other.read(lookup(other, ["test/en"], rising), "test/en").texts
        lengths = set()
        for own, text in zip(windows.by_question(), texts, strict=True):
            last = windows.windows[own[-1]]
            length = min(longest, len(last.offsets))
            assert text == windows.text(own[-1], last.first, last.first + length - 1)
            lengths.add(length)
        assert max(lengths) == longest or longest == 100


def test_of_equal_spans_the_first_and_shortest_of_the_first_window_answers(task):
    model = lookup(task, ["test/en"], lambda window: torch.zeros(len(window.ids), 2))
    windows = task.data.splits["test/en"]
    for own, text in zip(windows.by_question(), task.read(model, "test/en").texts, strict=True):
        first = windows.windows[own[0]].first
        assert text == windows.text(own[0], first, first)


def test_the_nll_of_a_question_is_that_of_the_windows_with_its_answer(task):
    model, split = model_of(task), task.data.splits["test/en"]
    expected, kinds = [], set()
    for own in split.by_question():
        holding = [index for index in own if split.windows[index].holds_answer]
        kinds.add((len(holding), len(own)))
        with torch.no_grad():
            losses = [task.loss(model, split.batch([index])).item() for index in holding]
        expected.append(sum(losses) / len(losses))
    found = task.read(model, "test/en").nll
    assert found.tolist() == pytest.approx(expected, rel=1e-9)
    assert task.evaluate(model, "test")["nll"] == pytest.approx(sum(expected) / len(expected))
    assert {(1, 1), (1, 2), (2, 2)} & kinds and any(held < every for held, every in kinds)


def test_a_question_whose_answer_is_in_no_window_has_the_nll_of_no_answer(small, tmp_path):
    rows = every_row()
    context = " ".join(row["context"] for row in rows["en/train"][:4]).replace("\n", " ")
    rows["en/test"].append(question("long", context, context[:-5]))
    other = task_of(small, "answering", data=write(tmp_path, rows))
    model, split = model_of(other), other.data.splits["test/en"]
    own = split.by_question()[-1]
    assert len(own) > 2 and not split.batch(own)["start"].any()
    with torch.no_grad():
        expected = [other.loss(model, split.batch([index])).item() for index in own]
    found = other.read(model, "test/en")
    assert found.nll[-1] == pytest.approx(sum(expected) / len(expected))
    assert found.texts[-1] in context and found.texts[-1]


def test_answers_do_not_depend_on_the_size_of_batches(small, task):
    model = model_of(task)
    other = task_of(small, "answering", batch_size=1)
    one, many = other.read(model, "test/ja"), task.read(model, "test/ja")
    assert one.texts == many.texts
    assert one.nll == pytest.approx(many.nll, rel=1e-9)
    for text, asked in zip(one.texts, task.data.splits["test/ja"].questions, strict=True):
        assert text in asked.context


# ---- runs


@pytest.mark.slow
def test_scores_follow_from_the_model(small, shared, task):
    spec = spec_of(small, "answering")
    record, model = run(spec, shared), load_model(spec, workspace=shared)
    metrics, curves = record.measured.metrics, record.measured.curves
    for language in LANGUAGES:
        split = task.data.splits[f"test/{language}"]
        pairs = [
            (text, asked.answers)
            for text, asked in zip(
                task.read(model, f"test/{language}").texts, split.questions, strict=True
            )
        ]
        f1 = [squad.f1(*pair) for pair in pairs]
        em = [squad.exact_match(*pair) for pair in pairs]
        assert metrics[f"test/f1/{language}"] == pytest.approx(sum(f1) / len(f1), abs=1e-4)
        assert metrics[f"test/em/{language}"] == pytest.approx(sum(em) / len(em))
        assert curves[f"test/f1/{language}/numerators"] == [round(value, 4) for value in f1]
        shared_f1 = [f for f, one in zip(f1, split.ids, strict=True) if one in task.data.parallel]
        assert len(shared_f1) == 4
        expected = pytest.approx(sum(shared_f1) / 4, abs=1e-4)
        assert metrics[f"test/f1_parallel/{language}"] == expected
        for rule in squad.BASELINES:  # they score the same whatever the model
            asked = [(q.question, q.context, q.answers) for q in split.questions]
            scores = [squad.baseline_f1(rule, *one) for one in asked]
            assert metrics[f"test/f1_{rule}/{language}"] == pytest.approx(sum(scores) / len(scores))


@pytest.mark.slow
def test_a_few_questions_can_be_learnt_by_heart(small, tmp_path, shared):
    """The training questions are validation too; a model that can learn answers them."""
    rows = every_row()
    rows["en/train"] = rows["en/train"][:6]
    rows["en/validation"] = rows["en/train"]
    asked = {"epochs": 30, "lr_peak": 3e-3, "lr_head": 1e-2, "examples": {}, "dropout": 0.0}
    asked |= {"schedule": "constant", "languages": ("en",)}
    data = write(tmp_path, rows)
    record = run(spec_of(small, "answering", "baseline", data=data, **asked), shared)
    best = max(record.measured.curves["validation/f1"])
    assert best == pytest.approx(record.measured.metrics["validation/f1"]) and best > 0.8
    assert min(record.measured.curves["validation/nll"]) < 1.5  # of about 3 at first


# ---- settings


def test_the_paper_profile_has_the_papers_settings():
    s = resolve(AnsweringSettings, AnsweringTask.profiles, "paper", "id")
    assert (s.max_length, s.stride, s.epochs, s.lr_peak) == (384, 128, 15, 3e-5)
    assert (s.batch_size, s.micro_batch, s.schedule, s.alpha, s.passes) == (32, 8, "linear", 1, 3)
    assert s.layers is None and s.pretrained and not s.freeze_embeddings
    assert AnsweringTask.adapt(s, "hub").encoder == "xlm-roberta-base"
    assert AnsweringTask.adapt(s, "embedded").encoder == "embedded"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"stride": 96}, "stride 96 is what windows of max_length 96 share"),
        ({"schedule": "cosine"}, "setting schedule = 'cosine'"),
        ({"max_answer": 0}, "setting max_answer = 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(overrides, says):
    with pytest.raises(SettingsError, match=says):
        resolve(AnsweringSettings, AnsweringTask.profiles, "smoke", "id", overrides)


def test_windows_are_no_longer_than_the_encoder(task):
    changed = task.settings.model_copy(update={"max_length": 65})
    with pytest.raises(DataError, match="max_length is 65, but .* from 5 to 64 tokens"):
        AnsweringTask(changed, task.source, task.root).data  # noqa: B018
