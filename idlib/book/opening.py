"""How the page of a task begins: its runs, trained where they are missing, and its records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idlib.book.parameters import declared_types
from idlib.experiments.grid import grid, recorded
from idlib.experiments.registered import evidence
from idlib.experiments.specs import Spec
from idlib.experiments.workers import run_all
from idlib.records import Record
from idlib.report.board import Board
from idlib.report.cells import enough
from idlib.report.results import Results
from idlib.tasks import task_class

EARLIER = "medium"  # the profile of the committed records that stand in until evidence is made
OF_THE_GRID = ("rounds", "controls", "smoothing", "datasets", "source")  # grid's own arguments
OF_THE_PAGE = ("profile", "seeds", "workers")  # though a task may have a setting of that name


def train_or_find(task: str, namespace: Mapping[str, Any]) -> tuple[list[Spec], Results]:
    """The runs of a page and their records; runs without a record are trained, side by side.

    Args:
        task: the page's.
        namespace: ``globals()`` of the notebook, its parameters checked. Of them ``profile``,
            ``seeds`` and those of the grid say which runs are made, ``workers`` how many
            processes make them, and every other one that is a setting of the task sets it, unless
            it is ``None``.

    Returns:
        The runs in the order of the grid, and the results. These have the records of the
        protocol's runs beside this build's, or as long as these are too few the earlier ones;
        they are read before anything is trained.
    """
    declared = declared_types(namespace)
    of_the_grid = {name: namespace[name] for name in OF_THE_GRID if name in declared}
    settings = task_class(task).schema.model_fields.keys() - {*OF_THE_GRID, *OF_THE_PAGE}
    overrides = {name: namespace[name] for name in declared if name in settings}
    profile = namespace["profile"]
    if "rounds" not in declared:
        of_the_grid["rounds"] = 0
    specs = grid(task, profile, namespace["seeds"], overrides=overrides, **of_the_grid)
    board = Board(evidence().records).of_task(task)
    rests_on = registered(board) or (recorded(task, EARLIER) if profile != EARLIER else [])
    records = run_all(specs, workers=namespace["workers"], description=task)
    return specs, Results(task, profile, namespace["source"], records, rests_on, board)


def registered(board: Board) -> list[Record]:
    """The records that decide a task's lines, once there are enough of them.

    Until then there are none, so that a page does not rest on half of its evidence.
    """
    lines = [one.line for one in board.decisions.values()]
    studies = {line.study: board.records[line.study] for line in lines}
    if not all(enough(board.protocol, study, cells) for study, cells in studies.items()):
        return []
    used = dict.fromkeys((line.study, cell) for line in lines for cell in line.contrast)
    return [record for study, cell in used for record in studies[study].get(cell, {}).values()]


def glue_all(texts: Mapping[str, str]) -> None:
    """Keep texts by key for other pages, without showing them."""
    from myst_nb import glue

    for key, text in texts.items():
        glue(key, text, display=False)
