"""The fused loss of a head on a GPU: one Triton kernel, two reads of the logits and one write.

A program takes one position, a tile of classes at a time. The first read gives each pass's largest
logit, its sum of exponentials and ``<p_i, d_i>`` beside them; the second gives X's value and the
gradient as :mod:`idlib.method.fused` states it. The Jensen-Shannon divergence takes one more read
between, since ``l_i`` needs the sums. A tile is ``[groups, width]``: a group is what one thread
loads at once, 16 bytes wherever the rows allow it, and has a running maximum of its own, so that
the threads of a program meet once a read and not once a tile.

In the first read ``d_i`` is that of logits minus their running maxima, so that a constant of a
pass's own costs no digits: where the maxima rise by r_i, ``<e_i, d_i>`` falls by ``r_i - mean r``
times the sum of the ``e_i``. The second read knows the maxima, and aligns the passes as
:func:`~idlib.method.losses.x_divergence` does.

:mod:`idlib.method.launch` starts it.
"""

from __future__ import annotations

import triton
import triton.language as tl

LOW = tl.constexpr(-3.0e38)  # for a class that does not count: differences from it are finite


@triton.jit
def _exp(x):
    """As ``tl.exp``, with results below 1e-38 as 0: a third of the instructions."""
    return tl.exp2(x * 1.4426950408889634)


@triton.jit
def _load(
    row, mask_row, at, group, start, shift, classes,
    EDGE: tl.constexpr, MASKED: tl.constexpr, HINT: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """Tiles of the passes in float32, ``LOW`` where a class does not count; which do."""
    counted = _in_row(at, start, shift, classes)
    if MASKED:
        counted = tl.load(mask_row + (start + at - shift), mask=counted, other=0) != 0
    z = ()
    for k in tl.static_range(K):
        place = row[k] + start + at
        if EDGE:
            # A group is loaded whole where it holds a class of the row. What it reads of its
            # neighbours lies in the same 16 bytes, which are there, and is not used.
            inside = start + group + tl.zeros_like(at) < shift + classes
            one = tl.load(place, mask=inside, other=0.0, eviction_policy=HINT)
        else:
            one = tl.load(place, eviction_policy=HINT)
        one = one.to(tl.float32)
        if EDGE or MASKED:
            one = tl.where(counted, one, LOW)
        z = z + (one,)
    return z, counted


@triton.jit
def _in_row(at, start, shift, classes):
    return (start + at >= shift) & (start + at < shift + classes)


@triton.jit
def _centred(x, K: tl.constexpr):
    """A tuple of one tensor a pass, minus their mean; 0 where they are equal.

    Exactly 0 of numbers that are loaded; of products, which a GPU fuses with the difference, their
    rounding is left.
    """
    mean = tl.zeros_like(x[0])
    for k in tl.static_range(1, K):
        mean += (x[k] - x[0]) * (1.0 / K)
    out = (-mean,)
    for k in tl.static_range(1, K):
        out = out + (x[k] - x[0] - mean,)
    return out


@triton.jit
def _first(
    z, counted, top, total, inner, raw, share,
    X: tl.constexpr, SMOOTHED: tl.constexpr, SELECT: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """Running maxima, sums of exponentials, ``<e_i, d_i>`` and mean logits, with one tile more."""
    tops, below, rise = (), (), ()
    for k in tl.static_range(K):
        highest = tl.maximum(top[k], tl.max(z[k], 1))
        tops = tops + (highest,)
        below = below + (z[k] - highest[:, None],)
        rise = rise + (highest - top[k],)
    d = _centred(below, K)
    more = _centred(rise, K)
    totals, inners, raws = (), (), ()
    for k in tl.static_range(K):
        e = _exp(below[k])
        before = total[k] * _exp(-rise[k])
        totals = totals + (before + tl.sum(e, 1),)
        if X:
            now = inner[k] * _exp(-rise[k]) - before * more[k]
            inners = inners + (now + tl.sum(e * d[k], 1),)
        else:
            inners = inners + (inner[k],)
        if SMOOTHED:
            part = z[k]
            if SELECT:
                part = tl.where(counted, part, 0.0)
            # A share at a time, so that the sum over huge logits does not overflow.
            raws = raws + (raw[k] + tl.sum(part, 1) * share,)
        else:
            raws = raws + (raw[k],)
    return tops, totals, inners, raws


@triton.jit
def _merged(top, total, inner, raw, X: tl.constexpr, SMOOTHED: tl.constexpr, K: tl.constexpr):
    """The same over all groups: scalars."""
    tops, rise, totals, inners, raws = (), (), (), (), ()
    for k in tl.static_range(K):
        highest = tl.max(top[k], 0)
        tops = tops + (highest,)
        rise = rise + (highest - top[k],)
    more = _centred(rise, K)
    for k in tl.static_range(K):
        factor = _exp(-rise[k])
        totals = totals + (tl.sum(factor * total[k], 0),)
        if X:
            inners = inners + (tl.sum(factor * inner[k] - factor * total[k] * more[k], 0),)
        else:
            inners = inners + (0.0,)
        if SMOOTHED:
            raws = raws + (tl.sum(raw[k], 0),)
        else:
            raws = raws + (0.0,)
    return tops, totals, inners, raws


@triton.jit
def _expm1(x):
    """Of x <= 0."""
    near = x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6 * (1 + x / 7))))))
    return tl.where(x > -0.25, near, _exp(x) - 1)


@triton.jit
def _log1p(x):
    """Of -1 < x <= 0."""
    s = x / (2 + x)
    near = 2 * s * (1 + s * s * (1 / 3 + s * s * (1 / 5 + s * s * (1 / 7 + s * s / 9))))
    return tl.where(x > -0.25, near, tl.log(1 + x))


@triton.jit
def _log_ratios(z, top, total, K: tl.constexpr):
    """``log(p_i / m)`` of each pass; exactly 0 where the passes are equal."""
    below = ()
    for k in tl.static_range(K):
        below = below + (z[k] - top[k],)
    d = _centred(below, K)
    log_p = ()  # up to what the passes share
    highest = d[0] - tl.log(total[0])
    for k in tl.static_range(K):
        log_p = log_p + (d[k] - tl.log(total[k]),)
        highest = tl.maximum(highest, log_p[k])
    mean = tl.zeros_like(highest)
    for k in tl.static_range(K):
        mean += _expm1(log_p[k] - highest) * (1.0 / K)
    log_mean = _log1p(mean)
    out = ()
    for k in tl.static_range(K):
        out = out + (log_p[k] - highest - log_mean,)
    return out


@triton.jit
def _excess(x):
    """``x exp(x) - exp(x) + 1``, by its series near 0."""
    near = x * x * (0.5 + x * (1 / 3 + x * (1 / 8 + x * (1 / 30 + x * (1 / 144 + x / 840)))))
    e = _exp(x)
    return tl.where(tl.abs(x) < 0.2, near, x * e - e + 1)


@triton.jit
def _probabilities(z, top, total, K: tl.constexpr):
    p = ()
    for k in tl.static_range(K):
        p = p + (_exp(z[k] - top[k]) * (1.0 / total[k]),)
    return p


@triton.jit
def _last(
    z, target, top, total, gap, inner, value, of_p, b,
    X: tl.constexpr, JS: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """The gradient, and X's value with one tile more."""
    p = _probabilities(z, top, total, K)
    out = ()
    if X:
        near = (z[0],)
        for k in tl.static_range(1, K):
            near = near + (z[k] - gap[k],)
        d = _centred(near, K)
        r = _centred(p, K)
        for k in tl.static_range(K):
            over = d[k] - inner[k]
            value += tl.sum(r[k] * over, 1) * (1.0 / K)
            out = out + (p[k] * (of_p + b * over) + (b * r[k] - target),)
    elif JS:
        ratio = _log_ratios(z, top, total, K)
        for k in tl.static_range(K):
            out = out + (p[k] * (of_p + b * (ratio[k] - inner[k])) - target,)
    else:
        for k in tl.static_range(K):
            out = out + (p[k] * of_p - target,)
    return out, value


@triton.jit
def _between(z, top, total, inner, value, K: tl.constexpr):
    """``<p_i, l_i>`` and the Jensen-Shannon divergence with one tile more."""
    p = _probabilities(z, top, total, K)
    ratio = _log_ratios(z, top, total, K)
    mean = tl.zeros_like(p[0])
    terms = tl.zeros_like(p[0])
    inners = ()
    for k in tl.static_range(K):
        mean += p[k] * (1.0 / K)
        terms += _excess(ratio[k]) * (1.0 / K)
        inners = inners + (inner[k] + tl.sum(p[k] * ratio[k], 1),)
    return inners, value + tl.sum(mean * terms, 1)


@triton.jit
def _target(
    z, top, spoken, taught_row, counted, at, start, shift, label, hard, soft, a,
    TAUGHT: tl.constexpr, SMOOTHED: tl.constexpr, SELECT: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """What a pass's gradient loses to label, smoothing and teacher; what the teacher has said."""
    here = start + at - shift
    target = tl.where(here == label, hard + soft, soft)
    if SMOOTHED and SELECT:
        target = tl.where(counted, target, 0.0)
    if TAUGHT:
        word = tl.load(taught_row + here, mask=counted, other=0.0).to(tl.float32)
        target += a * word
        for k in tl.static_range(K):
            spoken += tl.sum(word * ((z[k] - top[k]) * (1.0 / K)), 1)
    return target, spoken


@triton.jit
def _number(x, POINTER: tl.constexpr):
    if POINTER:
        return tl.load(x).to(tl.float32)
    else:
        return x


@triton.jit
def _store(row, out, at, start, shift, classes, EDGE: tl.constexpr, K: tl.constexpr):
    for k in tl.static_range(K):
        place = row[k] + start + at
        value = out[k].to(place.dtype.element_ty)
        if EDGE:
            tl.store(place, value, mask=_in_row(at, start, shift, classes))
        else:
            tl.store(place, value)


@triton.jit(do_not_specialize=["stride_pass", "stride_position"])
def loss_kernel(
    logits, gradient, labels, mask, class_mask, taught, values,
    task_weight, divergence_weight, alpha, smoothing,
    classes, stride_pass, stride_position, mask_stride,
    K: tl.constexpr, X: tl.constexpr, JS: tl.constexpr, SCALE: tl.constexpr,
    SMOOTHED: tl.constexpr, MASKED: tl.constexpr, PADDED: tl.constexpr,
    CLASS_MASKED: tl.constexpr, TAUGHT: tl.constexpr, GRADIENT: tl.constexpr,
    WEIGHTS_LIE: tl.constexpr, ALPHA_LIES: tl.constexpr, GROUPS: tl.constexpr, WIDTH: tl.constexpr,
    KEEP: tl.constexpr, LEAVE: tl.constexpr,
):  # fmt: skip
    """One position; ``values`` ``[3, positions]``: weighted losses, and whether its label is wrong.

    ``gradient`` may be ``logits``: in the last read a tile is written once it has been read.
    """
    position, positions = tl.program_id(0).to(tl.int64), tl.num_programs(0).to(tl.int64)
    counts = True
    if MASKED:
        counts = tl.load(mask + position) != 0
    start = position * stride_position.to(tl.int64)
    first = start // WIDTH * WIDTH  # where a group begins
    shift = (start - first).to(tl.int32)
    row, into = (), ()
    for k in tl.static_range(K):
        place = first + k * stride_pass.to(tl.int64) // WIDTH * WIDTH
        row = row + (logits + place,)
        if GRADIENT:
            into = into + (gradient + place,)
    mask_row = class_mask
    if CLASS_MASKED:
        mask_row = class_mask + position * mask_stride
    taught_row = taught
    if TAUGHT:
        taught_row = taught + position * classes

    # Whole tiles lie between low and high; a part of one may stand at either end.
    group = tl.arange(0, GROUPS)[:, None] * WIDTH
    at = group + tl.arange(0, WIDTH)[None, :]
    SPAN: tl.constexpr = GROUPS * WIDTH
    end = shift + classes
    before = tl.minimum(shift, 1)
    low, high = before * SPAN, end // SPAN * SPAN
    after = (high < end) & ((high > 0) | (before == 0))
    edges, edges_end = 1 - before, 1 + after.to(tl.int32)

    if MASKED and not PADDED:
        if not counts:
            for k in tl.static_range(3):
                tl.store(values + k * positions + position, 0.0)
            if GRADIENT:
                none = tl.zeros([GROUPS, WIDTH], tl.float32)
                zeros = (none,) * K
                for edge in range(edges, edges_end):
                    _store(into, zeros, at, edge * high, shift, classes, True, K)
                for tile in range(low, high, SPAN):
                    _store(into, zeros, at, tile, shift, classes, False, K)
            return

    label = tl.load(labels + position)
    known = (label >= 0) & (label < classes)
    label = tl.where(known, label, 0).to(tl.int32)
    if CLASS_MASKED:
        known = known & (tl.load(mask_row + label) != 0)
    of_task = _number(task_weight, WEIGHTS_LIE)  # on the device, or are numbers
    of_divergence = SCALE * _number(divergence_weight, WEIGHTS_LIE)
    if MASKED:
        of_task = tl.where(counts, of_task, 0.0)
    a, b = of_task / K, of_divergence * _number(alpha, ALPHA_LIES) / K
    of_label = ()
    for k in tl.static_range(K):
        of_label = of_label + (tl.load(row[k] + shift + label).to(tl.float32),)

    # First read.
    top, total, inner, raw = (), (), (), ()
    nothing = tl.zeros([GROUPS], tl.float32)
    for _ in tl.static_range(K):
        top = top + (nothing + LOW,)
        total = total + (nothing,)
        inner = inner + (nothing,)
        raw = raw + (nothing,)
    share = 1.0 / classes
    number = nothing
    for tile in range(low, high, SPAN):
        z, counted = _load(
            row, mask_row, at, group, tile, shift, classes, False, CLASS_MASKED, KEEP, K
        )
        top, total, inner, raw = _first(
            z, counted, top, total, inner, raw, share, X, SMOOTHED, CLASS_MASKED, K
        )
        if CLASS_MASKED and SMOOTHED:
            number += tl.sum(counted.to(tl.float32), 1)
    for edge in range(edges, edges_end):
        z, counted = _load(
            row, mask_row, at, group, edge * high, shift, classes, True, CLASS_MASKED, KEEP, K
        )
        top, total, inner, raw = _first(
            z, counted, top, total, inner, raw, share, X, SMOOTHED, True, K
        )
        if CLASS_MASKED and SMOOTHED:
            number += tl.sum(counted.to(tl.float32), 1)
    top, total, inner, raw = _merged(top, total, inner, raw, X, SMOOTHED, K)

    task = 0.0
    for k in tl.static_range(K):
        log_total = tl.log(total[k])
        task += (1 - smoothing) * (top[k] - of_label[k] + log_total) / K
        if SMOOTHED:
            mean = raw[k]
            if CLASS_MASKED:
                mean *= classes / tl.sum(number, 0)
            task += smoothing * (top[k] - mean + log_total) / K
        if TAUGHT:
            task += log_total / K

    gap, value, spoken = (), nothing, nothing
    if X:
        far, over = (), ()
        for k in tl.static_range(K):
            difference = top[k] - top[0]
            whole = tl.where(tl.abs(difference) > 8, tl.floor(difference + 0.5), 0.0)
            gap = gap + (whole,)
            over = over + (top[k] - whole - top[0],)
        over = _centred(over, K)
        for k in tl.static_range(K):  # <p_i, d_i> of the logits as the second read aligns them
            far = far + (inner[k] / total[k] + over[k],)
        inner = far
    # A read between.
    if JS:
        among = ()
        for _ in tl.static_range(K):
            among = among + (nothing,)
        for edge in range(edges, edges_end):
            z, counted = _load(
                row, mask_row, at, group, edge * high, shift, classes, True, CLASS_MASKED, KEEP, K
            )
            among, value = _between(z, top, total, among, value, K)
        for tile in range(low, high, SPAN):
            z, counted = _load(
                row, mask_row, at, group, tile, shift, classes, False, CLASS_MASKED, KEEP, K
            )
            among, value = _between(z, top, total, among, value, K)
        inner = ()
        for k in tl.static_range(K):
            inner = inner + (tl.sum(among[k], 0),)

    # Last read.
    if GRADIENT or X or TAUGHT:
        of_p = a * 2 if TAUGHT else a  # the targets sum up to 1, or to 2
        hard, soft = a * (1 - smoothing), a * smoothing / classes
        if CLASS_MASKED and SMOOTHED:
            soft = a * smoothing / tl.sum(number, 0)
        for edge in range(edges, edges_end):
            tile = edge * high
            z, counted = _load(
                row, mask_row, at, group, tile, shift, classes, True, CLASS_MASKED, LEAVE, K
            )
            target, spoken = _target(
                z, top, spoken, taught_row, counted, at, tile, shift, label, hard, soft, a,
                TAUGHT, SMOOTHED, True, K,
            )  # fmt: skip
            out, value = _last(z, target, top, total, gap, inner, value, of_p, b, X, JS, K)
            if GRADIENT:
                _store(into, out, at, tile, shift, classes, True, K)
        for tile in range(low, high, SPAN):
            z, counted = _load(
                row, mask_row, at, group, tile, shift, classes, False, CLASS_MASKED, LEAVE, K
            )
            target, spoken = _target(
                z, top, spoken, taught_row, counted, at, tile, shift, label, hard, soft, a,
                TAUGHT, SMOOTHED, CLASS_MASKED, K,
            )  # fmt: skip
            out, value = _last(z, target, top, total, gap, inner, value, of_p, b, X, JS, K)
            if GRADIENT:
                _store(into, out, at, tile, shift, classes, False, K)
    if TAUGHT:
        task -= tl.sum(spoken, 0)
    wrong = tl.where(known, 0.0, 1.0)
    if MASKED:
        wrong = tl.where(counts, wrong, 0.0)
    tl.store(values + position, of_task * task)
    tl.store(values + positions + position, of_divergence * tl.sum(value, 0))
    tl.store(values + 2 * positions + position, wrong)


@triton.jit
def scale_kernel(numbers, by, size, BLOCK: tl.constexpr):
    """``size`` numbers times the one that lies at ``by``, in place."""
    factor = tl.load(by).to(tl.float32)
    if factor != 1.0:  # else nothing is read
        each = tl.num_programs(0).to(tl.int64) * BLOCK
        for start in range(tl.program_id(0).to(tl.int64) * BLOCK, size, each):
            at = start + tl.arange(0, BLOCK)
            number = tl.load(numbers + at, mask=at < size)
            scaled = (number.to(tl.float32) * factor).to(number.dtype)
            tl.store(numbers + at, scaled, mask=at < size)
