"""The records of registered runs are what the protocol asked for, made after it was fixed.

Which commit held which protocol, and since when, is read from the history of the checkout; without
it (a shallow clone, a copy without git) those tests say so and look at nothing.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

import pytest
from committed import EVIDENCE, ROOT, check

from idlib import protocol
from idlib.experiments.registered import Evidence, evidence, specs_of
from idlib.experiments.runs import run
from idlib.protocol import NAME, Registered
from idlib.records import CHANGED, Origin, Record, Store, origin, paths
from idlib.report import figures
from idlib.report.board import Board
from idlib.report.pages import claims as page

SEEN = range(1, 11)  # seeds that were looked at, or may have been, before the protocol


@pytest.fixture(scope="module")
def stored() -> list[Record]:
    """All records of the folder, whatever they are of."""
    found = [record for record, _ in Store(EVIDENCE, also=()).all()]
    if not found:
        pytest.skip("no registered run is made yet: `idlib evidence STUDY` makes them")
    return found


def studies_of(records: list[Record]) -> list[str]:
    """The studies that these records can be of; to plan the others too takes much longer."""
    each = {(record.asked.task, record.asked.profile) for record in records}
    known = protocol.read().studies
    return [name for name, study in known.items() if (study.task, study.profile) in each]


@pytest.fixture(scope="module")
def found(stored: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("evidence"))  # what is kept of plans stays there
        yield evidence(*studies_of(stored), folder=EVIDENCE)


@pytest.fixture(scope="module")
def answered(found: Evidence) -> dict[Registered, Record]:
    """The records that count, by the runs that they answer."""
    return {
        Registered(study, cell, seed): record
        for study, cells in found.records.items()
        for cell, by_seed in cells.items()
        for seed, record in by_seed.items()
    }


# ---- what was asked for


def test_each_was_made_under_an_accepted_protocol_at_a_seed_that_nobody_had_seen(stored):
    read = protocol.read()
    seen = {*SEEN, *(seed for pilot in read.pilots for seed in pilot.seeds)}
    wrong = []
    for record in stored:
        if record.origin.protocol not in read.accepted:
            wrong.append((record, f"made under {record.origin.protocol}"))
        if record.asked.seed in seen:
            wrong.append((record, "its seed was seen before"))
    check(wrong)


@pytest.mark.slow
def test_each_file_answers_a_registered_run(stored, found, answered):
    assert found.unknown == []
    assert [refused for each in found.studies.values() for refused in each.refused] == []
    assert {r.signature for r in answered.values()} == {r.signature for r in stored}
    assert len(stored) == len(paths(EVIDENCE))


@pytest.mark.slow
def test_each_has_a_seed_and_a_device_of_its_study(answered):
    wrong = []
    for (name, cell, seed), record in answered.items():
        study, asked = protocol.read().studies[name], record.asked
        if asked.seed != seed or seed not in study.seeds_of(cell):
            wrong.append((record, f"is not of seed {seed} of {name}, {cell}"))
        if asked.device_type != study.device:
            wrong.append((record, f"was made on {asked.device_type}"))
    check(wrong)


@pytest.mark.slow
def test_all_arms_of_a_seed_are_made_on_one_kind_of_processor(answered):
    devices = defaultdict(lambda: defaultdict(list))
    for (study, cell, seed), record in answered.items():
        devices[study, seed][record.origin.device].append(cell)
    assert {arms: dict(kinds) for arms, kinds in devices.items() if len(kinds) > 1} == {}


# ---- when it was fixed


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


class Version(NamedTuple):
    """A committed version of the protocol: its SHA-256, and since when it has been there."""

    sha256: str
    since: datetime


@pytest.fixture(scope="module")
def whole_history() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this copy has no history: it is no checkout, or git is missing")
    if git("rev-parse", "--is-shallow-repository").strip() != b"false":
        pytest.skip("a shallow clone has no history: `git fetch --unshallow` brings it")


@pytest.fixture(scope="module")
def versions(whole_history: None) -> list[Version]:
    """All committed versions of the protocol, the first one first."""
    log = git("log", "--reverse", "--diff-filter=AMR", "--format=%H %ct", "--", NAME).decode()
    return [
        Version(protocol_at(commit), datetime.fromtimestamp(int(seconds), timezone.utc))
        for commit, seconds in map(str.split, log.splitlines())
    ]


def protocol_at(commit: str) -> str:
    """The SHA-256 of the protocol at a commit."""
    return hashlib.sha256(git("show", f"{commit}:{NAME}")).hexdigest()


def is_there(commit: str) -> bool:
    try:
        git("cat-file", "-e", f"{commit}^{{commit}}")
    except subprocess.CalledProcessError:
        return False
    return True


def test_what_each_was_made_under_had_been_committed_before_it_began(stored, versions):
    """A run began before its record was written, by at least the seconds that it trained."""
    since = {}
    for version in versions:
        since.setdefault(version.sha256, version.since)
    wrong = []
    for record in stored:
        made = datetime.fromisoformat(record.origin.created)
        began = made - timedelta(seconds=record.cost.seconds)
        if not versions[0].since < began:
            wrong.append((record, f"began at {began}, before there was a protocol"))
        if record.origin.protocol not in since:
            wrong.append((record, "its protocol was never committed"))
        elif not since[record.origin.protocol] < began:
            wrong.append((record, f"began at {began}, before its protocol was committed"))
    check(wrong)


def test_the_commit_that_made_each_holds_its_protocol(stored, whole_history):
    made = defaultdict(list)
    for record in stored:
        commit = record.origin.commit
        made[commit and commit.removesuffix(CHANGED)].append(record)
    at_hand = [commit for commit in made if commit is not None and is_there(commit)]
    wrong = []
    for commit in at_hand:
        held = protocol_at(commit)
        wrong += [
            (record, f"{commit} holds the protocol {held[:12]}")
            for record in made[commit]
            if record.origin.protocol != held
        ]
    check(wrong)
    if lost := {str(commit): len(made[commit]) for commit in made if commit not in at_hand}:
        pytest.skip(f"this history does not have the commits of some records: {lost}")


def test_amendments_name_committed_versions(versions):
    known = {version.sha256 for version in versions}
    assert len(known) > 1  # it was changed before anything was made under it
    before = {amendment.before for amendment in protocol.read().amendments}
    assert before <= known


# ---- the same again


@pytest.mark.slow
def test_the_same_run_begins_with_the_same_bits(stored, fresh):
    """On the same kind of processor, with the same versions of the libraries.

    Without a divergence, and at rates that no length enters, the beginning of a run is that of any
    shorter one: two epochs are trained, where the whole takes a minute or more.
    """
    here = libraries(origin())
    same = [r for r in stored if r.asked.device_type == "cpu" and libraries(r.origin) == here]
    free = [
        r
        for r in same
        if not (r.asked.settings["alpha"] or r.asked.settings["round"])
        and r.asked.settings["schedule"] != "linear"
    ]
    if not free:
        pytest.skip(f"of {len(stored)} records none of a plain run is of {here}")
    whole = min(free, key=lambda record: record.cost.seconds)
    specs = specs_of(protocol.read(), *studies_of([whole]))
    spec = {spec.signature: spec for spec in specs.values()}[whole.signature]
    shorter = {**spec.overrides, "epochs": 2, "sensitivity_examples": 60, "pruned": None}
    begun = run(replace(spec, overrides=shorter), fresh).measured.curves
    curves, evaluations = whole.measured.curves, len(whole.measured.curves["validation/step"])
    names = [  # but of the costly metrics, which are measured more seldom
        name
        for name, values in curves.items()
        if name.startswith(("train/", "validation/")) and len(values) == evaluations
    ]
    assert {"train/task", "validation/nll"} <= set(names)
    assert {name: curves[name][:2] for name in names} == {name: begun[name] for name in names}


def libraries(made: Origin) -> tuple[str, dict[str, str]]:
    """The processor, and the versions that bits depend on."""
    return made.device, {name: v for name, v in made.versions.items() if name != "idlib"}


def test_one_record_moves_board_figure_and_sentences(found: Evidence) -> None:
    """Of a study that is whole: every seed of every line is in what is shown."""
    images = found.records["images"]
    if any(len(by_seed) < 10 for by_seed in images.values()):
        pytest.skip("the image runs are not all made: `idlib evidence images` makes them")
    record = images["id"][11]
    metrics = {name: value + 0.5 for name, value in record.measured.metrics.items()}
    measured = record.measured.model_copy(update={"metrics": metrics})
    changed = record.model_copy(update={"measured": measured})
    cells = {**images, "id": {**images["id"], 11: changed}}
    before, after = Board(found.records), Board({**found.records, "images": cells})
    moved = [
        name
        for name, one in before.decisions.items()
        if one.interval != after.decisions[name].interval
    ]
    lines = protocol.read().lines
    assert moved == [
        n for n, one in lines.items() if one.study == "images" and "id" in one.contrast
    ]
    rows = zip(
        before.table()["line"], before.table()["effect"], after.table()["effect"], strict=True
    )
    assert [name for name, old, new in rows if old != new] == moved
    assert page.answers(before, "")["Where?"] != page.answers(after, "")["Where?"]
    shown = [figures.embedded(figures.board(board), "effects") for board in (before, after)]
    assert shown[0] != shown[1]
    assert shown[0] == figures.embedded(figures.board(Board(found.records)), "effects")
