"""Batches of every container are repeated alike; what cannot be is named."""

import dataclasses
from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence
from transformers import BatchEncoding
from transformers.modeling_outputs import BaseModelOutput

from idlib.method.objective import IntraDistillation
from idlib.method.passes import MODES, repeated
from idlib.method.targets import Target

K, B, D, C = 3, 4, 6, 5
X = torch.arange(B * D, dtype=torch.float32).view(B, D)


@dataclasses.dataclass(frozen=True)
class Examples:
    x: Any
    rows: int = B
    language: str = "de"
    width: int = dataclasses.field(init=False, default=D)


class Pair(NamedTuple):
    x: Any
    name: str | None


@pytest.mark.parametrize("kind", [torch.Tensor, np.ndarray])
@pytest.mark.parametrize(
    ("wrap", "unwrap"),
    [
        (lambda x: x, lambda b: b),
        (lambda x: {"x": x, "rows": B, "ok": True, "none": None}, lambda b: b["x"]),
        (lambda x: OrderedDict(x=x), lambda b: b["x"]),
        (lambda x: MappingProxyType({"x": x}), lambda b: b["x"]),
        (lambda x: [x, "de"], lambda b: b[0]),
        (lambda x: (x, 2.5), lambda b: b[0]),
        (lambda x: Pair(x, None), lambda b: b.x),
        (lambda x: Examples(x), lambda b: b.x),
        (lambda x: {"inner": [Examples(x)]}, lambda b: b["inner"][0].x),
        (lambda x: BatchEncoding({"x": x}), lambda b: b.x),
        (lambda x: BaseModelOutput(last_hidden_state=x), lambda b: b.last_hidden_state),
    ],
)
def test_copies_follow_one_another_and_the_container_stays(kind, wrap, unwrap):
    batch = wrap(X if kind is torch.Tensor else X.numpy())
    copies = repeated(batch, K)
    found = unwrap(copies)
    assert type(found) is kind and torch.equal(torch.as_tensor(found), X.repeat(K, 1))
    assert type(copies) is (dict if isinstance(batch, MappingProxyType) else type(batch))
    assert torch.equal(torch.as_tensor(unwrap(batch)), X), "the batch itself is left as it is"


def test_what_is_no_example_stays():
    batch = {
        "text": "a sentence",
        "rows": B,
        "scale": 0.5,
        "flag": True,
        "nothing": None,
        "scalar": torch.tensor(2.0),
        "array": np.array(3),
        "number": np.float32(4),
    }
    assert repeated(batch, K) == batch
    assert repeated(Examples(X), K).language == "de"


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        (object(), "batch is of type object"),
        ({"x": X, "file": Path("a")}, r"batch\['file'\] is of type \w*Path"),
        ([X, {1, 2}], r"batch\[1\] is of type set"),
        (Examples(x=[iter([X])]), r"batch.x\[0\] is of type list_iterator"),
        (Examples, "batch is of type type"),
        (pack_sequence([X[:3], X[:2]]), "batch is of type PackedSequence"),
    ],
)
def test_a_batch_that_cannot_be_copied_is_named_and_the_loop_takes_it(batch, says):
    z = torch.randn(B, C)
    asked = (lambda b: nn.functional.dropout(z), lambda b: Target(torch.zeros(B).long()), batch)
    with pytest.raises(ValueError, match=f"{says}.*mode='loop'"):
        IntraDistillation(passes=K)(*asked, 1, 1)
    for mode in ("loop", "cached"):
        assert IntraDistillation(passes=K, mode=mode)(*asked, 1, 1).divergence > 0
    IntraDistillation(passes=1)(*asked, 1, 1)


@pytest.mark.parametrize("batch", [Examples(X), Examples(X.numpy()), {"x": X.numpy()}])
def test_modes_agree_whatever_the_batch(batch):
    """The model takes another row of a fixed mask in each pass, in both modes."""
    torch.manual_seed(0)
    layer, masks = nn.Linear(D, C), torch.rand(K, B, D) > 0.5
    seen = []

    def forward(b):
        x = torch.as_tensor(b["x"] if isinstance(b, dict) else b.x)
        seen.append(len(x))
        rows = masks.flatten(0, 1) if len(x) == K * B else masks[(len(seen) - 2) % K]
        return layer(x * rows)

    stacked, looped, cached = (
        IntraDistillation(passes=K, mode=mode)(
            forward, lambda b: Target(torch.arange(B)), batch, 1, 1
        )
        for mode in MODES
    )
    assert seen == [K * B, *[B] * 2 * K] and stacked.divergence > 0.01
    torch.testing.assert_close(stacked[:3], looped[:3])
    torch.testing.assert_close(stacked[:3], cached[:3])


def test_logits_that_are_no_copies_of_a_batch_are_named():
    with pytest.raises(ValueError, match=r"'logits'.*\(4, 5\).*mode='loop'"):
        IntraDistillation(passes=K)(
            lambda b: torch.randn(B, C), lambda b: Target(torch.zeros(B).long()), ["a text"], 1, 1
        )
