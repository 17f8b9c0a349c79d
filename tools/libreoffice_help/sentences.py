"""Splits a paragraph into sentences, by one rule for all languages that use these stops."""

from __future__ import annotations

import re

# A stop, with closing quotes or brackets, then space, then what can begin a sentence.
_STOP = re.compile(
    r"(?P<word>\S*?)(?P<stop>[.!?…]+[\"'”“’»«)\]]*) +(?=[\"'“„‚«»‘(\[¿¡]*(?P<next>[^\W_]))"
)
# Stops that end no sentence, lower case, without the last full stop.
_ABBREVIATIONS = set(
    "z.b d.h u.a o.ä u.ä s.o s.u usw bzw ca evtl ggf inkl max min nr sog vgl zzgl abb bspw etc "
    "e.g i.e vs cf approx fig incl no resp mr mrs dr prof st jr inc ltd co corp".split()
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order; joined by single spaces they give it back.

    A sentence ends at ``. ! ? …`` (closing quotes and brackets may follow) before a space and a
    word that begins with a capital letter or a digit; not after a single letter, a number alone,
    or a common abbreviation.

    >>> sentences("Press Enter. The dialog (e.g. Options) opens! 2 tabs are shown.")
    ['Press Enter.', 'The dialog (e.g. Options) opens!', '2 tabs are shown.']
    """
    found, start = [], 0
    for match in _STOP.finditer(text):
        if match["next"].islower() or _is_abbreviation(match["word"], match["stop"]):
            continue
        found.append(text[start : match.end()].strip())
        start = match.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if sentence]


def _is_abbreviation(word: str, stop: str) -> bool:
    if stop != ".":
        return False
    bare = word.lstrip("\"'“„‚«»‘([-–").casefold()
    return bare in _ABBREVIATIONS or len(bare) <= 1 or bare.isdigit()
