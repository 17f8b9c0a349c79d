"""The kernel equals the chunks and the plain losses: on a GPU, or else in Triton's interpreter.

Triton decides when it is first imported whether it interprets, so that without a GPU these tests
run in a process of their own, which the first of them starts. On a GPU each test compiles its
kernels, so that some processes are to share them: ``pytest -n 12 tests/method/test_kernel.py``.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from idlib.method import fused
from idlib.method.against import Against
from idlib.method.losses import DIVERGENCES, cross_entropy

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
ON_GPU = torch.cuda.is_available() and not INTERPRETED
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
WEIGHTS = 0.3, 0.7, 2.5  # of task loss, divergence, and α

if ON_GPU or INTERPRETED:
    launch = pytest.importorskip("idlib.method.launch", reason="triton is not installed")

runs = pytest.mark.skipif(
    not (ON_GPU or INTERPRETED), reason="test_the_kernel_in_the_interpreter runs this one"
)
pytestmark = pytest.mark.filterwarnings("ignore:overflow|invalid value:RuntimeWarning")


@pytest.mark.slow
@pytest.mark.skipif(ON_GPU or INTERPRETED, reason="the tests below run in this process")
def test_the_kernel_in_the_interpreter() -> None:
    pytest.importorskip("triton", reason="triton is not installed: its builds are for Linux")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", __file__],
        cwd=root,
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-8000:] + done.stderr


def made(passes: int, positions: int, classes: int, dtype=torch.float32, noise: float = 0.5):
    """Logits ``[K, P, C]``, fresh ones each time."""
    z = 2 * torch.randn(positions, classes, device=DEVICE)
    return (z + noise * torch.randn(passes, positions, classes, device=DEVICE)).to(dtype)


def asked(positions: int, classes: int, **more) -> Against:
    labels = torch.randint(classes, (positions,), device=DEVICE)
    return Against(labels, *WEIGHTS, **more)


def poisoned(z):
    return torch.full_like(z, math.nan)


ASKED = [(1, "x"), (2, "kl"), (3, "x"), (3, "js"), (5, "x")]
WAYS = ["plain", "smoothed", "taught, mask", "taught, smoothed, all, mask", "each, padded"]
WAYS += ["smoothed, each, mask, padded"]


@runs
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("passes, divergence", ASKED)
def test_equal_to_the_chunks(passes: int, divergence: str, way: str) -> None:
    """Ways to ask for a loss, over whole tiles and the parts at both ends of a row."""
    classes = 171  # the rows begin at 0 and 171, the tiles at multiples of 64
    z = made(passes, 2, classes)
    each = torch.rand(2, classes, device=DEVICE) < 0.7
    each[:, :2] = True
    chosen = each[0] if "all" in way else each if "each" in way else None
    words = torch.randn(2, classes, device=DEVICE)
    if chosen is not None:
        words = words.masked_fill(~chosen, -math.inf)
    against = asked(
        2,
        classes if chosen is None else 2,
        divergence=divergence,
        smoothing=0.1 * ("smoothed" in way),
        mask=torch.tensor([False, True], device=DEVICE) if "mask" in way else None,
        class_mask=chosen,
        taught=words.softmax(-1) if "taught" in way else None,
        padded="padded" in way,
    )
    expected, inside = torch.empty_like(z), z.clone()
    sums = fused._over_chunks(z, against, expected)
    found = launch.losses(inside, against, inside, launch.Launch(groups=32, width=2, warps=1))
    torch.testing.assert_close(found, sums)
    torch.testing.assert_close(inside, expected)


@runs
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_without_a_gradient_the_values_are_the_same(divergence) -> None:
    z, against = made(3, 2, 83), asked(2, 83, smoothing=0.1, divergence=divergence)
    expected = launch.losses(z, against, gradient := poisoned(z))
    assert gradient.isfinite().all()
    torch.testing.assert_close(launch.losses(z, against, None), expected)


SHAPES = [(2, 5), (2, 64), (3, 333), (4, 333)]  # rows begin at multiples of 1, 4, 16 bytes
if ON_GPU:  # where each shape is compiled
    SHAPES = [(3, 333), (257, 12_000), (64, 119_547), (63, 119_547)]


@runs
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("positions, classes", SHAPES)
def test_equal_to_the_plain_losses_in_double_precision(positions, classes, dtype) -> None:
    """Whatever the alignment of rows, in the logits' own precision."""
    z = made(3, positions, classes, dtype)
    against = asked(positions, classes, smoothing=0.1)
    whole = z.double().requires_grad_()
    exact = plain(whole, against)
    exact[0].backward()
    for kept in {dtype, torch.float32 if dtype == torch.float16 else dtype}:
        gradient = poisoned(z).to(kept)
        found = launch.losses(z, against, gradient)
        torch.testing.assert_close(found, tuple(part.float() for part in exact[1:]))
        error = (gradient.double() - whole.grad).norm() / whole.grad.norm()
        assert error < {torch.float32: 1e-5, torch.bfloat16: 8e-3, torch.float16: 1e-3}[kept]


def plain(z, against: Against):
    """Total, task, and divergence by the plain losses."""
    task = cross_entropy(z, against.labels, against.smoothing).mean(0).sum()
    divergence = DIVERGENCES[against.divergence](z).sum()
    task, divergence = against.task_weight * task, against.divergence_weight * divergence
    return task + against.alpha * divergence, task, divergence


@runs
@pytest.mark.parametrize("offset", [0.0, 300.0, 1e6])
def test_small_divergences_keep_the_digits_that_they_have(offset) -> None:
    """Value and gradient as exact as the plain form's, to within four times, over many draws."""
    errors = []
    for _ in range(40 if ON_GPU else 6):
        z = made(3, 4, 40, noise=1e-4) + offset * torch.arange(3, device=DEVICE)[:, None, None]
        against = asked(4, 40)._replace(task_weight=0.0)
        exact, whole = z.double().requires_grad_(), z.clone().requires_grad_()
        ours = launch.losses(z, against, gradient := poisoned(z))
        theirs, value = plain(whole, against), plain(exact, against)
        theirs[0].backward()
        value[0].backward()
        errors.append(
            [
                float((ours[1] / value[2]).detach()) - 1,
                float((theirs[2] / value[2]).detach()) - 1,
                float((gradient - exact.grad).norm() / exact.grad.norm()),
                float((whole.grad - exact.grad).norm() / exact.grad.norm()),
            ]
        )
    ours, theirs, of_ours, of_theirs = torch.tensor(errors).square().mean(0).sqrt().tolist()
    assert ours <= 4 * max(theirs, 1e-6)
    assert of_ours <= 4 * max(of_theirs, 1e-6)


@runs
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_equal_passes_have_no_divergence_and_no_gradient_of_it(divergence) -> None:
    z = made(1, 3, 77).expand(3, -1, -1).contiguous()
    against = asked(3, 77, divergence=divergence)._replace(task_weight=0.0)
    gradient = poisoned(z)
    assert launch.losses(z, against, gradient)[1] == 0
    # A GPU takes p_1 from the unrounded product p_i, so that its rounding is left, 6e-8 of p.
    assert gradient.abs().max() <= (1e-7 if ON_GPU else 0)


@runs
@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("size", [1e4, 1e37])
def test_huge_logits_stay_finite(size: float, divergence) -> None:
    z = size * made(3, 3, 77).sign()
    gradient = poisoned(z)
    found = launch.losses(z, asked(3, 77, divergence=divergence, smoothing=0.1), gradient)
    assert all(part.isfinite() for part in found) and gradient.isfinite().all()


@runs
@pytest.mark.parametrize("rubbish", [math.inf, -math.inf, math.nan])
def test_what_does_not_count_may_be_anything(rubbish: float) -> None:
    z, mask = made(3, 3, 77), torch.tensor([True, False, True], device=DEVICE)
    counted = torch.arange(77, device=DEVICE) < 70
    against = asked(3, 70, mask=mask, class_mask=counted, smoothing=0.1)
    against = against._replace(labels=against.labels.where(mask, -100))
    expected = launch.losses(z, against, None)
    spoilt = z.clone()
    spoilt[:, ~mask] = rubbish
    spoilt[..., 70:] = rubbish
    gradient = poisoned(z)
    torch.testing.assert_close(launch.losses(spoilt, against, gradient), expected)
    assert gradient.isfinite().all()
    assert not gradient[:, ~mask].any() and not gradient[..., 70:].any()


@runs
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "passes, positions, classes", [(1, 3, 7), (3, 4, 37), (3, 3, 37), (2, 6, 9)]
)
def test_groups_of_all_passes_begin_at_the_same_class(passes, positions, classes, dtype) -> None:
    z = made(passes, positions, classes, dtype)
    width = launch.launch_of(z).width
    assert width * z.element_size() <= 16 and z.stride(0) * (passes > 1) % width == 0
    assert width * z.element_size() == 16 or z.stride(0) % (2 * width)


@runs
def test_each_launch_gives_the_same() -> None:
    z, against = made(3, 2, 300), asked(2, 300, smoothing=0.1)
    expected = launch.losses(z, against, None)
    for cut in (
        launch.Launch(32, 4, 1),
        launch.Launch(64, 1, 2),
        launch.Launch(32, 2, 1),
    ):
        gradient = poisoned(z)
        torch.testing.assert_close(launch.losses(z, against, gradient, cut), expected)
        assert gradient.isfinite().all()


@runs
def test_weights_may_lie_on_the_device_and_logits_anyhow() -> None:
    z, against = made(3, 4, 33), asked(4, 33)
    weights = (torch.tensor(w, device=DEVICE, dtype=torch.float64) for w in WEIGHTS[:2])
    on_device = against._replace(
        **dict(zip(("task_weight", "divergence_weight"), weights, strict=True))
    )
    expected = torch.empty_like(z)
    sums = launch.losses(z, against, expected)
    turned = z.movedim(0, 1).contiguous().movedim(1, 0)  # [K, P, C], the passes side by side
    across = z.mT.contiguous().mT  # the classes apart
    for form in (turned, across, torch.cat([z, z], -1)[..., 33:]):
        for into in (poisoned(z), form):
            torch.testing.assert_close(launch.losses(form, on_device, into), sums)
            torch.testing.assert_close(into, expected)


@runs
@pytest.mark.parametrize("factor", [1.0, 0.25])
def test_scaling_in_place(factor: float) -> None:
    numbers = torch.randn(3, 1001, device=DEVICE)
    expected = numbers * factor
    by = torch.tensor(factor, device=DEVICE)
    assert torch.equal(launch.scale(numbers, by), expected)
    assert torch.equal(numbers, expected)
    assert torch.equal(launch.scale(numbers.mT, by), expected.mT * factor)


@pytest.fixture
def by_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fused losses take the kernel, as they do on a GPU."""
    if not ON_GPU:
        monkeypatch.setattr(fused, "_launch_for", lambda logits: launch)


@runs
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_head_of_a_model_has_the_gradients_of_the_plain_losses(by_kernel, overwrite) -> None:
    layer = torch.nn.Linear(4, 40, device=DEVICE)
    hidden = torch.randn(3, 2, 4, device=DEVICE, requires_grad=True)
    sources, against = (hidden, *layer.parameters()), asked(2, 40, smoothing=0.1)
    logits = layer(hidden)
    before = logits.detach().clone()
    found = fused.head_loss(logits, against, overwrite)
    assert torch.equal(before, logits) != overwrite
    gradients = torch.autograd.grad(2.5 * found.total, sources, retain_graph=True)
    expected = plain(layer(hidden), against)
    torch.testing.assert_close(tuple(found), expected)
    expected = torch.autograd.grad(2.5 * expected[0], sources)
    torch.testing.assert_close(gradients, expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(RuntimeError, match="one backward pass"):
        found.total.backward()


@runs
@pytest.mark.skipif(not ON_GPU, reason="waiting is for a GPU")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
def test_nothing_waits_for_the_gpu() -> None:
    z = made(3, 64, 1000, torch.bfloat16).requires_grad_()
    weight = torch.tensor(1 / 64, device=DEVICE, dtype=torch.float64)
    against = asked(64, 1000, smoothing=0.1)._replace(task_weight=weight, divergence_weight=weight)
    fused.head_loss(z, against).total.backward()  # compiles
    torch.cuda.set_sync_debug_mode("error")
    try:
        fused.head_loss(z, against).total.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU the kernel runs")
def test_where_no_kernel_can_run_the_log_says_so_once(caplog) -> None:
    fused._launch_on.cache_clear()
    device = torch.device("cuda")
    assert fused._launch_on(device) is None and fused._launch_on(device) is None
    (record,) = caplog.records
    assert "over chunks" in record.getMessage() and "triton" in record.getMessage()
    fused._launch_on.cache_clear()


@runs
@pytest.mark.skipif(ON_GPU, reason="a failed assertion on a GPU ends the process's work there")
def test_a_wrong_label_is_told() -> None:
    z, against = made(2, 3, 10), asked(3, 10)
    for wrong in (-1, 10, 2**40):
        labels = against.labels.clone()
        labels[1] = wrong
        with pytest.raises(RuntimeError, match="no counted class"):
            launch.losses(z, against._replace(labels=labels), None)
    excluded = torch.arange(10) != int(against.labels[0])
    with pytest.raises(RuntimeError, match="no counted class"):
        launch.losses(z, against._replace(class_mask=excluded), None)
