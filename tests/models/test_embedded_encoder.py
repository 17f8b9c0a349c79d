"""The embedded encoder: that it is the real one, what models share, and its damaged files."""

from __future__ import annotations

import shutil
import struct
import unicodedata
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest
import torch
from made_up.embedded_corpus import LANGUAGES, rows, text_of
from safetensors import safe_open
from torch import nn

from idlib.data import DataError
from idlib.models import embedded_encoder as embedded
from idlib.models import encoders
from idlib.models.encoders import EncoderError, Headed

WORDS = "embeddings.word_embeddings.weight"
# Sha256 of the tokens of the first texts of each language by the uncut tokenizer.
PUBLISHED_TOKENS = {
    "en": "d3ffb549e1340ab4",
    "de": "343538feaec2d910",
    "es": "6ba08bfb669a987d",
    "fr": "1dd13259e415577a",
    "it": "c2cd264279a8a3d4",
    "nl": "14b2f5004136c041",
    "pl": "73a0e9e2f9af6367",
    "ru": "1991ff36a664ce76",
    "el": "c577b6ded697a3bb",
    "tr": "57e94aeb1cca6890",
    "fi": "8971f92543ab2d79",
    "hu": "f63ff83a6dafef96",
    "vi": "e44fa280d9281d5b",
    "ja": "b4eddb9a785a8cdb",
    "ko": "aa3f7ad9718e1d48",
    "zh-CN": "fe55c5ff69bbe75a",
}


@pytest.fixture(scope="module")
def tokenizer():
    return encoders.tokenizer("embedded")


@pytest.fixture(scope="module")
def whole():
    return encoders.load("embedded").eval()


@pytest.fixture(scope="module")
def batch(tokenizer):
    texts = ["Wählen Sie das Menü.", "Press the key to open a new window and close it again.", "値"]
    return dict(tokenizer(texts, padding=True, return_tensors="pt"))


# ---- it is the real thing


@pytest.mark.slow
@torch.no_grad()
def test_german_sentences_find_their_translations(tokenizer, whole):
    """By cosine of mean-pooled states; of 200, at least 90 %.

    Shorter sentences are often alike, longer ones take longer.
    """
    pairs = [row["translation"] for row in rows("translation/test")]
    chosen = {pair["en"]: pair["de"] for pair in pairs if 60 < len(pair["de"]) <= 110}
    states = []
    for texts in (list(chosen.values())[:200], list(chosen)[:200]):
        order = sorted(range(len(texts)), key=lambda i, texts=texts: len(texts[i]))
        pooled = torch.empty(len(texts), 384)
        for part in torch.tensor(order).split(25):
            inputs = tokenizer([texts[i] for i in part], padding=True, return_tensors="pt")
            hidden = whole(**inputs).last_hidden_state
            pooled[part] = encoders.mean_pooled(hidden, inputs["attention_mask"])
        states.append(nn.functional.normalize(pooled, dim=1))
    nearest = (states[0] @ states[1].T).argmax(1)
    assert (nearest == torch.arange(200)).double().mean() >= 0.9


def test_values_are_the_published_blocks(whole):
    """Some blocks of every packed tensor, unpacked one value after another."""
    state = whole.state_dict()
    draw = np.random.default_rng(1)
    packed = 0
    with safe_open(embedded.FOLDER / embedded.WEIGHTS, "np") as file:
        for name in file.keys():  # noqa: SIM118 (no mapping)
            stored, loaded = file.get_tensor(name), state[embedded.transformers_name(name)]
            if stored.dtype == np.float32:
                assert np.array_equal(stored, loaded)
                continue
            packed += 1
            assert loaded.numel() == 32 * len(stored)
            for place in draw.integers(len(stored), size=5):
                (unit,) = struct.unpack("<e", stored[place, :2].tobytes())
                halves = stored[place, 2:].tolist()
                plain = [((b & 15) - 8) * unit for b in halves]
                plain += [((b >> 4) - 8) * unit for b in halves]
                assert loaded.flatten()[32 * place :][:32].tolist() == plain
    assert packed == 1 + 12 * 6 and len(state) == 197


def test_its_shape(whole):
    config = whole.config
    assert type(whole).__name__ == "BertModel" and whole.pooler is None
    assert (config.num_hidden_layers, config.hidden_size, config.vocab_size) == (12, 384, 39769)
    assert (config.layer_norm_eps, config.hidden_act) == (1e-12, "gelu")
    assert config._attn_implementation == "sdpa"
    assert all(p.dtype == torch.float32 and p.requires_grad for p in whole.parameters())


@torch.no_grad()
def test_fewer_layers_are_the_first_ones(whole, batch):
    first = encoders.load("embedded", layers=3).eval()
    states = whole(**batch, output_hidden_states=True).hidden_states
    assert torch.equal(first(**batch).last_hidden_state, states[3])
    for name, value in first.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name])


# ---- its tokenizer


def texts_of(language: str) -> list[str]:
    asked = rows(f"answering/{language}/test")[:20]
    texts = [text_of(row) for row in rows(f"tagging/{language}/test")[:100]]
    return [*texts, *(row["context"] for row in asked), *(row["question"] for row in asked)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_is_cut_as_by_the_whole_vocabulary_and_offsets_lead_to_it(tokenizer, language):
    """Apart from what normalisation lengthens, and the mark of a word's beginning alone."""
    lines, compared = [], 0
    for text in texts_of(language):
        encoded = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
        lines.append(" ".join(tokenizer.tokenize(text)))
        places = encoded["offset_mapping"]
        assert all(a <= b and c <= d and a <= c for (a, b), (c, d) in pairwise(places))
        for token, (start, end) in zip(tokens, places, strict=True):
            if token != "▁" and "…" not in text:
                read = "".join(unicodedata.normalize("NFKC", text[start:end]).split())
                assert read == token.replace("▁", "")
                compared += 1
    assert compared > 2000
    assert sha256("\n".join(lines).encode()).hexdigest()[:16] == PUBLISHED_TOKENS[language]


def test_special_tokens(tokenizer):
    assert tokenizer.is_fast and tokenizer.model_max_length == 512
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3]) == ["<s>", "<pad>", "</s>", "<unk>"]
    assert tokenizer.mask_token_id == len(tokenizer) - 1 == 39768
    names = ("cls", "pad", "sep", "unk")
    assert [getattr(tokenizer, f"{name}_token_id") for name in names] == [0, 1, 2, 3]
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("the key", "menu")["input_ids"])
    assert tokens == ["<s>", "▁the", "▁key", "</s>", "</s>", "▁menu", "</s>"]
    assert list(tokenizer("the key")) == ["input_ids", "attention_mask"]


@pytest.mark.parametrize(
    "texts",
    [
        ["Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich"],
        ["色は匂へど散りぬるを我が世誰ぞ常ならむ", "키스의 고유조건은 입술끼리"],
        ["the " * 98 + "ส"],  # 98, the mark of a word, and one unknown: 1 %
        [],
    ],
)
def test_other_text_of_these_languages_is_spelled_out(tokenizer, texts):
    encoders.check_coverage(tokenizer, tokenizer(texts)["input_ids"] if texts else [], "it")


@pytest.mark.parametrize(
    "text", ["เป็นมนุษย์สุดประเสริฐ เลิศคุณค่า", "نص حكيم له سر قاطع", "א׳ ב׳ ג׳", "the " * 97 + "ส"]
)
def test_text_in_other_scripts_is_refused(tokenizer, text):
    ids = tokenizer([text])["input_ids"]
    share = ids[0].count(3) / (len(ids[0]) - 2)
    with pytest.raises(
        EncoderError, match=rf"^{share:.1%} of the tokens of the text of split"
    ) as e:
        encoders.check_coverage(tokenizer, ids, "the text of split test/xx")
    assert "test/xx are unknown" in str(e.value) and "choose another encoder by its" in str(e.value)


# ---- models


def test_loading_draws_nothing_and_copies():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = encoders.load("embedded", layers=1, dropout=0.25)
    assert torch.equal(torch.get_rng_state(), before)
    rates = {module.p for module in first.modules() if isinstance(module, nn.Dropout)}
    assert rates == {0.25} and first.training
    assert first.encoder.layer[0].attention.self.dropout.p == 0.25
    kept = {name: value.clone() for name, value in first.state_dict().items()}
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.zero_()
    second = encoders.load("embedded", layers=1).state_dict()
    assert all(torch.equal(second[name], value) for name, value in kept.items())


def test_random_weights_are_those_of_transformers():
    from transformers import AutoModel

    torch.manual_seed(1)
    model = encoders.load("embedded", layers=1, pretrained=False)
    torch.manual_seed(1)
    plain = AutoModel.from_config(model.config, add_pooling_layer=False).state_dict()
    assert all(torch.equal(plain[name], value) for name, value in model.state_dict().items())


def test_frozen_embeddings_are_shared_and_not_saved(batch):
    first, second = (encoders.load("embedded", layers=1, freeze_embeddings=True) for _ in range(2))
    table = first.get_input_embeddings().weight
    assert table.data_ptr() == second.get_input_embeddings().weight.data_ptr()
    assert not table.requires_grad and table.shape == (39769, 384)
    assert WORDS not in first.state_dict()
    assert all(parameter.shape != table.shape for parameter in first.parameters())
    trained = {name for name, _ in first.named_parameters() if name.startswith("embeddings.")}
    parts = ("position_embeddings.weight", "token_type_embeddings.weight")
    assert trained == {f"embeddings.{n}" for n in (*parts, "LayerNorm.weight", "LayerNorm.bias")}

    whole = encoders.load("embedded", layers=1)
    state = whole.state_dict()
    assert torch.equal(state.pop(WORDS), table)
    second.load_state_dict(state, strict=True)
    assert state.keys() == second.state_dict().keys()
    expected = whole.eval()(**batch).last_hidden_state
    assert torch.equal(second.eval()(**batch).last_hidden_state, expected)


def test_training_leaves_frozen_embeddings_as_they_are(batch):
    model = Headed(encoders.load("embedded", layers=1, freeze_embeddings=True), 3, dropout=0.1)
    before = model.encoder.get_input_embeddings().weight.clone()
    positions = model.encoder.embeddings.position_embeddings.weight.detach().clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    model(**batch).square().mean().backward()
    optimizer.step()
    assert torch.equal(model.encoder.get_input_embeddings().weight, before)
    assert not torch.equal(model.encoder.embeddings.position_embeddings.weight, positions)
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_random_frozen_embeddings_are_the_same_in_every_run(monkeypatch):
    """A checkpoint does not hold them, so they may not depend on the run's seed."""
    models = []
    for seed in (1, 2):
        monkeypatch.setattr(encoders, "_frozen", {})  # as in a process of its own
        torch.manual_seed(seed)
        models += [encoders.load("embedded", layers=1, pretrained=False, freeze_embeddings=True)]
    tables = [model.get_input_embeddings().weight for model in models]
    assert torch.equal(*tables)
    assert tables[0].std().item() == pytest.approx(0.02, rel=0.01)
    again = encoders.load("embedded", layers=1, pretrained=False, freeze_embeddings=True)
    assert again.get_input_embeddings().weight.data_ptr() == tables[1].data_ptr()
    dense = [model.encoder.layer[0].output.dense.weight for model in models]
    assert not torch.equal(*dense)


# ---- files


@pytest.fixture
def copied(tmp_path, monkeypatch):
    folder = tmp_path / "encoder"
    shutil.copytree(embedded.FOLDER, folder)
    monkeypatch.setattr(embedded, "FOLDER", folder)
    return folder


def test_the_checksum_is_that_of_the_files(copied):
    there = encoders.checksum("embedded")
    assert len(bytes.fromhex(there)) == 32
    (copied / "SOURCE.md").write_text("other words")
    assert encoders.checksum("embedded") == there


@pytest.mark.parametrize("name", embedded.FILES)
def test_a_damaged_file_is_refused_by_name(copied, name):
    path = copied / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    use = {
        embedded.WEIGHTS: lambda: encoders.load("embedded", layers=1),
        embedded.TOKENIZER: lambda: encoders.tokenizer.__wrapped__("embedded"),
    }
    for act in (use[name], lambda: encoders.checksum("embedded")):
        with pytest.raises(DataError, match=f"{path} is not the file that was published"):
            act()
