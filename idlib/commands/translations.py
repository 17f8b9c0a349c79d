"""A split of the user's text with its translations, line by line."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import nn
from tqdm import tqdm

from idlib.commands.output import AT_FIRST_UPDATE
from idlib.data import translation
from idlib.data.translation import Pairs
from idlib.data.vocabulary import EOS
from idlib.experiments.runs import load_model
from idlib.experiments.specs import Spec
from idlib.experiments.workspace import Workspace
from idlib.files import replacing
from idlib.tasks.translation import POSITIONS, TranslationTask


class Lines(NamedTuple):
    """A split line by line, and lines of text on what the scores leave out of it."""

    sources: list[str]
    references: list[str]
    hypotheses: list[str]
    report: list[str]

    def write(self, folder: Path) -> None:
        """Write ``sources.txt``, ``references.txt`` and ``hypotheses.txt`` into a folder."""
        for name in ("sources", "references", "hypotheses"):
            with replacing(folder / f"{name}.txt") as path:
                text = "".join(f"{line}\n" for line in getattr(self, name))
                path.write_text(text, encoding="utf-8")


def scored_lines(spec: Spec, workspace: Workspace, split: str) -> Lines:
    """The pairs that the scores of a run are over, in the order of their source."""
    task, model = _trained(spec, workspace)
    pairs = task.data.splits[split]
    return Lines(pairs.sources, pairs.targets, task.translate(model, split), [])


def every_line(spec: Spec, workspace: Workspace, split: str) -> Lines:
    """All lines of a split in the order of their source, also those that the scores leave out.

    A line without source tokens, or with more than the model has positions for, has an empty
    hypothesis. Those that are scored have the translations that the record's scores are made of.
    """
    task, model = _trained(spec, workspace)
    data = task.data
    pairs = translation.whole(task.source, split, data.vocabulary, root=task.root)
    texts = dict(zip(data.lines[split], task.translate(model, split), strict=True))
    others = [index for index in range(len(pairs)) if index not in texts]
    fitting = [index for index in others if 1 < len(pairs.source_ids[index]) <= POSITIONS]
    alone = Pairs(pairs.sources, pairs.targets, pairs.source_ids, [[EOS]] * len(pairs))
    more = task.translate_pairs(model, alone, fitting, f"rest of {split}")
    texts |= dict(zip(fitting, more, strict=True))
    hypotheses = [texts.get(index, "") for index in range(len(pairs))]
    report = _outside(task, split, len(pairs)) if others else []
    if without := len(others) - len(fitting):
        report.append(
            f"{split}: {without} lines have no source tokens, or more than {POSITIONS}, and an "
            "empty translation"
        )
    return Lines(pairs.sources, pairs.targets, hypotheses, report)


def _trained(spec: Spec, workspace: Workspace) -> tuple[TranslationTask, nn.Module]:
    task = spec.plan.task
    assert isinstance(task, TranslationTask), f"{spec.task} translates nothing"
    updates = spec.plan.updates
    with tqdm(total=updates, desc=spec.description, unit="update", delay=AT_FIRST_UPDATE) as bar:
        return task, load_model(spec, workspace=workspace, progress=bar.update)


def _outside(task: TranslationTask, split: str, total: int) -> list[str]:
    """How many lines of a split the scores leave out, and why."""
    kept, gone = len(task.data.lines[split]), task.data.dropped[split]
    why = {
        "a side without tokens": gone["empty"],
        f"a side above {' or '.join(translation.LIMITS[split])}": gone["long"],
        "sides too different (max_ratio)": gone["ratio"],
        "not in the sample (examples)": total - kept - sum(gone.values()),
    }
    reasons = ", ".join(f"{count} {reason}" for reason, count in why.items() if count)
    what = "what the run is trained on" if split == "train" else f"what {split}/bleu is over"
    return [f"{split}: {total - kept} of {total} lines are outside {what}: {reasons}"]
