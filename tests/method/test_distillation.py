"""A teacher is its model in evaluation mode, and learns nothing."""

import torch
from torch import nn

from idlib.method.distillation import frozen_teacher
from idlib.method.objective import IntraDistillation
from idlib.method.targets import Target


def test_a_teacher_is_deterministic_and_gets_no_gradient():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    teacher = frozen_teacher(model, lambda m: m)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    x = torch.randn(4, 3, requires_grad=True)
    assert torch.equal(teacher(x), teacher(x))
    assert not teacher(x).requires_grad and not model.training

    student = nn.Linear(3, 3)
    parts = IntraDistillation(passes=1, alpha=0.0)(
        student, lambda b: Target(torch.zeros(4, dtype=torch.int64)), x, 1, 1, teacher=teacher
    )
    parts.total.backward()
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())


def test_a_student_that_says_what_its_teacher_says_has_only_its_entropy_left():
    z, labels = torch.randn(5, 4, dtype=torch.float64), torch.zeros(5, dtype=torch.int64)
    plain, taught = (
        IntraDistillation(passes=1, alpha=0.0)(lambda b: z, lambda b: Target(labels), z, 1, 1, t)
        for t in (None, lambda b: z)
    )
    entropy = torch.distributions.Categorical(logits=z).entropy().mean()
    torch.testing.assert_close(taught.total - plain.total, entropy)
