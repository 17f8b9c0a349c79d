"""Questions where a command is, in every language, answered by the path through the menus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from idlib.data.folding import fold
from libreoffice_help.corpus import ENGLISH, SPLITS, Item, Pages, rank
from libreoffice_help.sections import Section, of_pages, of_paragraphs, words

QUESTIONS = {
    "en": "Where is the command “{}”?",
    "de": "Wo finde ich den Befehl „{}“?",
    "es": "¿Dónde está el comando «{}»?",
    "fr": "Où se trouve la commande « {} » ?",
    "it": "Dove si trova il comando «{}»?",
    "nl": "Waar staat de opdracht “{}”?",
    "pl": "Gdzie znajduje się polecenie „{}”?",
    "ru": "Где находится команда «{}»?",
    "el": "Πού βρίσκεται η εντολή «{}»;",
    "tr": "“{}” komutu nerede?",
    "fi": "Missä on komento ”{}”?",
    "hu": "Hol található a(z) „{}” parancs?",
    "vi": "Lệnh “{}” nằm ở đâu?",
    "ja": "「{}」コマンドはどこにありますか。",
    "ko": "“{}” 명령은 어디에 있습니까?",
    "zh-CN": "“{}”命令在哪里？",
}
OTHERS = (3, 7)  # other sections in a context, at least and at most
SIMILAR = 2  # of them, those that share most words with the command's name
CONTEXTS = {"train": 2, "validation": 1, "test": 1}  # for each question, with other sections

Sections = Mapping[str, Section]


def rows(
    languages: Mapping[str, Pages], items: Mapping[str, Item], of_page: Mapping[str, str]
) -> dict[str, dict[str, list[dict]]]:
    """By language and split; English has all splits, the others only ``test``."""
    pages = languages[ENGLISH]
    splits = {rank("section", page)[:12]: of_page[page] for page in pages}
    splits |= {item.id: item.split for item in items.values()}
    sections = {
        language: of_pages(pages, None if language == ENGLISH else translated)
        | of_paragraphs(items, None if language == ENGLISH else language)
        for language, translated in languages.items()
    }
    return ask(sections, splits)


def ask(
    sections: Mapping[str, Sections], splits: Mapping[str, str]
) -> dict[str, dict[str, list[dict]]]:
    """Questions about sections, by language and split.

    Args:
        sections: by language and by an id that is the same in all languages.
        splits: by the same id.
    """
    english = _without_repeats(sections[ENGLISH], splits)
    plans = {split: _plans(english, splits, split) for split in SPLITS}
    found: dict[str, dict[str, list[dict]]] = {}
    for language, every in sections.items():
        own = {name: section for name, section in every.items() if name in english}
        asked = SPLITS if language == ENGLISH else ("test",)
        found[language] = {split: _rows(plans[split], own, language) for split in asked}
    everywhere = set.intersection(*({r["id"] for r in f["test"]} for f in found.values()))
    for row in (row for by_split in found.values() for rows in by_split.values() for row in rows):
        row["parallel"] = row["id"] in everywhere
    return found


def _without_repeats(sections: Sections, splits: Mapping[str, str]) -> dict[str, Section]:
    """Without those that have an answer or a command's name of a later split.

    A path can stand in many paragraphs, so that these can be in several splits; the question is
    then kept for the test.
    """
    kept, seen = {}, set()
    for split in reversed(SPLITS):
        own = {}
        for name, section in sections.items():
            texts = {("answer", fold(answer)) for answer in section.answers}
            texts.add(("name", fold(section.name)))
            if splits[name] == split and not texts & seen:
                own[name] = section, texts
        seen = seen.union(*(texts for _, texts in own.values()))
        kept |= {name: section for name, (section, _) in own.items()}
    return kept


def _plans(sections: Sections, splits: Mapping[str, str], split: str) -> list[tuple]:
    """For each question its id and the order in which other sections are taken beside its own."""
    members = [name for name in sections if splits[name] == split]
    known = {name: words(sections[name].text) for name in members}
    plans = []
    for name in members:
        title = words(sections[name].name)
        for copy in range(CONTEXTS[split]):
            drawn = sorted(members, key=lambda other: rank("others", name, str(copy), other))
            close = sorted(drawn, key=lambda other: -len(title & known[other]))  # keeps the order
            least, most = OTHERS
            count = least + int(rank("count", name, str(copy)), 16) % (most - least + 1)
            plans.append((f"{name}-{copy}", name, count, close, drawn))
    return sorted(plans, key=lambda plan: rank("answering", plan[0]))


def _rows(plans: Sequence[tuple], sections: Sections, language: str) -> list[dict]:
    made = [_row(*plan, sections, language) for plan in plans if plan[1] in sections]
    return [row for row in made if row]


def _row(
    number: str,
    name: str,
    count: int,
    close: Sequence[str],
    drawn: Sequence[str],
    sections: Sections,
    language: str,
) -> dict | None:
    """The question about a section, which stands among others that do not answer it."""
    own = sections[name]
    forbidden = {fold(answer) for answer in own.answers} | {fold(own.name)}
    context = [name]
    for others, most in ((close, min(SIMILAR, count)), (drawn, count)):
        for other in others:
            if len(context) > most:
                break
            if other in sections and not _answers(sections[other], forbidden):
                if sections[other].folded not in {sections[c].folded for c in context}:
                    context.append(other)
    if len(context) <= OTHERS[0]:
        return None
    context.sort(key=lambda other: rank("order", number, other))
    text = "\n".join(sections[other].text for other in context)
    before = context[: context.index(name)]
    offset = sum(len(sections[other].text) + 1 for other in before)
    return {
        "id": number,
        "context": text,
        "question": QUESTIONS[language].format(own.name),
        "answers": {
            "text": own.answers,
            "answer_start": [offset + own.paths[i][0] for i in own.wanted],
        },
    }


def _answers(section: Section, forbidden: set[str]) -> bool:
    return any(text in section.folded for text in forbidden)
