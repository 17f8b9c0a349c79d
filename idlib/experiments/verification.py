"""A record trained again: the spec that it answers, and how far the numbers agree."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple

from idlib.experiments.specs import Spec
from idlib.records import CHANGED, Asked, Record
from idlib.training.settings import SettingsError

FEWEST_SEEDS = 3  # that a spread is taken over, as the protocol's regime and dose studies have


class Difference(NamedTuple):
    """A metric as it was recorded and as it came out again.

    Attributes:
        recorded: in the record.
        again: in the second training.
        spread: between the highest and the lowest value of the seeds of the record's condition;
            ``None`` where they are fewer than three.
    """

    recorded: float
    again: float
    spread: float | None

    @property
    def within(self) -> bool | None:
        """Whether the two differ by no more than the seeds do, ``None`` where nobody can tell."""
        if self.recorded == self.again:
            return True
        return None if self.spread is None else abs(self.again - self.recorded) <= self.spread


class Verification:
    """A record, the same run made again, and the records of its condition with other seeds.

    Args:
        record: that is verified.
        again: what the same question gave here and now.
        records: in which those of other seeds are looked for.
    """

    def __init__(self, record: Record, again: Record, records: Iterable[Record] = ()) -> None:
        self.record, self.again = record, again
        others = {other.signature: other for other in (*records, record)}
        self.seeds = [
            other
            for other in others.values()
            if _but_seed(other.asked) == _but_seed(record.asked)
            and other.measured.metrics.keys() == record.measured.metrics.keys()
        ]

    @property
    def same_bits(self) -> bool:
        """Whether all that was measured is the same, curves included."""
        return self.record.measured == self.again.measured

    @cached_property
    def otherwise(self) -> dict[str, tuple[str, str]]:
        """What was another when the record was made: processor and versions, then and now."""
        then, now = self.record.origin, self.again.origin
        differing = {
            name: (then.versions.get(name, "absent"), now.versions.get(name, "absent"))
            for name in sorted(then.versions.keys() | now.versions.keys())
            if name != "idlib" and then.versions.get(name) != now.versions.get(name)
        }
        device = {"device": (then.device, now.device)} if then.device != now.device else {}
        return device | differing

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Every metric by name."""
        again = self.again.measured.metrics
        return {
            name: Difference(value, again[name], self._spread(name))
            for name, value in self.record.measured.metrics.items()
            if name in again
        }

    @property
    def outside(self) -> list[str]:
        """Metrics that differ by more than the seeds do, or of which nobody can tell."""
        return [name for name, found in self.differences.items() if not found.within]

    @property
    def agrees(self) -> bool:
        """Bit for bit where processor and versions are the same, within the spread elsewhere."""
        if self.same_bits:
            return True
        return bool(self.otherwise) and not self.outside

    @property
    def verdict(self) -> str:
        """In a sentence."""
        if self.same_bits:
            return "it agrees bit for bit"
        changed = [name for name, found in self.differences.items() if found.again != found[0]]
        differing = f"{len(changed)} of {len(self.differences)} metrics differ"
        if not self.otherwise:
            return f"{differing}, on the same processor with the same versions"
        changes = [f"{name} {now} for {then}" for name, (then, now) in self.otherwise.items()]
        elsewhere = f"(made elsewhere: {', '.join(changes)})"
        if not changed:
            return f"its metrics are the same, its curves are not {elsewhere}"
        if len(self.seeds) < FEWEST_SEEDS:
            few = f"{len(self.seeds)} seeds are too few to tell how much that is"
            return f"{differing}, and {few} {elsewhere}"
        spread = f"the spread over {len(self.seeds)} seeds"
        beyond = f"{len(self.outside)} of them by more than {spread}" if self.outside else ""
        return f"{differing}, {beyond or f'all within {spread}'} {elsewhere}"

    def _spread(self, metric: str) -> float | None:
        if len(self.seeds) < FEWEST_SEEDS:
            return None
        values = [record.measured.metrics[metric] for record in self.seeds]
        return max(values) - min(values)


def spec_of(record: Record, source: str | None = None) -> Spec:
    """The spec that a record answers.

    Args:
        record: any.
        source: the folder of its data, where they were one's own.

    Raises:
        SettingsError: this version of idlib, these data or this launch make another run of it;
            the message says what differs.
        idlib.data.DataError: the data are missing or damaged.
    """
    asked = record.asked
    if asked.source == "path" and source is None:
        raise SettingsError("the record is of a folder of data: give it, by --source FOLDER")
    spec = Spec(
        asked.task,
        asked.method,
        asked.profile,
        source or asked.source,
        asked.seed,
        {**asked.settings, "precision": asked.precision, "threads": asked.threads},
        asked.device_type,
    )
    if asked.revision != spec.plan.asked.revision:
        commit = (record.origin.commit or "").removesuffix(CHANGED)
        code = f": git checkout {commit} has the code that made it" if commit else ""
        if commit != (record.origin.commit or ""):
            code += ", but for changes that were not committed"
        raise SettingsError(
            f"this record is of revision {asked.revision} of {asked.task}, and this version makes "
            f"revision {spec.plan.asked.revision}{code}"
        )
    if differing := _differing(asked, spec.plan.asked):
        raise SettingsError(f"this record cannot be made again here: {'; '.join(differing)}")
    return spec


def _differing(then: Asked, now: Asked) -> list[str]:
    """What two runs were asked differently, in words."""
    before, after = _flat(then), _flat(now)
    return [
        f"{name} was {before.get(name)!r} and is {after.get(name)!r}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _flat(asked: Asked) -> dict[str, Any]:
    fields = asked.model_dump(mode="json")
    settings, data = fields.pop("settings"), fields.pop("data")
    return {**fields, **settings, **{f"data {name}": text[:12] for name, text in data.items()}}


def _but_seed(asked: Asked) -> Asked:
    return asked.model_copy(update={"seed": 0})
