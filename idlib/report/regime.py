"""The numbers behind dose, selection and regime, and which cells of which studies they are of.

A run *turns* where its validation loss is lowest; how far it climbs from there to the last update
is how far it overfits. The *dose* is what the divergence weighs in training: α X / CE at its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from idlib.metrics.names import BEST, LOSS, one_checkpoint, steps_of
from idlib.records import Record
from idlib.report.metrics import NLL
from idlib.report.paired import Cells, Gain, Measure, StudyRecords, gain
from idlib.report.statistics import Interval, t_interval

PAIRS = {  # studies of translation by their pairs of training sentences, fewest first
    "pairs-1000": 1000,
    "translation": 2000,
    "pairs-4000": 4000,
    "pairs-8000": 8000,
}
IMAGES = ("images", "image-dose")  # studies of one task, their cells taken together
LINES = {"translation": "C1", "images": "C6"}  # the line that measures each
RIVAL_LINES = ("C1", "C6", "C6 at the best temperature")  # in which rivals are compared
IMAGE_LINES = ("C6", "C6 at the best temperature", "C6 accuracy")
SMOOTHINGS = {"baseline": "id", "baseline smoothed": "id smoothed"}  # pairs of the images
FALL = Measure(NLL, "below")  # in translation, where the protocol has no δ for it
GRID = {  # label smoothing s and α: the cell, and in which study
    (0.0, 0.0): ("images", "baseline"),
    (0.0, 5.0): ("images", "id"),
    (0.0, 15.0): ("image-dose", "s = 0, α = 15"),
    (0.05, 0.0): ("image-dose", "s = 0.05, α = 0"),
    (0.05, 5.0): ("image-dose", "s = 0.05, α = 5"),
    (0.05, 15.0): ("image-dose", "s = 0.05, α = 15"),
    (0.1, 0.0): ("images", "baseline smoothed"),
    (0.1, 5.0): ("images", "id smoothed"),
    (0.1, 15.0): ("image-dose", "s = 0.1, α = 15"),
}
ENCODER = {  # studies on the pretrained encoder: the line that measures each
    "tagging": "C2",
    "answering": "C3",
    "application": "C7 application",
    "heading": "C7 heading",
}
ROOM = {**LINES, **ENCODER}  # studies with a longer baseline
DOSES = {  # cells of the encoder's studies, smallest dose first
    "passes": "no divergence",
    "printed": "α as printed",
    "id": "the scripts' sum",
}
RIVALS = {  # cells that are compared with the baseline, by task: in words
    "translation": {
        "id": "intra-distillation (K = 3)",
        "r-drop": "R-Drop (K = 2)",
        "passes": "3 passes with α = 0",
        "compute": "3 × the updates",
    },
    "images": {
        "id": "intra-distillation (K = 3)",
        "K = 2": "intra-distillation (K = 2)",
        "K = 5": "intra-distillation (K = 5)",
        "js": "Jensen–Shannon (K = 3)",
        "r-drop": "R-Drop (K = 2)",
        "passes": "3 passes with α = 0",
        "compute": "3 × the updates",
    },
}
DROPOUTS = {  # the cells that differ in dropout alone
    "translation": {"dropout 0.1": 0.1, "baseline": 0.3, "dropout 0.5": 0.5},
    "images": {"baseline": 0.1, "dropout 0.3": 0.3, "dropout 0.5": 0.5},
}


class Turn(NamedTuple):
    """Where a run's validation loss is lowest.

    Attributes:
        update: at which it is.
        share: of the run's updates until there.
        rise: from there to the last update, in nats.
    """

    update: float
    share: float
    rise: float


def turn(record: Record) -> Turn:
    """Where a run turns; one that never does has a share of 1 and a rise of 0.

    Raises:
        KeyError: a record without the curve of its validation loss.
    """
    curves = record.measured.curves
    losses, steps = np.array(curves["validation/nll"]), steps_of(curves, "validation/nll")
    lowest = int(losses.argmin())
    share = steps[lowest] / steps[-1]
    return Turn(steps[lowest], share, float(losses[-1] - losses[lowest]))


def coincide(cells: Cells, names: Sequence[str]) -> bool:
    """Whether the score and the loss chose one checkpoint in every record of some cells."""
    records = [record for name in names for record in cells.get(name, {}).values()]
    same = [one_checkpoint(record.measured.metrics, BEST, LOSS) for record in records]
    return bool(same) and all(same)


class Point(NamedTuple):
    """One seed: how far its baseline overfits, where it turns, and the gain."""

    rise: float
    share: float
    gain: float


def overfit(cells: Cells, measure: Measure, rule: str = BEST) -> dict[int, Point]:
    """By seed, of a study of translation: the baseline's turn, and the gain by a rule."""
    turns = {seed: turn(record) for seed, record in cells.get("baseline", {}).items()}
    gains = gain(cells, measure, "id", selection=rule).values
    return {
        seed: Point(turns[seed].rise, turns[seed].share, value) for seed, value in gains.items()
    }


def pairs_label(study: str) -> str:
    """A study of translation by its number of training sentences.

    >>> pairs_label("pairs-8000")
    '8,000 pairs'
    """
    return f"{PAIRS[study]:,} pairs"


def dose(record: Record, last: int = 5) -> float:
    """What the divergence weighs beside the task's loss at the end of training: α X / CE.

    Args:
        record: of one run.
        last: recorded values that are averaged; fewer where α was still growing at some of them.
    """
    curves = record.measured.curves
    alpha, divergence, task = (
        np.array(curves[f"train/{name}"][-last:]) for name in ("alpha", "divergence", "task")
    )
    full = alpha == alpha[-1]
    return float((alpha * divergence / task)[full].mean())


def mean_dose(by_seed: Mapping[int, Record]) -> float:
    """The mean dose over seeds; 0 without records, as of no run."""
    return float(np.mean([dose(record) for record in by_seed.values()])) if by_seed else 0.0


def price(record: Record) -> float:
    """Updates times passes of a run: what its training costs in forward and backward passes."""
    passes = int(record.asked.settings.get("passes", 1))
    return record.measured.curves["train/step"][-1] * passes


def relative_price(cells: Cells, names: Sequence[str], against: str = "baseline") -> float | None:
    """What one run of each of these cells costs together, one run of the baseline being 1."""
    firsts = [next(iter(cells.get(name, {}).values()), None) for name in (*names, against)]
    prices = [price(record) for record in firsts if record is not None]
    return sum(prices[:-1]) / prices[-1] if len(prices) == len(firsts) else None


class Tuned(NamedTuple):
    """The setting that validation chose.

    Attributes:
        cell: the cell with the best mean.
        means: on validation by cell, over the seeds that all have.
        seeds: those.
    """

    cell: str
    means: dict[str, float]
    seeds: tuple[int, ...]


def tuned(cells: Cells, names: Sequence[str], measure: Measure) -> Tuned | None:
    """The cell whose mean on validation is best, over the seeds that all of them have.

    Args:
        cells: records.
        names: of the cells to choose from.
        measure: on test; the same metric on validation chooses.

    Returns:
        ``None`` where no seed has them all.
    """
    key = measure.metric.key.replace("test/", "validation/", 1)
    seeds = sorted(set.intersection(*(set(cells.get(name, {})) for name in names)))
    if not seeds:
        return None
    means = {
        name: float(np.mean([cells[name][seed].measured.metrics[key] for seed in seeds]))
        for name in names
    }
    return Tuned(max(means, key=lambda name: measure.sign * means[name]), means, tuple(seeds))


class Rival(NamedTuple):
    """Another way to spend the price of intra-distillation.

    Attributes:
        name: in words.
        price: updates times passes, the baseline's being 1; of a tuned setting all that were tried.
        gain: over the baseline.
        behind: gain of intra-distillation over it; ``None`` of intra-distillation itself.
        cell: whose runs it is; ``None`` where nothing is tuned.
    """

    name: str
    price: float | None
    gain: Gain
    behind: Gain | None
    cell: str | None

    @property
    def kept(self) -> bool:
        """Whether tuning kept the baseline as it was, so that it is no other way to train."""
        return self.cell == "baseline"

    @property
    def known(self) -> bool:
        """Whether there is a gain over the baseline of enough seeds to tell its side."""
        return not self.kept and self.gain.sign != "unknown"


TUNED = "tuned dropout"


def rivals(found: StudyRecords, line: str) -> list[Rival]:
    """Intra-distillation and its rivals, each over the baseline.

    Args:
        found: the records.
        line: of translation or images; its measure is that of the gains. Dropout is tuned by the
            task's own, ``LINES``.
    """
    task, measure = found.protocol.lines[line].study, found.measure(line)
    cells, ways = found.cells(*(IMAGES if task == "images" else (task,))), []
    for cell, name in RIVALS[task].items():
        behind = None if cell == "id" else gain(cells, measure, "id", cell)
        own = gain(cells, measure, cell)
        ways.append(Rival(name, relative_price(cells, [cell]), own, behind, cell))
    names = list(DROPOUTS[task])
    best = tuned(cells, names, found.measure(LINES[task]))
    if best is None:
        nothing = Gain(measure, {}, "dropout is not tuned: no seed has all its settings")
        return [*ways, Rival(TUNED, None, nothing, nothing, None)]
    # Over the seeds that it was tuned on, also where the baseline, which has more, was chosen.
    paired = {name: {s: r for s, r in cells[name].items() if s in best.seeds} for name in names}
    paired["id"] = dict(cells.get("id", {}))
    own, behind = gain(paired, measure, best.cell), gain(paired, measure, "id", best.cell)
    kept = ", the baseline's own" if best.cell == "baseline" else ""
    title = f"{TUNED} ({DROPOUTS[task][best.cell]:g}{kept})"
    return [*ways, Rival(title, relative_price(cells, names), own, behind, best.cell)]


def slopes(points: Sequence[Mapping[int, tuple[float, float]]]) -> Interval | None:
    """How y changes with x: the mean of each seed's least-squares slope, with its t interval.

    Args:
        points: x and y by seed, for each of several settings.

    Returns:
        ``None`` where no seed has at least two settings that differ in x. Seeds of fewer settings
        than others take no part.
    """
    by_seed: dict[int, list[tuple[float, float]]] = {}
    for setting in points:
        for seed, point in setting.items():
            by_seed.setdefault(seed, []).append(point)
    most = max(map(len, by_seed.values()), default=0)
    fitted = []
    for found in by_seed.values():
        x, y = np.array(found).T
        if len(found) == most and np.ptp(x) > 0:
            fitted.append(float(np.polyfit(x, y, 1)[0]))
    return t_interval(fitted) if fitted else None
