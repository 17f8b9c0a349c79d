"""What the name of a metric in a record is made of: ``split/name[/part][@selection]``.

A run keeps three checkpoints. What is measured of the first has plain names (``test/bleu``), what
is measured of the others ends in theirs (``test/bleu@loss``, ``test/f1/de@last``). A curve of
single evaluations, ``validation/bleu``, has the updates of ``validation/step``, or its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from idlib.metrics.items import TRAINED_ON

BEST = "best"  # best validation metric of the task, the one that its claim speaks of
LOSS = "loss"  # lowest validation loss, by one pass in evaluation mode: the published scripts' rule
LAST = "last"  # after the last update
SELECTIONS = (BEST, LOSS, LAST)
RULES = {BEST: "best validation score", LOSS: "lowest validation loss", LAST: "last update"}
IN_WORDS = {
    rule: "" if rule == BEST else f", {words}" for rule, words in RULES.items()
}  # after a name


def at(name: str, selection: str) -> str:
    """The name of a metric of the checkpoint that ``selection`` chose.

    >>> at("test/bleu", BEST), at("test/bleu", LAST)
    ('test/bleu', 'test/bleu@last')
    """
    return name if selection == BEST else f"{name}@{selection}"


def one_checkpoint(metrics: Mapping[str, float], first: str, second: str) -> bool:
    """Whether two rules chose one checkpoint of a record.

    >>> one_checkpoint({"selected/step": 20, "selected/step@loss": 20}, BEST, LOSS)
    True
    """
    steps = [metrics.get(at("selected/step", rule)) for rule in (first, second)]
    return None not in steps and steps[0] == steps[1]


def parted(name: str) -> tuple[str, str]:
    """The plain name and the selection of a metric's name.

    >>> parted("test/f1/de@loss"), parted("test/nll")
    (('test/f1/de', 'loss'), ('test/nll', 'best'))
    """
    plain, _, selection = name.partition("@")
    return plain, selection or BEST


def steps_name(curve: str) -> str:
    """The name of the updates at which a curve was measured, where it has its own."""
    return f"{curve}/step"


def steps_of(curves: Mapping[str, Sequence[float]], curve: str) -> Sequence[float]:
    """The updates at which a curve of a record was measured.

    >>> steps_of({"validation/step": [1, 2], "validation/bleu/step": [2]}, "validation/bleu")
    [2]
    """
    own = curves.get(steps_name(curve))
    return curves[f"{curve.partition('/')[0]}/step"] if own is None else own


def of_first_revision(metrics: Mapping[str, float], by_loss: bool) -> dict[str, float]:
    """Metrics of a record of the tasks' first revision by today's names.

    There the names of the last update ended in ``/last``, and those of several languages stood for
    the language of training. What was chosen by the lowest validation loss (``by_loss``) has the
    name of that rule too.
    """
    named = {}
    for name, value in metrics.items():
        plain, slash, end = name.rpartition("/")
        if slash and end == LAST:
            known = plain in metrics or f"{plain}/{TRAINED_ON}" not in metrics
            name = at(plain if known else f"{plain}/{TRAINED_ON}", LAST)
        named[name] = value
        if by_loss and parted(name)[1] == BEST and not name.startswith("dropped/"):
            named[at(name, LOSS)] = value
    return named
