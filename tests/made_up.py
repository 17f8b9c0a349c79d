"""Image records that nobody ran, for tests of what is made from records."""

from __future__ import annotations

from idlib.published import Cell
from idlib.records import Asked, Cost, Measured, Origin, Record


def made_up_record(
    cell: Cell,
    seed: int,
    profile: str,
    metrics: dict[str, float],
    curves: dict[str, list[float]] | None = None,
    seconds: float = 1.0,
    peak_memory_bytes: int = 1,
    **settings: object,
) -> Record:
    """A record of this cell and seed with these numbers."""
    asked = Asked(
        task="images",
        method=cell.method,
        profile=profile,
        source="embedded",
        seed=seed,
        settings={"round": cell.round, "smoothing": cell.smoothing, **settings},
        data={},
        precision="fp32",
        device_type="cpu",
        threads=1,
        revision=1,
    )
    return Record(
        signature=asked.signature,
        asked=asked,
        measured=Measured(metrics=metrics, curves=curves or {}),
        cost=Cost(seconds=seconds, peak_memory_bytes=peak_memory_bytes),
        origin=Origin(versions={}, commit=None, device="cpu", created="2022-01-01T00:00:00"),
    )
