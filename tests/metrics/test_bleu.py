"""SacreBLEU through the project: equal to the command, and to its scores of any sentences."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from idlib.metrics import bleu
from idlib.metrics.items import items_of, score

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
    for part in (range(60), [5, 5, 17, 40]):
        (items,) = items_of(
            bleu.as_curves(statistics[list(part)]), "test/bleu", bleu.ITEMS
        ).values()
        expected = bleu.score([hypotheses[i] for i in part], [references[i] for i in part]).bleu
        assert score({"en": items}, bleu.ITEMS) == pytest.approx(expected, abs=1e-9)
        assert np.array_equal(items.statistics[:6], statistics[list(part)].T)
    assert items_of({}, "test/bleu", bleu.ITEMS) == {}


@pytest.mark.parametrize("kept", [0.6, 1.0])
def test_brevity_penalty_is_sacrebleus(kept: float) -> None:
    _, references = corpus(5, 0.0)
    short = [" ".join(line.split()[: max(1, int(kept * len(line.split())))]) for line in references]
    found = BLEU(force=True).corpus_score(short, [references])
    ratio = bleu.score(short, references).length_ratio
    assert bleu.brevity_penalty(ratio) == pytest.approx(found.bp, abs=1e-12)
    assert (found.bp < 1) == (kept < 1)


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="no hypotheses"):
        bleu.score([], [])
    with pytest.raises(ValueError, match="2 hypotheses for 1 references"):
        bleu.sentence_statistics(["a", "b"], ["a"])


def test_signature_names_version_and_tokenisation() -> None:
    assert "tok:13a" in bleu.signature() and "version:" in bleu.signature()
