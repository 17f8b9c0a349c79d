"""The setup page: what is trained, on what, with which settings, from the code that trains.

Each table has a row or a column for each profile named; settings are those of intra-distillation.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from idlib.data.loaded import LoadedData
from idlib.report.conditions import METHOD_NAMES
from idlib.report.tasks.images import IMAGES
from idlib.report.text import NOTHING
from idlib.tasks import task_class
from idlib.training.settings import METHODS, PROFILES, Settings, resolve

TRANSFORMER = ("layers", "width", "ffn", "heads", "vocabulary", "dropout", "attention_dropout")
OF_A_RUN = ("round", "smoothing", "stretch")  # settings that no profile decides
WHOLE = ("examples", "languages", "layers", "sensitivity_examples")  # all of them, if unset
ALL = "all"
UNSET = (NOTHING, ALL)
DIFFERING = ("passes", "alpha", "p", "q", "divergence", "mode", "stretch")  # between methods
LARGEST_FIRST = tuple(reversed(PROFILES))
EMBEDDED = "embedded"


def image_models(source: str, profiles: Sequence[str] = PROFILES) -> pd.DataFrame:
    """The image model of each profile.

    Args:
        source: ``embedded``, ``hub`` or ``path``.
        profiles: the rows.
    """
    rows = []
    for profile in profiles:
        settings = _settings("images", profile, source)
        shown = settings.model_dump()
        random = settings.model_copy(update={"pretrained": False})  # of the same size
        rows.append(
            {
                "profile": profile,
                "architecture": shown["architecture"],
                "initial weights": "ImageNet" if shown["pretrained"] else "random",
                "image size": shown["image_size"],
                "dropout": shown["dropout"],
                "parameters": f"{parameters(_model('images', random)):,}",
            }
        )
    return pd.DataFrame(rows)


def translation_models(profiles: Sequence[str] = PROFILES) -> pd.DataFrame:
    """Shape and trained parameters of the translation model of each profile."""
    rows = {}
    for profile in profiles:
        settings = _settings("translation", profile, EMBEDDED)
        shown = settings.model_dump()
        trained = parameters(_model("translation", settings))
        rows[profile] = {name: f"{shown[name]:,}" for name in TRANSFORMER}
        rows[profile]["parameters"] = f"{trained:,}"
    return pd.DataFrame(rows).T.rename_axis("profile")


def encoder_models(
    tasks: Sequence[str], source: str, profiles: Sequence[str] = PROFILES
) -> pd.DataFrame:
    """Which encoder each task starts from at each profile, and what of it is trained.

    Args:
        tasks: on an encoder.
        source: ``embedded``, ``hub`` or ``path``.
        profiles: the rows of each task.
    """
    rows = {}
    for task in tasks:
        for profile in profiles:
            shown = _settings(task, profile, source).model_dump()
            rows[task, profile] = {
                "encoder": shown["encoder"],
                "layers": shown["layers"] or "all",
                "word embeddings": "frozen" if shown["freeze_embeddings"] else "trained",
                "longest input": shown["max_length"],
                "dropout": f"{shown['dropout']:g}",
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["task", "profile"])


def methods(profile: str) -> pd.DataFrame:
    """The settings in which the methods differ, on the image task."""
    task = task_class("images")
    settings = {
        METHOD_NAMES[method]: resolve(task.schema, task.profiles, profile, method).model_dump()
        for method in METHODS
    }
    return pd.DataFrame(settings).loc[list(DIFFERING)].T


def embedded_data(tasks: Sequence[str], profile: str) -> dict[str, LoadedData[Any]]:
    """The embedded data of each task, as a profile takes them."""
    return {
        task: task_class(task)(_settings(task, profile, EMBEDDED), EMBEDDED).data for task in tasks
    }


def data_sizes(data: Mapping[str, LoadedData[Any]]) -> pd.DataFrame:
    """Examples and checksum of each split of :func:`embedded_data`; of tests the English ones."""
    rows = []
    for task, found in data.items():
        for split, examples in found.splits.items():
            if not split.startswith("test/") or split == "test/en":
                checksum = found.checksums[split]
                rows.append((task, split, len(examples), f"{checksum[:16]}…"))
    return pd.DataFrame(rows, columns=["task", "split", "examples", "sha256 of the content"])


def test_languages(data: Mapping[str, LoadedData[Any]]) -> pd.DataFrame:
    """Test items of each task in each language, as text; a task may lack one."""
    counts = {
        task: {
            split.removeprefix("test/"): len(examples)
            for split, examples in found.splits.items()
            if split.startswith("test/")
        }
        for task, found in data.items()
    }
    names = dict.fromkeys(name for of_task in counts.values() for name in of_task)
    rows = {
        task: {name: f"{of_task[name]:,}" if name in of_task else NOTHING for name in names}
        for task, of_task in counts.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("test items")


def hyper_parameters(task: str, profiles: Sequence[str] = LARGEST_FIRST) -> pd.DataFrame:
    """Settings in which profiles differ: those of the first, and what the others change of them."""
    table = _resolved(task, profiles)
    first, *others = profiles
    changed = table[others].ne(table[first], axis=0)
    table[others] = table[others].where(changed, "")
    return table[changed.any(axis=1)]


def in_common(task: str, profiles: Sequence[str] = LARGEST_FIRST) -> str:
    """The settings that are set alike at all profiles, as a sentence in Markdown.

    Those that a run's method, round and smoothing decide are left out.
    """
    table = _resolved(task, profiles).drop(index=list(OF_A_RUN), errors="ignore")
    alike = table[table.eq(table[profiles[0]], axis=0).all(axis=1)][profiles[0]]
    told = [f"`{name}` {value}" for name, value in alike.items() if value not in UNSET]
    return f"{task.capitalize()}, the same at every profile: {'; '.join(told)}."


def reported_cost() -> pd.DataFrame:
    """What the image models of the earlier report took."""
    rows = [
        {
            "method": METHOD_NAMES[method],
            "time a model": f"about {cost.seconds / 3600:.1f} h",
            "GPU memory": f"{cost.gpu_gb:g} GB",
        }
        for method, cost in IMAGES.cost.items()
    ]
    return pd.DataFrame(rows)


def machine() -> dict[str, object]:
    """The machine that this runs on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "processor cores": os.cpu_count(),
        "architecture": platform.machine(),
        "GPU": gpu,
    }


def parameters(model: nn.Module) -> int:
    """The number of a model's trained parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _settings(task: str, profile: str, source: str) -> Settings:
    """Settings of intra-distillation at a profile, as a source allows them."""
    kind = task_class(task)
    settings: Settings = kind.adapt(resolve(kind.schema, kind.profiles, profile, "id"), source)
    return settings


def _resolved(task: str, profiles: Sequence[str]) -> pd.DataFrame:
    """Every setting of intra-distillation as text: a row each, and a column for each profile."""
    kind = task_class(task)
    resolved = {profile: resolve(kind.schema, kind.profiles, profile, "id") for profile in profiles}
    return pd.DataFrame(
        {
            profile: {name: written(name, value) for name, value in each.model_dump().items()}
            for profile, each in resolved.items()
        }
    )


def written(name: str, value: object) -> str:
    """A setting's value as a table shows it.

    >>> written("examples", {}), written("clip", None), written("eps", 1e-8)
    ('all', '–', '1e-08')
    >>> written("examples", {"train": 2000, "test": 25}), written("betas", (0.9, 0.98))
    ('train 2,000, test 25', '0.9, 0.98')
    """
    if value is None or value == {}:
        return ALL if name in WHOLE else NOTHING
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {number:,}" for key, number in value.items())
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _model(task: str, settings: Settings) -> nn.Module:
    """A model for the embedded data, to be counted: its weights are nowhere."""
    with torch.device("meta"):
        return task_class(task)(settings, EMBEDDED).model()
