"""The choices of the method by name; without torch, so that settings and help can read them."""

from typing import Literal, get_args

Divergence = Literal["x", "js", "kl"]
Mode = Literal["stack", "loop", "cached"]
Reduction = Literal["mean", "sum", "sum_padded"]
Kind = Literal["classes", "regression"]

REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)
KINDS: tuple[Kind, ...] = get_args(Kind)
