"""Made-up results of the benchmark."""

from __future__ import annotations

from idlib.costs import ArmCost, CaseCosts, Costs, Spread
from idlib.records import Origin

MIB = 2**20


def arm(name: str, seconds: float, mebibytes: int | None, **ratios: float) -> ArmCost:
    return ArmCost(
        arm=name,
        title=f"title of {name}",
        seconds=Spread.of([seconds]),
        ratios={
            key.replace("_", "-"): Spread(median=r, lower=r - 0.01, upper=r + 0.01)
            for key, r in ratios.items()
        },
        peak_bytes=None if mebibytes is None else mebibytes * MIB,
    )


def loss_case(
    passes: int = 3, positions: int = 2048, classes: int = 12_000, suite: str = "loss"
) -> CaseCosts:
    return CaseCosts(
        suite=suite,
        case=f"K{passes}-{positions}x{classes}",
        about={"passes": passes, "positions": positions, "classes": classes, "dtype": "float32"},
        memory_kept=True,
        arms=(
            arm("published", 2.0, 400, floor=10.0),
            arm("id", 0.5, 100, published=0.25, floor=2.5),
            arm("floor", 0.2, None, published=0.1),
            ArmCost(arm="id-plain", title="title of id-plain", failed="out of memory"),
        ),
    )


def update_case(
    ratio: float, used: float | None = None, suite: str = "step", **about: int | str
) -> CaseCosts:
    """An update of ID that takes so many of the baseline's, which uses so much of a GPU."""
    baseline = arm("baseline", 1.0, 100, floor=0.4).model_copy(update={"utilisation": used})
    return CaseCosts(
        suite=suite,
        case="an update",
        about={"passes": 3, **about},
        memory_kept=True,
        arms=(
            baseline,
            arm("id", ratio, 250, baseline=ratio, floor=0.5),
            arm("floor", 2.5, None, baseline=2.5),
        ),
    )


def sensitivity_case(passes: float, whole: float) -> CaseCosts:
    return CaseCosts(
        suite="sensitivity",
        case="of a model",
        about={"batches": 4},
        memory_kept=True,
        arms=(
            arm("backward", passes, 100),
            arm("sensitivity", whole, 200, backward=whole / passes),
        ),
    )


def made_up_costs(device: str, *cases: CaseCosts, device_type: str = "cpu") -> Costs:
    return Costs(
        origin=Origin(
            versions={"torch": "2.11.0"},
            commit="0123456789ab",
            device=device,
            created="2026-01-02T03:04:05+00:00",
        ),
        device_type=device_type,
        cores=2,
        threads=1,
        repeats=5,
        cases=cases,
    )
