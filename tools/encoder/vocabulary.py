"""Cuts a vocabulary to the pieces that a text uses, so that the text is segmented as before."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from idlib.data import checksums, tables

TASKS = ("answering", "classification", "tagging")
# Of the corpus' languages. Their single characters stay too, so that other text in them is spelled
# out rather than unknown; text in other scripts has unknown pieces and is refused.
SCRIPTS = ("CJK", "CYRILLIC", "GREEK", "HANGUL", "HIRAGANA", "KATAKANA", "LATIN", "COMBINING")


def texts_of(root: Path) -> dict[str, list[str]]:
    """The texts of each table of the tagging, answering and classification tasks, by its name.

    Raises:
        SystemExit: if there is none.
        DataError: if a table is damaged.
    """
    names = sorted(name.removesuffix(".parquet") for name in checksums.published(root))
    found = {}
    for name in names:
        task = name.split("/")[0]
        if task == "tagging":
            table = tables.read_embedded(name, ["tokens", "spaces"], root)
            found[name] = [joined(row["tokens"], row["spaces"]) for row in table.rows]
        elif task == "answering":
            table = tables.read_embedded(name, ["question", "context"], root)
            found[name] = [row[column] for row in table.rows for column in ("question", "context")]
        elif task == "classification":
            table = tables.read_embedded(name, [], root)
            columns = [c for c in (table.rows or [{}])[0] if c.startswith("sentence")]
            found[name] = [row[column] for row in table.rows for column in columns]
    if not any(found.values()):
        raise SystemExit(f"{root} holds no table of {', '.join(TASKS)}")
    return found


def joined(tokens: Sequence[str], spaces: Sequence[bool]) -> str:
    """The text that was cut into these tokens."""
    pairs = zip(tokens, spaces, strict=True)
    return "".join(token + " " * space for token, space in pairs).rstrip(" ")


def used_pieces(published: Mapping[str, Any], texts: Sequence[str]) -> Counter[int]:
    """How often each piece stands in the texts, by its id in the uncut ``tokenizer.json``."""
    encoded = _encode(Tokenizer.from_str(_dumps(published)), texts)
    return Counter(chain.from_iterable(encoded))


def kept_pieces(published: Mapping[str, Any], used: Iterable[int]) -> list[int]:
    """Ids of the pieces that stay: used, special, of one character, and the one of lowest score.

    Best paths stay best: of their pieces none goes, and every other path was there before. The
    piece of lowest score stays because the score of an unknown character follows from it.
    """
    vocabulary = published["model"]["vocab"]
    kept = {*used, published["model"]["unk_id"]}
    kept |= {token["id"] for token in published["added_tokens"]}
    kept |= {i for i, (piece, _) in enumerate(vocabulary) if len(piece) == 1 and spelled(piece)}
    kept.add(min(range(len(vocabulary)), key=lambda i: vocabulary[i][1]))
    return sorted(kept)


def spelled(character: str) -> bool:
    """Whether a character is one that the corpus' languages write with."""
    kind = unicodedata.category(character)[0]
    if kind in "LM":
        return unicodedata.name(character, "").split(" ")[0] in SCRIPTS
    return kind in "NPS"


def cut_tokenizer(published: Mapping[str, Any], kept: Sequence[int]) -> bytes:
    """``tokenizer.json`` with these pieces alone, numbered anew in their order.

    Scores, normaliser, pre-tokenizer and everything else stay as they were published.
    """
    new = {old: place for place, old in enumerate(kept)}
    model, added = published["model"], published["added_tokens"]
    cut = {
        **published,
        "added_tokens": [{**token, "id": new[token["id"]]} for token in added],
        "model": {
            **model,
            "unk_id": new[model["unk_id"]],
            "vocab": [model["vocab"][old] for old in kept],
        },
    }
    if template := (published.get("post_processor") or {}).get("special_tokens"):
        tokens = {
            name: {**token, "ids": [new[old] for old in token["ids"]]}
            for name, token in template.items()
        }
        cut["post_processor"] = {**published["post_processor"], "special_tokens": tokens}
    return _dumps(cut).encode()


def check_cut(
    published: Mapping[str, Any], cut: bytes, kept: Sequence[int], texts: Sequence[str]
) -> None:
    """Every text is cut into the same pieces by both tokenizers.

    Raises:
        SystemExit: if one is not; the message shows it.
    """
    before = _encode(Tokenizer.from_str(_dumps(published)), texts)
    after = _encode(Tokenizer.from_str(cut.decode()), texts)
    for text, old, new in zip(texts, before, after, strict=True):
        if old != [kept[place] for place in new]:
            raise SystemExit(f"the cut vocabulary changes how this is cut into pieces: {text!r}")


def _encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    found = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [encoding.ids for encoding in found]


def _dumps(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
