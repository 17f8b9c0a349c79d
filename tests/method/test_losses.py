"""Divergences and cross-entropies: their definitions, identities, and finite at any size."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from idlib.method.losses import (
    DIVERGENCES,
    cross_entropy,
    js_divergence,
    soft_cross_entropy,
    symmetric_kl,
    x_divergence,
)

ALL = list(DIVERGENCES.values())


def reference(logits, kind="x"):
    """The definitions in float64, from probabilities and their logarithms."""
    z = logits.double()
    z = z - z.amax(-1, keepdim=True)
    log_p = z - z.exp().sum(-1, keepdim=True).log()
    p = log_p.exp()
    mean = p.mean(0)
    log_mean = mean.log()
    if kind == "x":
        return (p * (log_p - log_mean) + mean * (log_mean - log_p)).sum(-1).mean(0)
    if kind == "js":
        return (p * (log_p - log_mean)).sum(-1).mean(0)
    pairs = [
        (p[i] * (log_p[i] - log_p[j]) + p[j] * (log_p[j] - log_p[i])).sum(-1) / 2
        for i, j in itertools.combinations(range(len(p)), 2)
    ]
    return torch.stack(pairs).mean(0)


def passes(scale, classes, noise, offset=0.0, positions=200, count=3, seed=0):
    """Logits [K, positions, C] in float64: common ones, noise per pass, a constant per pass."""
    generator = torch.Generator().manual_seed(seed)
    if classes > 1000:
        positions = min(positions, 20)
    draw = {"generator": generator, "dtype": torch.float64}
    common = scale * torch.randn(1, positions, classes, **draw)
    constants = offset * torch.arange(count, dtype=torch.float64).view(count, 1, 1)
    return common + noise * torch.randn(count, positions, classes, **draw) + constants


grid = pytest.mark.parametrize(
    "scale, classes, offset", list(itertools.product((1, 5, 15), (2, 37, 12000), (0, 100)))
)


@grid
@pytest.mark.parametrize("kind", DIVERGENCES)
def test_divergences_agree_with_their_definitions(scale, classes, offset, kind):
    """At each position where the passes differ, and on average where they nearly agree."""
    z = passes(scale, classes, 1.0, offset).float()
    bar = {"rtol": 1e-5, "atol": 0} if kind == "x" else {"rtol": 3e-5, "atol": 1e-12}
    torch.testing.assert_close(DIVERGENCES[kind](z).double(), reference(z, kind), **bar)
    near = passes(scale, classes, 1e-4, offset).float()
    value, expected = DIVERGENCES[kind](near).double(), reference(near, kind)
    assert value.mean().item() == pytest.approx(expected.mean().item(), rel=1e-3)
    assert value.min() >= -1e-12
    if kind == "x" and scale <= 5 and offset == 0:
        rtol = 5e-2 if classes == 2 else 1e-2
        torch.testing.assert_close(value, expected, rtol=rtol, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale, classes", [(1, 2), (5, 37), (15, 37), (5, 12000)])
def test_half_precision_logits_under_autocast(dtype, scale, classes):
    z = passes(scale, classes, 1.0).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for kind, divergence in DIVERGENCES.items():
            value = divergence(z)
            assert value.dtype == torch.float32
            torch.testing.assert_close(
                value.double(), reference(z, kind), rtol=1e-4, atol=1e-9, msg=kind
            )
        labels = torch.zeros(z.shape[:-1], dtype=torch.int64)
        expected = F.cross_entropy(z.double().movedim(-1, 1), labels, reduction="none")
        torch.testing.assert_close(
            cross_entropy(z, labels).double(), expected, rtol=1e-4, atol=1e-6
        )


def test_float64_stays_and_autocast_does_not_touch_it():
    z = passes(5, 37, 1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert x_divergence(z).dtype == torch.float64
        torch.testing.assert_close(x_divergence(z), reference(z), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("divergence", ALL)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_gradcheck_of_the_divergences(divergence, masked, offset):
    z = passes(2, 4, 1.0, offset, positions=3).requires_grad_()
    mask = torch.tensor([True, False, True, True]) if masked else None
    assert torch.autograd.gradcheck(lambda x: divergence(x, mask), (z,))
    assert torch.autograd.gradgradcheck(lambda x: divergence(x, mask), (z,))


def test_gradcheck_of_the_cross_entropies():
    z = passes(2, 4, 1.0, positions=3)[0].requires_grad_()
    mask = torch.tensor([True, False, True, True])
    labels = torch.tensor([0, 2, 3])
    target = torch.rand(3, 4, dtype=torch.float64).softmax(-1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, labels, 0.1, mask), (z,))
    assert torch.autograd.gradcheck(lambda x, t: soft_cross_entropy(x, t, mask), (z, target))


@pytest.mark.parametrize(
    "scale, noise, dtype, bar",
    [
        (1, 1.0, torch.float64, 1e-13),
        (15, 1.0, torch.float64, 1e-13),
        (5, 1e-4, torch.float64, 1e-10),
        (1, 1.0, torch.float32, 1e-6),
        (15, 1.0, torch.float32, 1e-6),
        (5, 1e-4, torch.float32, 2e-3),
    ],
)
def test_the_gradient_of_x_is_the_closed_form(scale, noise, dtype, bar):
    z = passes(scale, 37, noise).to(dtype).requires_grad_()
    (gradient,) = torch.autograd.grad(x_divergence(z).sum(), z)
    exact = z.detach().double()
    p, d = exact.softmax(-1), exact - exact.mean(0)
    closed = (p - p.mean(0) + p * (d - (p * d).sum(-1, keepdim=True))) / 3
    error = (gradient.double() - closed).norm() / closed.norm()
    assert error < bar


@pytest.mark.parametrize("divergence", ALL)
def test_finite_at_a_gap_of_120(divergence):
    z = torch.tensor([[[120.0, 0.0, 0.0]], [[0.0, 120.0, 0.0]], [[0.0, 0.0, 120.0]]])
    z.requires_grad_()
    value = divergence(z)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    assert torch.isfinite(value).all() and torch.isfinite(gradient).all()
    kind = next(name for name, function in DIVERGENCES.items() if function is divergence)
    torch.testing.assert_close(value.double(), reference(z.detach(), kind), rtol=1e-5, atol=0)


@pytest.mark.parametrize("divergence", ALL)
@pytest.mark.parametrize("count", [1, 2, 3, 20])
@pytest.mark.parametrize("size", [1e4, 1e20, 1e37])
def test_finite_for_huge_logits(divergence, count, size):
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(-1, 2, (count, 50, 12), generator=generator)
    for z in (size * signs.float(), size * torch.rand(count, 50, 12, generator=generator)):
        z.requires_grad_()
        value = divergence(z)
        (gradient,) = torch.autograd.grad(value.mean(), z)
        assert torch.isfinite(value).all() and torch.isfinite(gradient).all()
        assert value.min() >= -1e-12


def test_disjoint_passes_reach_the_bound_of_js():
    z = 1e37 * torch.eye(3).unsqueeze(1)
    assert js_divergence(z).item() == pytest.approx(math.log(3))


def test_cross_entropies_are_finite_for_huge_logits():
    z = (1e37 * torch.randint(-1, 2, (50, 12000)).float()).requires_grad_()
    labels = torch.arange(50)
    for value in (
        cross_entropy(z, labels, smoothing=0.1),
        soft_cross_entropy(z, torch.full((50, 12000), 1 / 12000)),
    ):
        (gradient,) = torch.autograd.grad((value / 50).sum(), z)
        assert torch.isfinite(value).all() and torch.isfinite(gradient).all()


@pytest.mark.parametrize("divergence", ALL)
@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_equal_passes_give_exactly_zero_and_no_gradient(divergence, count):
    z = passes(15, 37, 0.0, count=count).float().requires_grad_()
    value = divergence(z)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    assert value.abs().max() <= 1e-12
    assert gradient.abs().max() <= 1e-6
    if divergence is not js_divergence:
        assert value.abs().max() == 0 and gradient.abs().max() == 0


@pytest.mark.parametrize("divergence", ALL)
def test_shapes(divergence):
    assert divergence(torch.randn(3, 5)).shape == ()
    assert divergence(torch.randn(3, 2, 4, 5)).shape == (2, 4)
    assert divergence(torch.randn(3, 0, 5)).shape == (0,)


@pytest.mark.parametrize("divergence", ALL)
def test_the_order_of_passes_does_not_matter(divergence):
    z = passes(5, 37, 1.0).float()
    for order in itertools.permutations(range(3)):
        torch.testing.assert_close(divergence(z[list(order)]), divergence(z), rtol=1e-5, atol=0)


@pytest.mark.parametrize("divergence", ALL)
def test_constants_added_to_a_pass_do_not_matter(divergence):
    z = passes(5, 37, 1.0)
    constants = 1000 * torch.randn(3, 200, 1, dtype=torch.float64)
    torch.testing.assert_close(divergence(z + constants), divergence(z), rtol=1e-9, atol=1e-12)
    only = constants.expand_as(z).float()
    assert divergence(z[:1].float().expand_as(z)).abs().max() <= 1e-12
    assert divergence(only).abs().max() <= 1e-12


@pytest.mark.parametrize("scale", [1, 5, 15])
def test_x_is_at_least_js_and_js_at_most_log_k(scale):
    z = passes(scale, 37, 3.0)
    x, j = x_divergence(z), js_divergence(z)
    assert (x >= j).all() and (j >= 0).all() and (j <= math.log(3)).all()


def test_x_is_half_the_mean_symmetric_kl_over_all_ordered_pairs():
    z = passes(5, 37, 1.0, count=4)
    total = torch.zeros(200, dtype=torch.float64)
    for i, j in itertools.product(range(4), repeat=2):
        p, q = z[i].log_softmax(-1), z[j].log_softmax(-1)
        total += (p.exp() * (p - q) + q.exp() * (q - p)).sum(-1)
    torch.testing.assert_close(x_divergence(z), total / (2 * 4**2), rtol=1e-10, atol=1e-15)


def test_two_passes_give_the_regulariser_of_r_drop():
    z = passes(5, 37, 1.0, count=2)
    p, q = z.log_softmax(-1)
    published = (
        F.kl_div(p, q, reduction="none", log_target=True).sum(-1)
        + F.kl_div(q, p, reduction="none", log_target=True).sum(-1)
    ) / 2
    torch.testing.assert_close(symmetric_kl(z), published, rtol=1e-10, atol=1e-15)
    torch.testing.assert_close(x_divergence(z), published / 2, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("divergence", ALL)
@pytest.mark.parametrize("rubbish", [0.0, 1e37, math.inf, -math.inf, math.nan])
def test_masking_equals_deleting(divergence, rubbish):
    z = passes(5, 9, 1.0).float()
    mask = torch.tensor([True, False, True, True, False, True, True, True, False])
    kept = z[..., mask].clone().requires_grad_()
    full = z.clone()
    full[..., ~mask] = rubbish
    full.requires_grad_()
    for shaped in (mask, mask.expand(200, 9)):
        masked, deleted = divergence(full, shaped), divergence(kept)
        torch.testing.assert_close(masked, deleted, rtol=1e-5, atol=1e-12)
        (of_full,) = torch.autograd.grad(masked.sum(), full)
        (of_kept,) = torch.autograd.grad(deleted.sum(), kept)
        torch.testing.assert_close(of_full[..., mask], of_kept, rtol=1e-4, atol=1e-6)
        assert (of_full[..., ~mask] == 0).all()


@pytest.mark.parametrize("rubbish", [0.0, 1e37, math.inf, -math.inf, math.nan])
def test_masking_equals_deleting_in_cross_entropy(rubbish):
    z = passes(5, 5, 1.0)[0]
    mask = torch.tensor([True, False, True, True, False])
    z[:, ~mask] = rubbish
    z.requires_grad_()
    labels = torch.randint(0, 3, (200,), generator=torch.Generator().manual_seed(0))
    places = mask.nonzero().squeeze(-1)
    target = passes(1, 5, 1.0)[1].softmax(-1)
    for masked, deleted in (
        (
            cross_entropy(z, places[labels], 0.1, mask),
            cross_entropy(z.detach()[:, mask], labels, 0.1),
        ),
        (
            soft_cross_entropy(z, target, mask),
            soft_cross_entropy(z.detach()[:, mask], target[:, mask]),
        ),
    ):
        torch.testing.assert_close(masked, deleted)
        (gradient,) = torch.autograd.grad(masked.sum(), z)
        assert torch.isfinite(gradient).all() and (gradient[:, ~mask] == 0).all()


def test_masks_may_differ_by_position():
    z = passes(5, 4, 1.0, positions=3)
    mask = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1], [1, 0, 0, 0]]).bool()
    value = x_divergence(z, mask)
    torch.testing.assert_close(value[0], x_divergence(z[:, 0, :2]))
    torch.testing.assert_close(value[1], x_divergence(z[:, 1, 1:]))
    assert value[2] == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_is_that_of_torch(smoothing):
    z = passes(5, 37, 1.0)[0]
    labels = torch.randint(0, 37, (200,), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        cross_entropy(z, labels, smoothing),
        F.cross_entropy(z, labels, reduction="none", label_smoothing=smoothing),
        rtol=1e-12,
        atol=1e-12,
    )


def test_a_one_hot_target_gives_the_cross_entropy_to_its_label():
    z = passes(5, 37, 1.0)[0]
    labels = torch.arange(200) % 37
    torch.testing.assert_close(
        soft_cross_entropy(z, F.one_hot(labels, 37).double()), cross_entropy(z, labels)
    )


def test_labels_and_targets_serve_all_passes():
    z = passes(5, 37, 1.0)
    labels = torch.arange(200) % 37
    target = z[0].softmax(-1)
    assert cross_entropy(z, labels).shape == soft_cross_entropy(z, target).shape == (3, 200)
    torch.testing.assert_close(cross_entropy(z, labels)[1], cross_entropy(z[1], labels))


Z = torch.zeros(3, 2, 4)
LABELS = torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize("divergence", ALL)
@pytest.mark.parametrize(
    "logits, mask, named",
    [
        (torch.zeros(4), None, r"\[K, ..., C\], not \(4,\)"),
        (Z.long(), None, "floating-point, not torch.int64"),
        (Z[..., :0], None, "no classes"),
        (Z[:0], None, "no passes"),
        (Z, torch.tensor([[1, 0, 0, 0], [0, 0, 0, 0]]).bool(), "excludes every class"),
        (Z, torch.ones(4), "class_mask must be bool"),
        (Z, torch.ones(5).bool(), r"class_mask has shape \(5,\)"),
        (Z, torch.ones(3, 2, 4).bool(), r"class_mask has shape \(3, 2, 4\)"),
    ],
)
def test_divergences_name_what_is_wrong(divergence, logits, mask, named):
    with pytest.raises(ValueError, match=named):
        divergence(logits, mask)


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: cross_entropy(torch.tensor(1.0), LABELS), r"\[..., C\], not \(\)"),
        (lambda: cross_entropy(Z[0], LABELS.int()), "labels must be int64, not torch.int32"),
        (lambda: cross_entropy(Z[0], LABELS + 4), r"label 4 is not a class in 0\.\.3"),
        (lambda: cross_entropy(Z[0], LABELS - 100), "label -100 is not a class"),
        (lambda: cross_entropy(Z[0], LABELS[:1].expand(5)), r"labels has shape \(5,\)"),
        (lambda: cross_entropy(Z[0], LABELS, 1.5), r"smoothing must lie in 0\.\.1, not 1.5"),
        (
            lambda: cross_entropy(Z[0], LABELS, 0.0, torch.tensor([False, True, True, True])),
            "label 0 is a class that class_mask excludes",
        ),
        (lambda: soft_cross_entropy(Z[0], Z[0].long()), "target_probs must be floating-point"),
        (lambda: soft_cross_entropy(Z[0], Z[0, :, :3]), r"target_probs has shape \(2, 3\)"),
        (lambda: soft_cross_entropy(Z[0].int(), Z[0]), "floating-point"),
    ],
)
def test_cross_entropies_name_what_is_wrong(call, named):
    with pytest.raises(ValueError, match=named):
        call()
