"""The Transformer of the translation task: as fairseq's, and equal to its equations."""

from __future__ import annotations

import itertools
import logging
import math

import pytest
import torch
from made_up import plain_transformer as plain
from transformers import MarianMTModel

from idlib.method.losses import cross_entropy
from idlib.models.masks import takes_masks_as_they_are
from idlib.models.transformer import beam_search, masks, search_bytes, transformer
from idlib.sensitivity.parameter_sets import trainable
from idlib.training import checkpoints

BOS, PAD, EOS = 0, 1, 2
PAPER = dict(layers=6, width=512, ffn=1024, heads=4)
SMALL = dict(layers=2, width=16, ffn=24, heads=4)
VOCABULARY = 24


@pytest.fixture(scope="module")
def full() -> MarianMTModel:
    """The paper's size, without dropout; tests must not change it."""
    torch.manual_seed(1)
    return transformer(12_000, **PAPER, dropout=0.0, attention_dropout=0.0, positions=1024)


def small(vocabulary: int = VOCABULARY, seed: int = 0, dropout: float = 0.0) -> MarianMTModel:
    torch.manual_seed(seed)
    model = transformer(
        vocabulary, **SMALL, dropout=dropout, attention_dropout=dropout, positions=32
    )
    return model.double()


def tokens(*shape: int, vocabulary: int = VOCABULARY, seed: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, vocabulary, shape, generator=generator)


def batch_of(
    sentences: list[tuple[torch.Tensor, torch.Tensor]], more_source: int = 0, more_target: int = 0
) -> dict[str, torch.Tensor]:
    """Sentence pairs (sources [S], targets [T]) padded to one length, and beyond it if asked."""
    sources, targets = zip(*sentences, strict=True)

    def padded(rows: list[torch.Tensor], more: int) -> torch.Tensor:
        length = max(map(len, rows)) + more
        return torch.stack([torch.cat([r, r.new_full((length - len(r),), PAD)]) for r in rows])

    ids, labels = padded(list(sources), more_source), padded(list(targets), more_target)
    inputs = padded([torch.cat([t.new_tensor([EOS]), t[:-1]]) for t in targets], more_target)
    return {
        "input_ids": ids,
        "attention_mask": (ids != PAD).long(),
        "decoder_input_ids": inputs,
        "labels": labels,
    }


def logits_of(model: MarianMTModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**{name: batch[name] for name in batch if name != "labels"}).logits


def loss_of(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits, labels, smoothing=0.1)[labels != PAD].mean()


def gradients_of(model: MarianMTModel) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in trainable(model).items()}


# ---------------------------------------------------------------------------------- parameters


def test_parameters_of_the_paper(full):
    trained = trainable(full)
    assert sum(p.numel() for p in trained.values()) == pytest.approx(49.98e6, abs=0.05e6)
    frozen = set(dict(full.named_parameters())) - set(trained)
    assert frozen == {f"model.{side}.embed_positions.weight" for side in ("encoder", "decoder")}
    assert [name for name, _ in full.named_buffers()] == ["final_logits_bias"]
    assert full.final_logits_bias.eq(0).all()


def test_nothing_is_tied(full):
    state = full.state_dict()
    assert len({value.untyped_storage().data_ptr() for value in state.values()}) == len(state)
    embeddings = [name for name, value in state.items() if value.shape == (12_000, 512)]
    assert embeddings == [
        "model.encoder.embed_tokens.weight",
        "model.decoder.embed_tokens.weight",
        "lm_head.weight",
    ]
    for one, other in itertools.combinations(embeddings, 2):
        assert not torch.equal(state[one], state[other])


def test_initialisation_is_fairseqs(full):
    for name, value in trainable(full).items():
        kind = name.rsplit(".", 2)[-2]
        if name.endswith("bias"):
            assert value.eq(0).all(), name
        elif kind.endswith("layer_norm"):
            assert value.eq(1).all(), name
        elif kind in ("embed_tokens", "lm_head"):
            # 6 million draws: the relative error of the std is 3e-4, of the mean 4e-4 std
            assert value.std().item() == pytest.approx(512**-0.5, rel=2e-3), name
            assert abs(value.mean().item()) < 2e-3 * 512**-0.5, name
            assert value[PAD].eq(0).all() == (kind == "embed_tokens"), name
            assert value[[BOS, EOS]].ne(0).any(1).all(), name
        else:
            outputs, inputs = value.shape
            if kind in ("q_proj", "k_proj", "v_proj"):
                outputs *= 3  # drawn as one matrix
            bound = math.sqrt(6 / (outputs + inputs))
            assert 0.999 * bound < value.abs().max().item() <= bound, name
            assert value.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01), name


def test_the_seed_decides_the_weights():
    first, again, other = (small(seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])


def test_weights_survive_safetensors(tmp_path):
    model, fresh = small(seed=0).float(), small(seed=1).float()
    checkpoints.save(tmp_path / "run", model.state_dict(), {"step": 1, "selected": {"best": 1}})
    checkpoints.load_weights(fresh, tmp_path / "run/weights-1.safetensors")
    model.save_pretrained(tmp_path / "pretrained")
    transformers_own = MarianMTModel.from_pretrained(
        tmp_path / "pretrained", attn_implementation=model.config._attn_implementation
    )
    batch = batch_of([(tokens(5), tokens(6))])
    expected = logits_of(model.eval(), batch)
    for loaded in (fresh, transformers_own):
        assert torch.equal(logits_of(loaded.eval(), batch), expected)


# ------------------------------------------------------------------------- the step, by equations


@pytest.mark.slow
def test_a_training_step_at_full_size_is_that_of_the_equations(full):
    """Loss, gradients and parameters after one AdamW step with the paper's settings.

    Both sides compute in float32, whose unit is u = 6e-8, and add in different orders. Sums of
    512 to 12,000 products leave the loss and most gradients with a relative difference of some u;
    in the gradients of queries and keys nearly equal numbers are subtracted (p_i times the
    difference from their mean under p), which costs up to two digits more. So 1e-6 for the loss,
    1e-4 for the norm of a gradient; a wrong mask, scale or missing bias shows in its first digits.
    The bias of keys has no gradient at all, because softmax does not see it: what is there is
    rounding, 1e-8 of the whole gradient at most. ReLU has a corner at 0, where rounding would
    decide the gradient of a whole unit: these sentences keep clear of it, and the test looks.

    AdamW's first step is lr * g / (|g| + eps), so where |g| is about eps = 1e-6 it multiplies the
    relative error of a gradient's smallest entries. From the same gradients the two steps agree
    to the last digit of a parameter; from each side's own gradients to 1e-3 of their length.
    """
    settings = dict(lr=5e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=1e-4)
    ids = tokens(4, 6, vocabulary=12_000, seed=6).tolist()
    ends = torch.tensor([EOS])
    sentences = [
        (torch.cat([torch.tensor(source), ends]), torch.cat([torch.tensor(target), ends]))
        for source, target in ((ids[0][:5], ids[1][:5]), (ids[2][:3], ids[3][:2]))
    ]
    before = {name: p.detach().clone() for name, p in trainable(full).items()}
    copies = {name: value.clone().requires_grad_() for name, value in before.items()}
    losses = [
        plain.smoothed_loss(
            plain.logits(copies, PAPER["heads"], source, torch.cat([ends, target[:-1]])),
            target,
            smoothing=0.1,
        )
        for source, target in sentences
    ]
    expected_loss = torch.cat(losses).mean()
    expected_loss.backward()
    expected = {name: p.grad for name, p in copies.items()}

    full.train()
    batch, nearest = batch_of(sentences), []
    hooks = [
        module.register_forward_hook(lambda *call: nearest.append(call[-1].abs().min().item()))
        for name, module in full.named_modules()
        if name.endswith("fc1")
    ]
    loss = loss_of(logits_of(full, batch), batch["labels"])
    loss.backward()
    for hook in hooks:
        hook.remove()
    assert min(nearest) > 5e-6, "take other sentences: a unit is at the corner of its ReLU"
    gradients = gradients_of(full)
    torch.optim.AdamW(trainable(full).values(), **settings).step()
    after = {name: p.detach().clone() for name, p in trainable(full).items()}
    with torch.no_grad():  # the fixture is shared
        for name, p in trainable(full).items():
            p.copy_(before[name])
            p.grad = None

    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-6)
    whole = math.sqrt(sum(gradient.norm().item() ** 2 for gradient in expected.values()))
    own_step = plain.first_adamw_step(before, gradients, **settings)
    step = plain.first_adamw_step(before, expected, **settings)
    for name, gradient in gradients.items():
        if name.endswith("k_proj.bias"):
            assert max(gradient.norm(), expected[name].norm()) < 1e-8 * whole, name
            continue
        error = (gradient - expected[name]).norm()
        assert error < 1e-4 * expected[name].norm(), name
        torch.testing.assert_close(after[name], own_step[name], rtol=3e-7, atol=1e-9, msg=name)
        length = (step[name] - before[name]).norm()
        assert (after[name] - step[name]).norm() < 1e-3 * length, name


# ------------------------------------------------------------------------- masks and dropout


def test_padding_changes_nothing():
    model = small()
    sentences = [(tokens(7, seed=1), tokens(5, seed=2)), (tokens(4, seed=3), tokens(8, seed=4))]
    results = []
    for more in ((0, 0), (3, 0), (0, 6), (5, 2)):
        model.zero_grad()
        batch = batch_of(sentences, *more)
        logits = logits_of(model, batch)
        loss = loss_of(logits, batch["labels"])
        loss.backward()
        counted = logits[batch["labels"] != PAD].detach()
        results.append({"logits": counted, "loss": loss.detach()} | gradients_of(model))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=0, atol=1e-10)
    for side in ("encoder", "decoder"):
        gradient = results[0][f"model.{side}.embed_tokens.weight"]
        assert gradient[PAD].eq(0).all() and gradient.ne(0).any()


def test_sentences_of_a_batch_do_not_touch_each_other():
    model = small().eval()
    sentences = [(tokens(7, seed=1), tokens(5, seed=2)), (tokens(4, seed=3), tokens(8, seed=4))]
    together = logits_of(model, batch_of(sentences))
    parameters = dict(model.named_parameters())
    for row, (source, target) in enumerate(sentences):
        alone = logits_of(model, batch_of([(source, target)]))[0]
        torch.testing.assert_close(together[row, : len(target)], alone, rtol=0, atol=1e-10)
        inputs = torch.cat([torch.tensor([EOS]), target[:-1]])
        equations = plain.logits(parameters, SMALL["heads"], source, inputs)
        # float64 on both sides, but for the model's table of positions, which was rounded to
        # float32 when the model was made
        torch.testing.assert_close(alone, equations, rtol=0, atol=1e-5)


def test_later_target_tokens_are_not_seen():
    model = small().eval()
    batch = batch_of([(tokens(7), tokens(9))])
    changed = batch | {"decoder_input_ids": batch["decoder_input_ids"].clone()}
    changed["decoder_input_ids"][0, 5] = (changed["decoder_input_ids"][0, 5] - 2) % 20 + 3
    one, other = logits_of(model, batch)[0], logits_of(model, changed)[0]
    torch.testing.assert_close(one[:5], other[:5], rtol=0, atol=1e-12)
    assert (one[5:] - other[5:]).abs().amax(1).min() > 1e-4


def test_dropout_is_of_training_alone():
    batch = batch_of([(tokens(7), tokens(9))])
    model = small(dropout=0.3)
    assert not torch.equal(logits_of(model, batch), logits_of(model, batch))
    model.eval()
    assert torch.equal(logits_of(model, batch), logits_of(model, batch))
    without = small(dropout=0.0).train()
    torch.testing.assert_close(logits_of(without, batch), logits_of(model, batch))


@pytest.mark.parametrize("kind", ["dropout", "attention_dropout"])
def test_each_dropout_counts(kind):
    rates = {"dropout": 0.0, "attention_dropout": 0.0, kind: 0.5}
    torch.manual_seed(0)
    model = transformer(VOCABULARY, **SMALL, **rates, positions=32).train()
    batch = batch_of([(tokens(7), tokens(9))])
    assert not torch.equal(logits_of(model, batch), logits_of(model, batch))


# ------------------------------------------------------------------------------- beam search


def talkative() -> MarianMTModel:
    """A random model that is surer of itself; of this seed, with hypotheses of many lengths."""
    model = small(seed=10)
    with torch.no_grad():
        model.lm_head.weight.mul_(2)
    return model.eval()


def hypothesis(row: torch.Tensor) -> list[int]:
    """The tokens up to EOS, which must be there once, with nothing but padding behind it."""
    found = row.tolist()
    end = found.index(EOS) + 1
    assert set(found[end:]) <= {PAD}
    assert not {PAD, BOS} & set(found[:end])
    return found[:end]


def search(model: MarianMTModel, sources: list[torch.Tensor], **settings) -> list[list[int]]:
    batch = batch_of([(source, source) for source in sources])
    return list(
        map(hypothesis, beam_search(model, batch["input_ids"], batch["attention_mask"], **settings))
    )


SOURCES = [tokens(length, seed=length) for length in (3, 5, 8, 4, 11, 6)]


@pytest.mark.parametrize("beams", [1, 2, 5])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
def test_beam_search_is_fairseqs(beams, length_penalty):
    model = talkative()
    parameters = dict(model.named_parameters())
    settings = dict(beams=beams, length_penalty=length_penalty, max_length=7)
    with torch.no_grad():
        expected = [
            plain.beam_search(
                parameters, SMALL["heads"], source, **settings, special=(PAD, EOS, BOS)
            )
            for source in SOURCES
        ]
    assert search(model, SOURCES, **settings) == expected


@pytest.mark.parametrize(("max_length", "length_penalty"), [(2, 0.0), (2, 1.0), (3, 1.0), (3, 2.0)])
def test_as_many_beams_as_tokens_find_the_best_of_all_sequences(max_length, length_penalty):
    """At length 2 for certain. At length 3 a short one can be crowded out by likelier beginnings.

    That does not happen to these sentences with a length penalty (it does to one without).
    """
    model = talkative()
    ordinary = range(3, VOCABULARY)
    sequences = [
        [*start, EOS]
        for length in range(1, max_length)
        for start in itertools.product(ordinary, repeat=length)
    ]
    rows = torch.full((len(sequences), max_length), PAD)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    inputs = torch.cat([torch.full((len(rows), 1), EOS), rows[:, :-1]], dim=1)
    expected = []
    for source in SOURCES:
        batch = {"input_ids": source.expand(len(rows), -1), "decoder_input_ids": inputs}
        with torch.no_grad():
            z = model(**batch, attention_mask=torch.ones_like(batch["input_ids"])).logits
        log_p = z.log_softmax(-1).gather(-1, rows[..., None])[..., 0]
        score = (log_p * (rows != PAD)).sum(-1) / (rows != PAD).sum(-1) ** length_penalty
        expected.append(sequences[score.argmax()])
    settings = dict(beams=len(ordinary), length_penalty=length_penalty, max_length=max_length)
    assert search(model, SOURCES, **settings) == expected


@pytest.mark.parametrize("beams", [1, 4])
def test_a_translation_does_not_depend_on_the_others(beams):
    model = talkative()
    settings = dict(beams=beams, max_length=10)
    together = search(model, SOURCES, **settings)
    assert together == [search(model, [source], **settings)[0] for source in SOURCES]
    assert together == search(model, SOURCES[::-1], **settings)[::-1]


@pytest.mark.parametrize("beams", [1, 5])
def test_padding_and_bos_are_never_chosen(beams):
    model = talkative()
    model.final_logits_bias[0, [PAD, BOS]] = 20.0
    for found in search(model, SOURCES, beams=beams, max_length=6):  # looked at by `hypothesis`
        assert 2 <= len(found) <= 6


def test_search_is_quiet_and_leaves_the_model_alone(caplog):
    model = small(dropout=0.3).train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    log = logging.getLogger("transformers")
    log.addHandler(caplog.handler)
    try:
        found = [search(model, SOURCES, beams=beams, max_length=6) for beams in (1, 1, 3, 3)]
    finally:
        log.removeHandler(caplog.handler)
    assert not caplog.records
    assert found[0] == found[1] and found[2] == found[3], "dropout is off"
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


# ------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 18}, "width 18, heads 4"),
        ({"heads": 0}, "width 16, heads 0"),
        ({"width": 2, "heads": 2}, "at least 4"),
        ({"width": 15, "heads": 3}, "even"),
        ({"pad": 24}, "vocabulary of 24"),
    ],
)
def test_impossible_sizes(change, message):
    settings = SMALL | dict(dropout=0.0, attention_dropout=0.0, positions=8) | change
    with pytest.raises(ValueError, match=message):
        transformer(VOCABULARY, **settings)


@pytest.mark.parametrize("lengths", [(33, 5), (5, 33)])
def test_more_tokens_than_positions(lengths):
    batch = batch_of([(tokens(lengths[0]), tokens(lengths[1]))])
    with pytest.raises(ValueError, match="33 tokens .* 32 positions"):
        logits_of(small(), batch)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beams": 0}, r"1\.\.21 .* not 0"),
        ({"beams": 22}, r"1\.\.21 .* not 22"),
        ({"max_length": 1}, r"2\.\.32 .* not 1"),
        ({"max_length": 33}, r"2\.\.32 .* not 33"),
    ],
)
def test_impossible_searches(change, message):
    with pytest.raises(ValueError, match=message):
        search(small(), SOURCES, **({"beams": 2, "max_length": 5} | change))


def test_what_a_search_keeps_is_what_its_bytes_are_counted_from():
    """Keys and values of five hypotheses, and of the source, at the greatest length."""
    beams, source, length = 5, 7, 11
    model = small().float()
    ids = tokens(beams, source)
    output = model(input_ids=ids, decoder_input_ids=tokens(beams, length), use_cache=True)
    caches = (
        output.past_key_values.self_attention_cache,
        output.past_key_values.cross_attention_cache,
    )
    kept = sum(
        tensor.nbytes
        for cache in caches
        for layer in cache.layers
        for tensor in (layer.keys, layer.values)
    )
    scores = 6 * beams * VOCABULARY * 4
    assert search_bytes(model, beams, source, length) == 2 * (kept + scores)


@pytest.mark.skipif(
    not takes_masks_as_they_are(MarianMTModel), reason="this version of transformers looks at masks"
)
def test_masks_that_nothing_is_asked_of_hide_the_same():
    """On the meta device, where asking is an error as it is slow on a GPU."""
    model = small().eval()
    batch = batch_of([(tokens(5), tokens(4)), (tokens(3), tokens(6))])
    ids = {name: batch[name] for name in ("input_ids", "decoder_input_ids")}
    attention, decoder = batch["attention_mask"], batch["decoder_input_ids"]
    assert masks(attention, decoder) == {"attention_mask": attention}
    there = {name: value.to("meta") for name, value in ids.items()}
    made = masks(attention.to("meta"), there["decoder_input_ids"])
    assert {name: tuple(mask.shape) for name, mask in made.items()} == {
        "attention_mask": (2, 1, 1, 5),
        "decoder_attention_mask": (1, 1, 6, 6),
    }
    same = {
        "attention_mask": attention[:, None, None].bool(),
        "decoder_attention_mask": torch.ones(6, 6).tril().bool()[None, None],
    }
    expected = model(**ids, attention_mask=attention).logits
    torch.testing.assert_close(model(**ids, **same).logits, expected)
    assert model.to("meta")(**there, **made).logits.is_meta
