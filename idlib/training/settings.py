"""Validated, frozen settings: what a run is asked for, by profile and by method.

A profile says how large (models, updates, seeds); a source says which data. A task's schema
holds the paper's values as defaults, and each profile lists only what differs from ``paper``.
A method is data too: a few settings laid over the profile's.

The command line reads all of this for its help, so torch is not imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from idlib.method.choices import Divergence, Mode, Reduction
from idlib.method.schedules import adaptive_alpha

PROFILES = ("smoke", "small", "medium", "large", "paper")
SOURCES = ("embedded", "hub")  # or the path of a folder
METHODS = ("baseline", "id", "passes", "compute")

LARGEST_INTEGER = 2**31 - 1  # that any setting can mean

Profiles = dict[str, dict[str, Any]]
Schedule = Literal["inverse_sqrt", "linear", "constant"]
Decay = Annotated[float, Field(ge=0, lt=1)]  # of a moving average


class SettingsError(ValueError):
    """A profile, method or setting that does not exist or cannot be meant."""


class Settings(BaseModel):
    """What every task's run is asked for; a task adds its model's and its data's fields.

    Objective (Xu et al. 2022): ``passes`` is K; ``alpha``, ``p`` and ``q`` shape the adaptive
    weight over all updates of the run; ``mode`` says how the K passes are made (``cached``: in the
    memory of one). ``round`` is the round of self-distillation: 0 has no teacher, n is taught by
    round n − 1.

    Optimisation: learning rates are per update; ``batch_size`` examples make one update, in
    slices of ``micro_batch`` where memory is short; ``compile`` trains the model compiled by
    torch, texts in a few shapes, and with ``reduce-overhead`` each update as one CUDA graph
    where that can be had; ``stretch`` multiplies the updates and
    stretches the schedule with them. ``evaluate_every`` counts updates (``None``: each epoch).
    ``dropout_bits`` makes dropout on a CPU cheap, with other masks; on a GPU it changes nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    passes: int = Field(3, ge=1)
    alpha: float = Field(5.0, ge=0)
    p: float = Field(5.0, gt=0)
    q: float = Field(10.0, gt=0)
    divergence: Divergence = "x"
    divergence_reduction: Reduction | None = None  # None: mean
    mode: Mode = "stack"
    smoothing: float = Field(0.0, ge=0, lt=1)
    round: int = Field(0, ge=0)

    epochs: int = Field(ge=1)
    stretch: int = Field(1, ge=1)
    batch_size: int | None = Field(ge=1)  # None: a task may count otherwise
    micro_batch: int | None = Field(None, ge=1)
    evaluate_every: int | None = Field(None, ge=1)
    schedule: Schedule = "inverse_sqrt"
    lr_peak: float = Field(gt=0)
    lr_initial: float = Field(0.0, ge=0)
    warmup: int = Field(0, ge=0)
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    clip: float | None = Field(None, gt=0)
    optimizer: Literal["adamw", "adamax"] | None = None  # None: AdamW
    lr_head: float | None = Field(None, gt=0)  # peak of a new head on a pretrained encoder

    compile: Literal["default", "reduce-overhead"] | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    threads: int = Field(1, ge=1, le=1024)  # of many more the machine would run out
    dropout_bits: Literal[16] | None = None  # random bits of a CPU's masks; None: torch's own masks
    sensitivity_batch: int = Field(ge=1)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_no_booleans_and_not_too_large(cls, value: Any, info: ValidationInfo) -> Any:
        if info.field_name is None or cls.model_fields[info.field_name].annotation is bool:
            return value
        entries = value.values() if isinstance(value, dict) else value
        for entry in entries if isinstance(value, (dict, list, tuple)) else [value]:
            if isinstance(entry, bool):
                raise ValueError("Input should not be true or false")
            if isinstance(entry, int) and abs(entry) > LARGEST_INTEGER:
                raise ValueError(f"Input should lie within ±{LARGEST_INTEGER}")
        return value

    @model_validator(mode="after")
    def _schedules_can_be_meant(self) -> Settings:
        adaptive_alpha(0, 1, self.alpha, self.p, self.q)  # p >= q: its error explains
        if self.compile and self.divergence_reduction == "sum_padded":
            raise ValueError(
                f"setting compile = {self.compile}: it adds padding, which divergence_reduction = "
                "sum_padded counts; leave out one of the two"
            )
        if self.schedule == "inverse_sqrt" and self.warmup < 1:
            raise ValueError(
                f"setting warmup = {self.warmup}: schedule inverse_sqrt falls from where the "
                "warm-up ends, so set warmup to at least 1, or schedule to linear or constant"
            )
        return self


S = TypeVar("S", bound=Settings)


def resolve(
    schema: type[S],
    profiles: Profiles,
    profile: str,
    method: str,
    overrides: Mapping[str, Any] | None = None,
) -> S:
    """The settings of one run.

    Args:
        schema: the task's settings; its defaults are the paper's.
        profiles: for each profile what differs from the defaults.
        profile: one of :data:`PROFILES`.
        method: one of :data:`METHODS`.
        overrides: settings laid over the profile's, by name; ``None`` leaves one as it is.

    Raises:
        SettingsError: something unknown or ill-typed; the message names it and the choices.
    """
    check_choice("profile", profile, PROFILES)
    check_choice("method", method, METHODS)
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    try:
        asked = schema(**{**profiles[profile], **given})
        settings = schema(**{**asked.model_dump(), **_of_method(asked, method)})
    except ValidationError as error:
        raise SettingsError(_explained(error, schema)) from None
    if method in ("id", "passes"):
        _check_passes_differ(settings, method)
    return settings


def _of_method(asked: Settings, method: str) -> dict[str, Any]:
    """What a method lays over the settings asked for.

    Where a setting plays no part it takes its default, so that, say, another α does not make a
    new baseline of the same one.
    """
    unused = {
        name: type(asked).model_fields[name].default
        for name in ("p", "q", "divergence", "divergence_reduction", "mode")
    }
    one_pass = {**unused, "alpha": 0.0, "passes": 1}
    return {
        "id": {},
        "passes": {**unused, "mode": asked.mode, "alpha": 0.0},
        "baseline": one_pass,
        "compute": {**one_pass, "stretch": asked.stretch * asked.passes},
    }[method]


def _check_passes_differ(settings: Settings, method: str) -> None:
    instead = "or take method baseline"
    if settings.passes < 2:
        raise SettingsError(
            f"setting passes = {settings.passes}: method {method} needs several passes of a batch, "
            f"so there is nothing to distil; set passes to at least 2, {instead}"
        )
    rates = [name for name in type(settings).model_fields if name.endswith("dropout")]
    if rates and not any(getattr(settings, name) for name in rates):
        named = " and ".join(f"{name} = 0" for name in rates)
        raise SettingsError(
            f"setting {named}: without dropout all passes of method {method} are the same, so "
            f"there is nothing to distil; set {' or '.join(rates)} above 0, {instead}"
        )


_PLAIN_MESSAGES = {  # for what pydantic says in words of Python
    "none_required": "this task has none, leave it out",
    "tuple_type": "give a list, as in [en, de]",
    "dict_type": "give names and values, as in {train: 60}",
}


def _explained(error: ValidationError, schema: type[Settings]) -> str:
    lines = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden" or (
            not item["loc"] and item["type"] == "string_unicode"
        ):
            name = name if item["loc"] else item["input"]  # a name that is no UTF-8 has no place
            names = ", ".join(sorted(schema.model_fields))
            lines.append(f"unknown setting {name!r}: choose one of {names}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            message = _PLAIN_MESSAGES.get(item["type"], message)
            lines.append(f"setting {name} = {item['input']!r}: {message}" if name else message)
    return "; ".join(lines)


def default_source(profile: str) -> str:
    """The source of a profile where none is asked for: the public data only at ``paper``."""
    check_choice("profile", profile, PROFILES)
    return "hub" if profile == "paper" else "embedded"


def check_choice(what: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise :class:`SettingsError` unless ``value`` is one of ``choices``.

    Example:
        >>> check_choice("method", "rdrop", METHODS)
        Traceback (most recent call last):
        ...
        idlib.training.settings.SettingsError: unknown method 'rdrop': choose one of baseline, ...
    """
    choices = tuple(choices)
    if value not in choices:
        raise SettingsError(
            f"unknown {what} {value!r}: choose one of {', '.join(map(str, choices))}"
        )


def distinct(what: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """``values`` as a tuple: at least one, and none twice.

    Raises:
        SettingsError: otherwise; the message names ``what``.
    """
    items = tuple(values)
    if not items:
        raise SettingsError(f"{what}: none are given, give at least one")
    if repeated := [item for place, item in enumerate(items) if item in items[:place]]:
        raise SettingsError(f"{what}: {repeated[0]!r} is given twice, give each once")
    return items


def check_kept(
    asked: Settings, adapted: Settings, overrides: Mapping[str, Any], source: str
) -> None:
    """Raise :class:`SettingsError` if a source changes a setting that somebody asked for."""
    for name, value in overrides.items():
        wanted, kept = getattr(asked, name), getattr(adapted, name)
        if value is not None and wanted != kept:
            raise SettingsError(
                f"setting {name} = {wanted!r} cannot be had with source {source}, which makes it "
                f"{kept!r}: leave the setting out, or name another source"
            )
