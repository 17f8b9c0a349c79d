"""A projected head has the loss and the gradients of its logits, which are never formed whole."""

from __future__ import annotations

import itertools

import pytest
import torch
from made_up.memory import largest_allocation
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    Cohere2Config,
    Cohere2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
)

from idlib.method import fused, projection
from idlib.method.against import Against
from idlib.method.choices import REDUCTIONS
from idlib.method.fused import head_loss
from idlib.method.losses import DIVERGENCES
from idlib.method.objective import IntraDistillation
from idlib.method.passes import MODES
from idlib.method.projection import Projected, logits_of, probabilities, projected_loss
from idlib.method.targets import Target
from idlib.method.unprojected import unprojected
from idlib.models.transformer import transformer

K, POSITIONS, WIDTH, CLASSES = 3, 17, 6, 11
AGAINST = {"task_weight": 0.3, "divergence_weight": 0.7, "alpha": 2.5}


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five positions are projected at a time, the last chunk smaller; their loss in twos."""
    monkeypatch.setattr(fused, "CHUNK_NUMBERS", K * CLASSES * 2)
    monkeypatch.setitem(projection.CHUNK_NUMBERS, "cpu", K * CLASSES * 5)


def made(bias: bool = True, dtype=torch.float64, passes: int = K) -> tuple[Projected, Against]:
    torch.manual_seed(passes)
    states = torch.randn(POSITIONS, WIDTH, dtype=dtype)
    states = (states + torch.randn(passes, POSITIONS, WIDTH, dtype=dtype)).requires_grad_()
    weight, added = (torch.randn(CLASSES, *size, dtype=dtype) for size in ([WIDTH], []))
    head = Projected(states, weight.requires_grad_(), added.requires_grad_() if bias else None)
    return head, Against(torch.randint(CLASSES - 2, (POSITIONS,)), **AGAINST)


def gradients(total: torch.Tensor, head: Projected) -> list[torch.Tensor]:
    return list(torch.autograd.grad(total, [tensor for tensor in head if tensor is not None]))


def assert_as_logits(head: Projected, against: Against, teacher=None, **tolerance) -> None:
    taught = None if teacher is None else probabilities(teacher, against.class_mask)
    found = projected_loss(head, against, teacher)
    expected = head_loss(logits_of(head), against._replace(taught=taught))
    torch.testing.assert_close(tuple(found), tuple(expected), **tolerance)
    torch.testing.assert_close(
        gradients(found.total, head), gradients(expected.total, head), **tolerance
    )
    with torch.no_grad():
        torch.testing.assert_close(tuple(projected_loss(head, against, teacher)), tuple(found))


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_equal_to_the_loss_of_the_logits(divergence, passes, bias):
    head, against = made(bias, passes=passes)
    one = torch.arange(CLASSES) < CLASSES - 1
    every = one.expand(POSITIONS, CLASSES).clone()
    every[3, -2] = False
    mask = torch.rand(POSITIONS) < 0.7
    taught = Projected(torch.randn(POSITIONS, 4).double(), torch.randn(CLASSES, 4).double())
    for classes, counted, teacher, padded in itertools.product(
        (None, one, every), (None, mask), (None, taught, logits_of(taught)), (False, True)
    ):
        asked = {"class_mask": classes, "mask": counted, "padded": padded, "smoothing": 0.1}
        assert_as_logits(head, against._replace(divergence=divergence, **asked), teacher)


@pytest.mark.parametrize("padded", [False, True])
def test_gradcheck(padded):
    (states, weight, bias), against = made()
    few, mask = states[:, :7].detach().requires_grad_(), torch.arange(7) % 3 > 0
    against = against._replace(labels=against.labels[:7], mask=mask, padded=padded, smoothing=0.1)

    def total(*head):
        return projected_loss(Projected(*head), against).total

    assert torch.autograd.gradcheck(total, (few, weight, bias))


def test_no_position_of_a_part_counts():
    head, against = made()
    found = projected_loss(head, against._replace(mask=torch.zeros(POSITIONS, dtype=torch.bool)))
    assert not any(found) and not any(g.any() for g in gradients(found.total, head))


def test_what_does_not_count_is_not_projected():
    head, against = made()
    mask = torch.arange(POSITIONS) % 3 > 0
    spoilt = head._replace(states=head.states.detach().masked_fill(~mask[:, None], torch.nan))
    spoilt.states.requires_grad_()
    found = projected_loss(spoilt, against._replace(mask=mask))
    expected = projected_loss(head, against._replace(mask=mask))
    assert found.total == expected.total
    torch.testing.assert_close(gradients(found.total, spoilt), gradients(expected.total, head))


def test_only_what_is_trained_has_a_gradient_and_the_upstream_one_counts():
    head, against = made()
    expected = gradients(projected_loss(head, against).total, head)
    for place, gradient in enumerate(expected):
        parts = [part.detach() for part in head]
        parts[place].requires_grad_()
        (2.5 * projected_loss(Projected(*parts), against).total).backward()
        torch.testing.assert_close(parts[place].grad, 2.5 * gradient)
        assert sum(part.grad is not None for part in parts) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_projects_in_its_type_and_adds_up_in_float32(dtype):
    head, against = made(dtype=torch.float32)
    teacher = Projected(torch.randn(POSITIONS, 4).to(dtype), torch.randn(CLASSES, 4))
    with torch.autocast("cpu", dtype=dtype):
        for taught in (None, teacher):
            assert_as_logits(head, against, taught, rtol=0.03, atol=0.01)
        found = projected_loss(head, against)
        logits = logits_of(head)
    exact = head_loss(logits.float(), against)
    torch.testing.assert_close(tuple(found), tuple(exact))
    assert {g.dtype for g in gradients(found.total, head)} == {torch.float32}


def test_a_model_in_half_precision():
    head, against = made(dtype=torch.float32)
    half = Projected(*(tensor.detach().bfloat16().requires_grad_() for tensor in head))
    assert_as_logits(half, against, rtol=0.03, atol=0.02)


def test_tied_weights_get_both_gradients():
    """The weight is the embedding of the input too."""
    _, against = made()
    table = torch.randn(CLASSES, WIDTH, dtype=torch.float64, requires_grad=True)
    tokens = torch.randint(CLASSES, (POSITIONS,))
    dropped = (torch.rand(K, POSITIONS, WIDTH) < 0.7).double()
    head = Projected(torch.tanh(table[tokens]) * dropped, table)
    (found,) = torch.autograd.grad(projected_loss(head, against).total, table, retain_graph=True)
    (expected,) = torch.autograd.grad(head_loss(logits_of(head), against).total, table)
    torch.testing.assert_close(found, expected)


def test_the_logits_of_all_passes_and_positions_never_exist(monkeypatch):
    monkeypatch.setitem(projection.CHUNK_NUMBERS, "cpu", 30_000)
    monkeypatch.setattr(fused, "CHUNK_NUMBERS", 30_000)
    passes, positions, width, classes = 3, 400, 8, 1000
    states = torch.randn(passes, positions, width, requires_grad=True)
    weight = torch.randn(classes, width, requires_grad=True)
    against = Against(torch.randint(classes, (positions,)), 1.0, 1.0, 1.0, smoothing=0.1)

    def run(loss):
        return largest_allocation(lambda: loss().total.backward())

    of_logits = passes * positions * classes * 4
    assert run(lambda: head_loss(logits_of(Projected(states, weight)), against)) >= of_logits
    assert run(lambda: projected_loss(Projected(states, weight), against)) <= of_logits / 10


# In the objective ------------------------------------------------------------------------------


class Body(nn.Module):
    """A network whose last layer may be left out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.head = nn.Linear(4, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.dropout = nn.Dropout(0.5)
        self.double()

    def states(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(torch.tanh(self.first(x)))

    def projected(self, x: torch.Tensor) -> Projected:
        return Projected(self.states(x), self.head.weight, self.head.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.states(x))


X = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(1)).double()
LABELS = torch.randint(CLASSES, (5, 3), generator=torch.Generator().manual_seed(2))
MASK = torch.rand(5, 3, generator=torch.Generator().manual_seed(3)) < 0.7
TARGET = Target(LABELS.where(MASK, -100), MASK)


def update(form, *, target=TARGET, teacher=None, counts=None, **asked):
    """Parts and the gradients of all parameters; ``form``: projected, logits, plain."""
    body = Body()
    torch.manual_seed(5)
    objective = IntraDistillation(smoothing=0.1, fused=form != "plain", **asked)
    forward = body.projected if form != "logits" else body
    parts = objective(forward, lambda x: target, X, 80, 100, teacher, counts)
    parts.total.backward()
    return (*parts[:3], *(p.grad for p in body.parameters()))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_objective_is_the_same_of_logits_and_of_what_makes_them(mode, reduction):
    asked = {"mode": mode, "divergence_reduction": reduction}
    asked |= {"counts": {"logits": 2 * TARGET.count}, "teacher": Body().eval().projected}
    expected = update("logits", **asked)
    assert expected[2] > 0.01
    for form in ("projected", "plain"):
        torch.testing.assert_close(update(form, **asked), expected)


@pytest.mark.parametrize("teacher", [Body().eval().projected, Body().eval()])
def test_a_teacher_may_give_either(teacher):
    expected = update("logits", teacher=Body().eval())
    torch.testing.assert_close(update("projected", teacher=teacher), expected)
    torch.testing.assert_close(update("logits", teacher=teacher), expected)


def test_a_regression_may_be_projected():
    layer, x = nn.Linear(4, 1), torch.randn(7, 4)
    objective, target = IntraDistillation(passes=1), Target(torch.zeros(7), kind="regression")
    head = Projected(x, layer.weight, layer.bias)
    found = objective(lambda x: head, lambda x: target, x, 1, 1).total
    torch.testing.assert_close(found, layer(x).square().mean())


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (X.numpy(), r"head 'logits' is of type ndarray.*Projected\(states, weight, bias\)"),
        ({"a": [X]}, "head 'a' is of type list"),
        (Projected(X, torch.zeros(CLASSES, 3)), r"states \(5, 3, 4\), weight \(11, 3\).*\[C, H\]"),
        (Projected(X, torch.zeros(4)), "does not fit"),
        (Projected(X, torch.zeros(CLASSES, 4), torch.zeros(4)), r"bias \(4,\)"),
        (Projected(X, torch.zeros(CLASSES, 4, device="meta")), "on one device"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_what_is_no_head_is_named(head, says, mode):
    with pytest.raises(ValueError, match=says):
        IntraDistillation(mode=mode)(lambda x: head, lambda x: TARGET, X, 1, 1)


def test_a_teacher_of_another_shape_is_named():
    with pytest.raises(ValueError, match=r"the teacher's logits.*\(5, 3, 4\).*\(5, 3, 11\)"):
        update("projected", teacher=lambda x: torch.zeros(5, 3, 4))


def test_a_weight_that_each_pass_makes_anew_is_named():
    body = Body()

    def forward(x):
        return Projected(body.states(x), 2 * body.head.weight)

    IntraDistillation(mode="stack")(forward, lambda x: TARGET, X, 1, 1)
    for mode in ("loop", "cached"):
        with pytest.raises(ValueError, match="'logits': each pass has a weight.*mode='stack'"):
            IntraDistillation(mode=mode)(forward, lambda x: TARGET, X, 1, 1)


# Models of transformers ------------------------------------------------------------------------


def marian() -> nn.Module:
    model = transformer(
        CLASSES, layers=1, width=8, ffn=8, heads=2, dropout=0.3, attention_dropout=0.1, positions=9
    )
    model.final_logits_bias.copy_(torch.randn(1, CLASSES))
    return model


SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
SMALL |= {"vocab_size": CLASSES, "intermediate_size": 8, "pad_token_id": 0}
TOKENS = torch.randint(3, CLASSES, (2, 7), generator=torch.Generator().manual_seed(0))
MODELS = {
    "marian": (marian, {"input_ids": TOKENS, "decoder_input_ids": TOKENS}),
    "tied": (
        lambda: GPT2LMHeadModel(GPT2Config(vocab_size=CLASSES, n_embd=8, n_layer=1, n_head=2)),
        {"input_ids": TOKENS},
    ),
    "with a bias": (lambda: BertForMaskedLM(BertConfig(**SMALL)), {"input_ids": TOKENS}),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_transformers_without_its_projection(name, mode):
    make, batch = MODELS[name]
    torch.manual_seed(0)
    model = make()
    found = []
    for forward in (unprojected(model), lambda batch: model(**batch).logits):
        model.zero_grad()
        torch.manual_seed(1)
        parts = IntraDistillation(mode=mode)(forward, lambda b: Target(TOKENS), batch, 1, 1)
        parts.total.backward()
        found.append([*parts[:3], *(p.grad for p in model.parameters() if p.grad is not None)])
    assert found[0][2] > 0
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)
    assert model(**batch).logits.shape[-1] == CLASSES, "at other times it gives logits"


def test_logits_that_are_changed_afterwards_are_refused():
    model = Cohere2ForCausalLM(
        Cohere2Config(**SMALL, num_key_value_heads=2, logit_scale=0.5, eos_token_id=1)
    )
    with pytest.raises(ValueError, match="Cohere2ForCausalLM makes its logits of more than"):
        unprojected(model)({"input_ids": TOKENS})
    with pytest.raises(ValueError, match="Linear.*gives nothing.*logits instead"):
        unprojected(nn.Linear(2, 2))


def test_a_compiled_model_gives_states_and_logits_in_turns():
    torch.compiler.reset()
    model = marian().eval()
    run = torch.compile(model, backend="eager")
    batch = MODELS["marian"][1]
    for _ in range(2):
        torch.testing.assert_close(logits_of(unprojected(run)(batch)), run(**batch).logits)
