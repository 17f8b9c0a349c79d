"""The claims C1–C8, and what the paper and the earlier report say of each.

The paper is Xu, Koehn and Murray 2022 and the earlier report Dury, Manne and Sharma's reproduction
of it. What is void or confounded about a figure is said beside it by its number in the audit. How
a claim is judged stands in the protocol (:mod:`idlib.protocol`).
"""

from __future__ import annotations

from typing import NamedTuple

PUBLISHED = REPORT, PAPER = "earlier report", "paper"  # who states figures


class Claim(NamedTuple):
    """A claim in our words, and what the paper and the earlier report say."""

    id: str
    statement: str
    paper: str
    report: str


CLAIMS = {
    claim.id: claim
    for claim in (
        Claim(
            "C1",
            "In translation from German to English, intra-distillation beats the baseline "
            "in SacreBLEU.",
            "33.07 → 36.10 (+3.03, 9.16 %)",
            "32.90 → 35.11 (+2.21, 6.72 %), one seed each",
        ),
        Claim(
            "C2",
            "In named-entity recognition carried from English to other languages, "
            "intra-distillation raises F1.",
            "English 84.50 → 85.40 (XLM-R large, as the earlier report cites it)",
            "English 82.353 → 83.412 (mBERT; the training language, so not zero-shot: A18)",
        ),
        Claim(
            "C3",
            "In question answering in several languages, intra-distillation raises F1.",
            "65.51 → 68.20 (as the earlier report cites it; over which languages: not stated)",
            "English 63.54 → 66.853 (xlm-mlm-tlm-xnli15-1024)",
        ),
        Claim(
            "C4",
            "Self-distillation and intra-distillation both lower the standard deviation of "
            "parameter sensitivity.",
            "yes, on translation (figures not stated)",
            "raw: contradicted in 3 of 4 comparisons for each; normalised: self-distillation "
            "lowers it in 4 of 4, intra-distillation in 3 of 4 (images; void: A12–A14)",
        ),
        Claim(
            "C5",
            "Intra-distillation already holds most of what self-distillation gives: after it, less "
            "than half of what a round takes off the baseline's test loss is left.",
            "a hypothesis, of all that it gives: after it, rounds do not lower the test loss "
            "(figures not stated)",
            "translation: planned and not achieved (A19); images: mostly; at s = 0.1 its student "
            "is 0.066 above its teacher in test NLL, where the baseline's is 0.075 below (void: "
            "A1, A3, A7)",
        ),
        Claim(
            "C6",
            "Intra-distillation helps outside language too: it lowers the test NLL of image "
            "models.",
            "an untested hypothesis",
            "every one of its models beats every baseline one, by 0.098 on average "
            "(0.616 → 0.518; confounded: A2, A11)",
        ),
        Claim(
            "C7",
            "In language understanding (GLUE), intra-distillation beats the baseline.",
            "yes (figures not stated)",
            "not run; only its settings are listed",
        ),
        Claim(
            "C8",
            "The gain comes from the divergence, neither from averaging K dropout samples nor "
            "from K times the compute.",
            "not tested",
            "not tested",
        ),
    )
}

# What the audit says of the earlier report's figures of a claim. Of C6 that is of models without
# label smoothing: the baseline that is named smoothed was not, so that no comparison of it stands.
_VOID = "void"
CAVEATS = {
    "C4": f"{_VOID} (A12–A14)",
    "C5": f"{_VOID} (A1, A3, A7)",
    "C6": "confounded (A2, A11)",
}
SMOOTHED = {"C6": f"{_VOID} (A1)"}


def caveat(claim: str, smoothed: bool = False) -> str:
    """What must be said beside a figure of the earlier report; empty if nothing.

    Args:
        claim: whose figure it is, by id.
        smoothed: whether it is of models that are named smoothed.

    >>> caveat("C6"), caveat("C6", smoothed=True), caveat("C1", smoothed=True)
    ('confounded (A2, A11)', 'void (A1)', '')
    """
    return (SMOOTHED.get(claim) if smoothed else None) or CAVEATS.get(claim, "")


def is_void(claim: str, smoothed: bool = False) -> bool:
    """Whether nothing can be read from that figure at all, so that it is no benchmark."""
    return caveat(claim, smoothed).startswith(_VOID)
