"""SacreBLEU through the project: equal to the command, and to its paired bootstrap."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from idlib.metrics import bleu

WORDS = "the a file menu opens closes saves document , . page Page's (first) 12.5 % über ß".split()


def corpus(seed: int, noise: float, size: int = 60) -> tuple[list[str], list[str]]:
    """References and hypotheses that differ from them in a share ``noise`` of their words."""
    rng = np.random.default_rng(seed)
    references = [" ".join(rng.choice(WORDS, size=rng.integers(1, 14))) for _ in range(size)]
    hypotheses = [
        " ".join(str(rng.choice(WORDS)) if rng.random() < noise else word for word in line.split())
        for line in references
    ]
    return hypotheses, references


def systems() -> tuple[list[str], list[str], list[str]]:
    _, references = corpus(0, 0.0)
    rng = np.random.default_rng(1)
    a, b = (
        [" ".join(w for w in line.split() if rng.random() > drop) or "a" for line in references]
        for drop in (0.10, 0.14)
    )
    return a, b, references


def test_the_score_is_that_of_the_sacrebleu_command(tmp_path: Path) -> None:
    hypotheses, references = corpus(3, 0.3)
    for name, lines in (("hypotheses", hypotheses), ("references", references)):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [Path(sys.executable).with_name("sacrebleu"), "references", "-i", "hypotheses"]
    command += ["--metrics", "bleu", "chrf", "--chrf-word-order", "2", "--width", "10"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    ours = bleu.score(hypotheses, references)
    assert [ours.bleu, ours.chrf] == pytest.approx([row["score"] for row in found], abs=1e-9)
    assert found[0]["signature"] == bleu.signature()
    assert 20 < ours.bleu < 80


def test_sentence_statistics_give_the_corpus_score_of_any_part() -> None:
    hypotheses, references = corpus(4, 0.2)
    statistics = bleu.sentence_statistics(hypotheses, references)
    assert bleu.from_statistics(statistics) == pytest.approx(
        bleu.score(hypotheses, references).bleu, abs=1e-9
    )
    part = [5, 5, 17, 40]
    expected = bleu.score([hypotheses[i] for i in part], [references[i] for i in part]).bleu
    assert bleu.from_statistics(statistics[part]) == pytest.approx(expected, abs=1e-9)
    assert np.array_equal(bleu.items_of(bleu.as_curves(statistics)), statistics)
    assert bleu.items_of({}).shape == (0, 6)


@pytest.mark.parametrize("kept", [0.6, 1.0])
def test_brevity_penalty_is_sacrebleus(kept: float) -> None:
    _, references = corpus(5, 0.0)
    short = [" ".join(line.split()[: max(1, int(kept * len(line.split())))]) for line in references]
    found = BLEU(force=True).corpus_score(short, [references])
    ratio = bleu.score(short, references).length_ratio
    assert bleu.brevity_penalty(ratio) == pytest.approx(found.bp, abs=1e-12)
    assert (found.bp < 1) == (kept < 1)


def test_paired_bootstrap_is_sacrebleus() -> None:
    a, b, references = systems()
    metrics = {"BLEU": BLEU(references=[references])}
    test = PairedTest([("b", b), ("a", a)], metrics, None, test_type="bs", n_samples=1000)
    first, second = test()[1]["BLEU"]
    ours = bleu.paired_bootstrap(
        [bleu.sentence_statistics(a, references)], [bleu.sentence_statistics(b, references)]
    )
    assert ours.difference == pytest.approx(second.score - first.score, abs=1e-9)
    assert ours.p_value == pytest.approx(second.p_value, abs=1e-12)
    assert 0 < ours.p_value < 1 and ours.low < ours.difference < ours.high


def test_bootstrap_over_seeds_is_that_of_a_plain_loop() -> None:
    """Two systems that differ on each side: both of a side enter, by the mean of their scores."""
    references = corpus(0, 0.0, size=25)[1]
    rng = np.random.default_rng(2)
    sides = [
        [
            bleu.sentence_statistics(
                [" ".join(w for w in line.split() if rng.random() > drop) for line in references],
                references,
            )
            for drop in drops
        ]
        for drops in ((0.05, 0.2), (0.1, 0.3))
    ]
    found = bleu.paired_bootstrap(*sides, resamples=40, seed=3)
    drawn = np.random.default_rng(3).choice(25, size=(40, 25))
    scores = np.array(
        [[[bleu.from_statistics(s[rows]) for s in side] for side in sides] for rows in drawn]
    )  # [resamples, sides, systems]
    first, second = scores.mean(-1).T
    assert (found.low, found.high) == pytest.approx(
        tuple(np.percentile(first - second, [2.5, 97.5]))
    )
    whole = [[bleu.from_statistics(system) for system in side] for side in sides]
    assert found.difference == pytest.approx(np.mean(whole[0]) - np.mean(whole[1]))
    away = np.abs(first - second) - np.abs(first - second).mean()
    assert found.p_value == (sum(away > abs(found.difference)) + 1) / 41
    # What this would not tell apart if the systems of a side were alike:
    assert np.abs(scores[..., 0] - scores[..., 1]).min() > 1


def test_a_system_against_itself_and_against_a_perfect_one() -> None:
    a, b, references = systems()
    one = bleu.sentence_statistics(a, references)
    same = bleu.paired_bootstrap([one], [one])
    assert same[:3] == (0.0, 0.0, 0.0)
    perfect = bleu.sentence_statistics(references, references)
    better = bleu.paired_bootstrap([perfect, perfect], [one, one])
    assert better.low > 0 and better.p_value < 0.05
    worse = bleu.paired_bootstrap([one], [perfect])
    assert worse.difference == pytest.approx(-better.difference)
    # The mean over seeds lies between its parts.
    mixed = bleu.paired_bootstrap([perfect, one], [one, one])
    assert mixed.difference == pytest.approx(better.difference / 2)


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="no hypotheses"):
        bleu.score([], [])
    with pytest.raises(ValueError, match="2 hypotheses for 1 references"):
        bleu.sentence_statistics(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="at least one sentence"):
        bleu.from_statistics(np.zeros((0, 6)))
    with pytest.raises(ValueError, match="at least one system"):
        bleu.paired_bootstrap([], [])
    one = bleu.sentence_statistics(["a b"], ["a b"])
    with pytest.raises(ValueError, match="same test set"):
        bleu.paired_bootstrap([one], [bleu.sentence_statistics(["a"], ["a"])])


def test_signature_names_version_and_tokenisation() -> None:
    assert "tok:13a" in bleu.signature() and "version:" in bleu.signature()
