"""The notebook of dose, selection and regime reads what a folder has of the protocol's records."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pytest
from made_up.notebook_cells import run_cells
from made_up.studies import translated

from idlib import protocol
from idlib.experiments.registered import specs_of
from idlib.records import Store


@pytest.mark.slow
def test_records_of_one_study_and_what_the_others_lack(tmp_path: Path) -> None:
    made, store = translated({"id": 2.0}), Store(tmp_path, also=())
    for asked, spec in specs_of(protocol.read(), "pairs-1000").items():
        record = made[asked.cell][asked.seed]
        origin = record.origin.model_copy(update={"protocol": protocol.sha256()})
        update = {"asked": spec.plan.asked, "signature": spec.signature, "origin": origin}
        store.save(record.model_copy(update=update))
    shown = run_cells("regime", folder=str(tmp_path))
    assert shown[0].startswith("- **Selection.** There are no records of both arms")
    assert "With 1,000 pairs that is 0.50 nats, and the gain +2.00 points" in shown[0]
    assert any(text.startswith("6 of the ") for text in shown)
    assert any("`idlib evidence image-dose` makes them" in text for text in shown)
    assert not any("`idlib evidence pairs-1000`" in text for text in shown)
