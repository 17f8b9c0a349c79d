"""Targets: masks in the labels' shape, boolean or the numbers 0 and 1, and what is refused."""

from dataclasses import dataclass

import pytest
import torch

from idlib.method.objective import IntraDistillation
from idlib.method.targets import Target

K, B, T, C = 3, 6, 5, 4
LABELS = torch.arange(B * T).view(B, T) % C
MASK = torch.rand(B, T, generator=torch.Generator().manual_seed(2)) > 0.4
CLASSES = torch.tensor([True, True, False, True])


def total(target: Target) -> torch.Tensor:
    z = torch.randn(K * B, T, C, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return IntraDistillation(passes=K)(lambda b: z, lambda b: target, torch.zeros(B), 1, 1).total


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.float32])
def test_a_mask_of_0_and_1_is_made_boolean(dtype):
    """As Hugging Face's attention_mask is."""
    target = Target(LABELS, mask=MASK.to(dtype))
    assert target.mask.dtype == torch.bool and target.count == MASK.sum()
    assert torch.equal(total(target), total(Target(LABELS, mask=MASK)))
    allowed = Target(LABELS % 2, class_mask=CLASSES.to(dtype))
    assert torch.equal(total(allowed), total(Target(LABELS % 2, class_mask=CLASSES)))


@pytest.mark.parametrize(
    "mask", [MASK[:1], MASK[0], MASK[:, :1], MASK.unsqueeze(-1), MASK.T, torch.tensor(True)]
)
def test_a_mask_of_another_shape_is_refused(mask):
    """A mask ``[1, 5]`` once made the loss six times too large: counted once, it was added up."""
    with pytest.raises(ValueError, match=r"mask has shape .*\(6, 5\)"):
        Target(LABELS, mask=mask)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"mask": 2 * MASK.long()}, "mask must be boolean.*int64.* 2"),
        ({"mask": MASK.float() / 2}, "mask must be boolean.*float32.* 0.5"),
        ({"mask": MASK.float().masked_fill(MASK, torch.nan)}, "mask must be boolean.*nan"),
        ({"mask": MASK.tolist()}, "mask must be a boolean tensor, not list"),
        ({"class_mask": CLASSES.numpy()}, "class_mask must be a boolean tensor, not ndarray"),
        ({"class_mask": 3 * CLASSES.long()}, "class_mask must be boolean.*int64.* 3"),
        ({"class_mask": torch.tensor(True)}, r"class_mask has shape \(\).*\(C,\)"),
        ({"class_mask": CLASSES.expand(T, C)}, r"class_mask has shape \(5, 4\).*\(6, 5, C\)"),
        ({"labels": LABELS.tolist()}, "labels must be a tensor, not list"),
        ({"kind": "class"}, "'class'.*classes, regression"),
        ({"kind": "regression", "class_mask": CLASSES}, "class_mask.*regression"),
    ],
)
def test_what_cannot_be_a_target_is_named(wrong, says):
    with pytest.raises(ValueError, match=says):
        Target(**{"labels": LABELS} | wrong)


def test_targets_may_be_given_as_they_are():
    target = Target(LABELS, mask=MASK)
    z, objective = torch.randn(B, T, C), IntraDistillation(passes=1)
    values = {
        objective(lambda b: z, given, torch.zeros(B), 1, 1).total
        for given in (target, {"logits": target}, lambda b: target, lambda b: {"logits": target})
    }
    assert len(set(map(float, values))) == 1


@dataclass
class Output:
    """As transformers gives them, which may be a mapping too."""

    logits: torch.Tensor


class Outputs(dict):
    logits = property(lambda self: self["logits"])


Z = torch.zeros(B, T, C)


@pytest.mark.parametrize(
    ("given", "output", "says"),
    [
        (LABELS, Z, r"'logits' is of type Tensor.*Target\(labels\)"),
        (lambda b: LABELS, Z, r"'logits' is of type Tensor.*Target\(labels\)"),
        (lambda b: {"start": Target(LABELS), "end": LABELS}, Z, "'end' is of type Tensor"),
        (Target(LABELS.masked_fill(~MASK, -100)), Z, "label -100.* give mask=labels != -100"),
        (Target(LABELS + 1), Z, r"label 4 is not a class in 0..3$"),
        (Target(LABELS), Output(Z), "gives Output, .*: give its .logits"),
        (Target(LABELS), Outputs(loss=Z.sum(), logits=Z), "gives Outputs, .*: give its .logits"),
        (Target(LABELS), Outputs(logits=Z, cache=(Z,)), "gives Outputs, .*: give its .logits"),
    ],
)
def test_first_mistakes_are_told_with_their_remedy(given, output, says):
    with pytest.raises(ValueError, match=says):
        IntraDistillation(passes=1)(lambda b: output, given, torch.zeros(B), 1, 1)


def test_boolean_masks_are_checked_without_reading_a_value():
    """On a GPU that would wait for the device; tensors on ``meta`` have no values to read."""
    labels, mask = LABELS.to("meta"), MASK.to("meta")
    target = Target(labels, mask, class_mask=CLASSES.expand(B, T, C).to("meta"))
    assert target.mask is mask


@pytest.mark.parametrize("classes", [1, 3, 5])
def test_a_class_mask_for_other_classes_than_the_logits_is_refused(classes):
    with pytest.raises(ValueError, match=f"class_mask is for {classes} classes.* 4"):
        total(Target(LABELS, class_mask=torch.ones(classes, dtype=torch.bool)))


@pytest.mark.parametrize("shape", [(B,), (B, 1), (B, T, 1, 1)])
def test_a_regression_of_another_shape_is_refused(shape):
    """Broadcast, it would compare each pass of one example with the labels of all."""
    target = Target(torch.zeros(shape), kind="regression")
    z = torch.randn(K * B, T)
    with pytest.raises(ValueError, match="do not fit"):
        IntraDistillation(passes=K)(lambda b: z, lambda b: target, torch.zeros(B), 1, 1)


def test_masked_values_of_a_regression_reach_no_gradient():
    z = torch.randn(K * B, T, requires_grad=True)
    target = Target(torch.zeros(B, T).masked_fill(~MASK, torch.nan), MASK, kind="regression")
    objective = IntraDistillation(passes=K)
    objective(lambda b: z, lambda b: target, torch.zeros(B), 1, 1).total.backward()
    kept = MASK.repeat(K, 1)
    assert (z.grad[~kept] == 0).all() and (z.grad[kept] != 0).all()
