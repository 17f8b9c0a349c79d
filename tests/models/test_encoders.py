"""Encoders of transformers by folder or by name on the hub, and heads, on tiny models."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
from made_up.tokenizers import as_fast, write_bert
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import AutoModel, BertModel, CanineTokenizer, DistilBertConfig, T5Config

from idlib.models import encoders
from idlib.models.encoders import POOLINGS, EncoderError, Headed, mean_pooled
from idlib.models.masks import takes_masks_as_they_are

IDS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "key", "menu", "open"]
WORDS = "embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A saved model of three layers with a fast tokenizer."""
    ids = {token: place for place, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = as_fast(tokenizer, VOCABULARY[:5])
    return write_bert(tmp_path_factory.mktemp("saved"), fast, layers=3, pooler=True)


@pytest.fixture
def original(saved) -> BertModel:
    return BertModel.from_pretrained(saved, attn_implementation="sdpa").eval()


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy that may be damaged, of a name that no cache knows."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


# ---- by folder


@torch.no_grad()
def test_a_folder_gives_its_model_and_tokenizer(folder, original):
    name = str(folder)
    states = original(IDS, MASK, output_hidden_states=True).hidden_states
    for layers in (None, 1, 3):
        model = encoders.load(name, layers=layers, dropout=0.3)
        assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {0.3}
        assert model.training and model.config._attn_implementation == "sdpa"
        hidden = model.eval()(IDS, MASK).last_hidden_state
        assert torch.equal(hidden, states[layers or 3])
    tokenizer = encoders.tokenizer(name)
    assert tokenizer("open a menu")["input_ids"] == [2, 8, 5, 7, 3]
    assert encoders.tokenizer(name) is tokenizer


def test_half_precision_is_read_as_float32(folder):
    path = folder / "model.safetensors"
    save_file({k: v.half() for k, v in load_file(path).items()}, path, {"format": "pt"})
    config = folder / "config.json"
    config.write_text(config.read_text().replace("float32", "float16"))
    model = encoders.load(str(folder))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_random_weights_come_from_the_global_generator(folder, original):
    name = "encoder.layer.1.output.dense.weight"
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        model = encoders.load(str(folder), layers=2, pretrained=False)
        drawn.append(model.state_dict()[name])
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], original.state_dict()[name])


def test_frozen_embeddings(folder, original):
    name, state = str(folder), original.state_dict()
    first, second = (encoders.load(name, freeze_embeddings=True) for _ in range(2))
    table = first.get_input_embeddings().weight
    assert table.data_ptr() == second.get_input_embeddings().weight.data_ptr()
    assert torch.equal(table, state.pop(WORDS)) and WORDS not in first.state_dict()
    first.load_state_dict(state, strict=True)
    other = encoders.load(name, pretrained=False, freeze_embeddings=True)
    assert not torch.equal(other.get_input_embeddings().weight, table)


def test_an_architecture_with_other_names_works(tmp_path):
    config = DistilBertConfig(vocab_size=9, dim=8, n_layers=3, n_heads=2, hidden_dim=16)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    model = encoders.load(str(tmp_path), layers=2, dropout=0.4, freeze_embeddings=True)
    assert len(model.transformer.layer) == 2
    assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {0.4}
    assert Headed(model, 3, dropout=0, pooling="first")(IDS, MASK).shape == (2, 3)


def test_a_text_without_a_token_for_unknown_ones_is_covered(folder):
    tokenizer = encoders.tokenizer(str(folder))
    ids = tokenizer(["open other"])["input_ids"]
    with pytest.raises(EncoderError, match=r"50\.0% of the tokens of it are unknown"):
        encoders.check_coverage(tokenizer, ids, "it")
    tokenizer.unk_token = None
    encoders.check_coverage(tokenizer, ids, "it")


# ---- by name on the hub


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """What the hub gave before, with the network off."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_a_name_is_looked_up_in_what_the_hub_gave_before(folder, hub, original):
    kept = hub / "models--somebody--tiny"
    shutil.copytree(folder, kept / "snapshots/0123abc")
    (kept / "refs").mkdir()
    (kept / "refs/main").write_text("0123abc")
    state = encoders.load("somebody/tiny").state_dict()
    assert all(torch.equal(state[name], value) for name, value in original.state_dict().items())
    assert encoders.tokenizer("somebody/tiny")("menu")["input_ids"] == [2, 7, 3]
    assert encoders.checksum("somebody/tiny") == encoders.checksum(str(folder))


@pytest.mark.parametrize("act", [encoders.load, encoders.tokenizer, encoders.checksum])
@pytest.mark.parametrize("name", ["nobody/none", "no/such/folder", "embeded"])
def test_a_name_that_is_unknown_is_an_error(name, act, hub):
    says = f"encoder '{name}' cannot be loaded.*give 'embedded'"
    with pytest.raises(EncoderError, match=says):
        act(name)


# ---- what cannot be used


@pytest.mark.slow
def test_an_encoder_without_a_fast_tokenizer_is_an_error(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    CanineTokenizer().save_pretrained(folder)
    with pytest.raises(EncoderError, match="no fast tokenizer .CanineTokenizer is none"):
        encoders.tokenizer(str(folder))


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(EncoderError, match=f"encoder '{tmp_path}' cannot be loaded: its config"):
        encoders.load(str(tmp_path))


def test_damaged_weights_are_an_error(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(EncoderError, match=f"encoder '{folder}' cannot be loaded: its weights"):
        encoders.load(str(folder))


def test_weights_that_are_missing_are_an_error(folder):
    """Else a part of the encoder would be random."""
    path = folder / "model.safetensors"
    state = load_file(path)
    del state["encoder.layer.1.output.dense.bias"]
    save_file(state, path, {"format": "pt"})
    with pytest.raises(EncoderError, match="no weights for encoder.layer.1.output.dense.bias"):
        encoders.load(str(folder))
    assert len(encoders.load(str(folder), layers=1).encoder.layer) == 1


@pytest.mark.parametrize(("name", "there"), [("embedded", 12), ("saved", 3)])
def test_layers_that_it_has_not_are_an_error(name, there, saved):
    for layers in (0, there + 1):
        says = f"has {there} layers, so layers={layers} cannot be kept; choose 1 to {there}"
        with pytest.raises(EncoderError, match=says):
            encoders.load(str(saved) if name == "saved" else name, layers=layers)


def test_a_model_with_a_decoder_is_an_error(tmp_path):
    T5Config().save_pretrained(tmp_path)
    with pytest.raises(EncoderError, match="has a decoder; choose an encoder"):
        encoders.load(str(tmp_path))


def test_a_checksum_follows_the_files(folder, tmp_path):
    plain = encoders.checksum(str(folder))
    copies = [shutil.copytree(folder, tmp_path / f"copy{i}") for i in range(4)]
    (copies[1] / "README.md").write_text("about it")
    (copies[2] / "tokenizer.json").write_text("{}")
    weights = copies[3] / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    same = [encoders.checksum(str(copy)) == plain for copy in copies]
    assert same == [True, True, False, False]


# ---- heads


def test_a_head_on_every_state(original):
    model = Headed(original, 5, dropout=0.1).eval()
    assert original.pooler is None, "nothing would train it"
    states = original(IDS, MASK).last_hidden_state
    assert torch.equal(model(IDS, MASK), nn.functional.linear(states, model.head.weight))
    assert model(IDS, MASK).shape == (2, 4, 5)
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"encoder", "head"}


def test_a_head_is_drawn_from_the_seed(original):
    heads = []
    for seed in (4, 4, 5):
        torch.manual_seed(seed)
        heads.append(Headed(original, 2000, dropout=0).head)
    assert torch.equal(heads[0].weight, heads[1].weight)
    assert not torch.equal(heads[0].weight, heads[2].weight)
    assert heads[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not heads[0].bias.any()


def test_dropout_before_the_head(original):
    model = Headed(original, 5, dropout=0.5)
    model.dropout.train()
    assert not torch.equal(model(IDS, MASK), model(IDS, MASK))
    model.eval()
    assert torch.equal(model(IDS, MASK), model(IDS, MASK))


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_pooling_ignores_padding(original, pooling):
    model = Headed(original, 5, dropout=0, pooling=pooling).eval()
    padded = model(IDS, MASK)
    assert padded.shape == (2, 5)
    alone = model(IDS[1:, :3], MASK[1:, :3])
    torch.testing.assert_close(padded[1:], alone, atol=1e-6, rtol=1e-5)
    shorter = model(IDS[:1], torch.tensor([[1, 1, 1, 0]]))
    assert not torch.allclose(padded[:1], shorter, atol=1e-6)


def test_the_mean_counts_nothing_that_is_masked():
    states = torch.tensor([[[1.0], [5.0], [float("nan")]]])
    assert mean_pooled(states, torch.tensor([[1, 1, 0]])).tolist() == [[3.0]]


@pytest.mark.parametrize("pooler", [True, False])
def test_the_first_state_is_pooled_as_the_encoder_does(original, pooler):
    if not pooler:
        original.pooler = None
    model = Headed(original, 5, dropout=0, pooling="first").eval()
    output = original(IDS, MASK)
    state = output.pooler_output if pooler else output.last_hidden_state[:, 0]
    assert torch.equal(model(IDS, MASK), nn.functional.linear(state, model.head.weight))


def test_token_types_reach_the_encoder(original):
    model = Headed(original, 5, dropout=0).eval()
    plain, typed = model(IDS, MASK), model(IDS, MASK, torch.ones_like(IDS))
    assert torch.equal(plain, model(IDS, MASK, torch.zeros_like(IDS)))
    assert not torch.equal(plain, typed)


def test_unknown_pooling_is_an_error(original):
    says = "unknown pooling 'max'; choose one of None, mean, first"
    with pytest.raises(EncoderError, match=says):
        Headed(original, 5, dropout=0, pooling="max")


@pytest.mark.skipif(
    not takes_masks_as_they_are(BertModel), reason="this version of transformers looks at masks"
)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_nothing_is_asked_of_a_mask_that_is_not_on_a_cpu(original, pooling):
    """On the meta device, where asking is an error as it is slow on a GPU."""
    model = Headed(original, 5, dropout=0, pooling=pooling).eval()
    taken = original(input_ids=IDS, attention_mask=MASK[:, None, None].bool())
    same = original(input_ids=IDS, attention_mask=MASK)
    torch.testing.assert_close(taken.last_hidden_state, same.last_hidden_state)
    assert model.to("meta")(IDS.to("meta"), MASK.to("meta")).is_meta
