"""SQuAD's scores of answers, exact match and token F1, and answers that need no model.

Both scores compare texts in lower case, without ASCII punctuation, English articles and
superfluous white space (Rajpurkar et al. 2016), in every language. A token is what stands between
white space, so a text without spaces (Japanese, Chinese) is one token, and its F1 is nearly its
exact match. transformers 5 has these scores no more, and torchmetrics gives means only, where the
bootstrap needs the score of each answer.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WORDS = re.compile(r"\w+")


def normalise(text: str) -> str:
    """A text as it is compared.

    >>> normalise("The  menu: Insert – Page-Break!")
    'menu insert – pagebreak'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1 if the prediction is one of the answers, else 0.

    Raises:
        ValueError: there are no answers.
    """
    return float(normalise(prediction) in map(normalise, _checked(answers)))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """Token F1 (0–1) of a prediction with the answer that it is nearest to.

    2 · common / (predicted + gold), tokens counted as often as they occur. Texts without a token
    are right or wrong as a whole.

    Raises:
        ValueError: there are no answers.

    >>> f1("choose Insert > Page", ["the Insert Page", "View"])
    0.8
    """
    return max(_token_f1(normalise(prediction).split(), answer) for answer in _checked(answers))


def _token_f1(predicted: list[str], answer: str) -> float:
    gold = normalise(answer).split()
    if not predicted or not gold:
        return float(predicted == gold)
    common = (Counter(predicted) & Counter(gold)).total()
    return 2 * common / (len(predicted) + len(gold))


def _checked(answers: Sequence[str]) -> Sequence[str]:
    if not answers:
        raise ValueError("a prediction is compared with at least one answer; none is given")
    return answers


# ---- what is scored without a model


def shared_line(question: str, context: str) -> list[str]:
    r"""The line that holds most of the question's words, the first of several.

    >>> shared_line("Where is “Page”?", "Choose File.\nChoose Format - Page.")
    ['Choose Format - Page.']
    """
    words = set(_WORDS.findall(question.lower()))
    return [max(_lines(context), key=lambda line: sum(word in line.lower() for word in words))]


BASELINES: dict[str, Callable[[str, str], list[str]]] = {
    "first": lambda question, context: _lines(context)[:1],  # the first line of the context
    "line": lambda question, context: _lines(context),  # the mean is that of a line at random
    "shared": shared_line,
}
"""Rules that give answers from question and context alone, by name."""


def baseline_f1(rule: str, question: str, context: str, answers: Sequence[str]) -> float:
    """Mean token F1 of the answers that a rule of :data:`BASELINES` gives."""
    scores = [f1(line, answers) for line in BASELINES[rule](question, context)]
    return sum(scores) / len(scores)


def _lines(context: str) -> list[str]:
    return [line for line in context.split("\n") if line.strip()] or [context]
