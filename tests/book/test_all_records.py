"""The page of all records: each with the runs that it answers and a link to its file."""

from __future__ import annotations

from pathlib import Path

from made_up.records import made_up_record

from idlib.book.all_records import RUN, records, shown
from idlib.experiments.registered import Answers, Evidence
from idlib.records import Store
from idlib.report.conditions import Condition


def test_every_record_has_a_row_with_its_runs(tmp_path: Path) -> None:
    store = Store(tmp_path / "made", also=())
    made = [made_up_record(Condition("id", 0, 0.0), s, "medium", {"test/nll": 1.0}) for s in (1, 2)]
    for record in made:
        store.save(record)
    first = made[0]
    found = {
        study: Answers({cell: {1: first}}, [], [])
        for study, cell in (("images", "id"), ("image-dose", "5"))
    }
    table = records(store, Evidence(found, [])).set_index("signature")
    assert list(table["seed"]) == [1, 2] and set(table["from"]) == {str(tmp_path / "made")}
    assert table.loc[first.signature, RUN] == "images: id; image-dose: 5"
    assert table.loc[made[1].signature, RUN] == ""
    page = shown(records(store, Evidence({}, []))).to_html()
    for record in made:
        assert f'<a href="records/{record.signature}.json">{record.signature}</a>' in page


def test_what_a_record_names_is_shown_as_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path, also=())
    store.save(made_up_record(Condition("id", 0, 0.0), 1, "medium", {"test/nll": 1.0}))
    table = records(store, Evidence({}, [])).assign(source="<b>folder</b>")
    page = shown(table).to_html()
    assert "&lt;b&gt;folder" in page and "<b>folder" not in page
