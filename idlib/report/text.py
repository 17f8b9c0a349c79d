"""Small parts of text: counts, ranges, and names from anybody's data in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NOTHING = "–"
NOT_STATED = "not stated"  # where a published figure is not at hand


def literal(text: object) -> str:
    r"""A text as Markdown shows it as it is, inside a line and in a table's cell.

    For what somebody's data name: a folder, a data set, a class, a language.

    >>> print(literal("my_data*|<b>"))
    my\_data\*\|\<b\>
    >>> print(literal("# 1"), literal("1. a"))
    \# 1 1\. a
    """
    inline = re.sub(r"[\\`*_\[\]<>|~$&{]", r"\\\g<0>", " ".join(str(text).split()))
    return re.sub(r"^(\d+(?=[.)])|(?=[#+:%(=-]))", r"\1\\", inline)  # would begin a block


def bullets(lines: Iterable[str]) -> str:
    """Lines of plain text as a list in Markdown.

    It begins with an empty line: MyST takes a list at the very top for the metadata of a page where
    a line of it has three hyphens in the right place, and drops them.
    """
    return "".join(f"\n- {literal(line)}" for line in lines)


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "seed"), counted(3, "seed")
    ('1 seed', '3 seeds')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def signed(value: float, form: str) -> str:
    """A number whose sign, if it is below zero, is a minus and no hyphen.

    >>> signed(-0.5, "+.2f"), signed(0.5, "+.2f")
    ('−0.50', '+0.50')
    """
    return f"{value:{form}}".replace("-", "−")


def joined(parts: Iterable[str]) -> str:
    """Parts of a sentence in a row.

    >>> joined(["a"]), joined(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def span(values: Sequence[float], form: str) -> str:
    """The least and the largest value; one alone if they read the same.

    >>> span([3.0, 1.0, 2.0], ".1f"), span([1.0, 1.01], ".1f")
    ('1.0 to 3.0', '1.0')
    """
    low, high = f"{min(values):{form}}", f"{max(values):{form}}"
    return low if low == high else f"{low} to {high}"


def ranges(numbers: Iterable[int]) -> str:
    """Whole numbers in order, runs of three or more as ranges.

    >>> ranges([11, 12, 13, 15, 17, 18])
    '11–13, 15, 17, 18'
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [[f"{run[0]}–{run[-1]}"] if len(run) > 2 else map(str, run) for run in runs]
    return ", ".join(part for each in parts for part in each)
