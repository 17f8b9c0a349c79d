"""The runs of a grid one by one, for a program that spreads them over machines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from idlib.experiments.specs import Spec
from idlib.experiments.workspace import Workspace
from idlib.records import Asked


def listing(specs: Iterable[Spec], workspace: Workspace) -> list[dict[str, Any]]:
    """Each run as plain values: what makes it, what it has to wait for, and where its record lies.

    A row has ``signature``, ``description``, ``arguments`` (of ``idlib`` that make this run alone),
    ``record`` (the file of its record, or the one that it will be written to), ``finished``,
    ``after`` (the signature of its teacher, or None), ``updates`` and ``threads``.

    Raises:
        idlib.records.RecordError: a record that is there cannot be read.
        SettingsError, idlib.data.DataError: see :attr:`idlib.experiments.specs.Spec.plan`.
    """
    return [_row(spec, workspace) for spec in specs]


def _row(spec: Spec, workspace: Workspace) -> dict[str, Any]:
    asked, store, number = spec.plan.asked, workspace.store, spec.plan.settings.round
    return {
        "signature": asked.signature,
        "description": spec.description,
        "arguments": [*_arguments(spec), *_folders(workspace)],
        "record": str(store.path(asked)),
        "finished": store.answer(asked) is not None,
        "after": _in_round(asked, number - 1).signature if number else None,
        "updates": spec.plan.updates,
        "threads": asked.threads,
    }


def _in_round(asked: Asked, number: int) -> Asked:
    return asked.model_copy(update={"settings": {**asked.settings, "round": number}})


def _arguments(spec: Spec) -> list[str]:
    """What is typed after ``idlib`` to make the run; JSON is YAML, as ``--set`` reads it."""
    named = {name: value for name, value in spec.overrides.items() if value is not None}
    changes = [f"{name}={json.dumps(value)}" for name, value in named.items()]
    source = [] if spec.source is None else ["--source", spec.source]
    return [
        *("run", spec.task, "--method", spec.method, "--profile", spec.profile, *source),
        *("--seed", str(spec.seed), "--device", spec.plan.asked.device_type),
        *(part for change in changes for part in ("--set", change)),
    ]


def _folders(workspace: Workspace) -> list[str]:
    return ["--records", str(workspace.store.root), "--checkpoints", str(workspace.checkpoints)]
