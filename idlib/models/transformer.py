"""The encoder-decoder Transformer of the translation task, and its beam search.

It is fairseq's ``transformer_iwslt_de_en`` (facebookresearch/fairseq,
``fairseq/models/transformer/transformer_legacy.py``) as transformers' Marian with random weights:
layer norm after the residual, sinusoidal positions, ReLU, embeddings multiplied by the square
root of the width, and three matrices of embeddings (encoder, decoder, output) of which nothing is
tied. Marian's own configuration differs in several of these; all that matters is set here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    MarianConfig,
    MarianMTModel,
)

from idlib.models.masks import takes_masks_as_they_are

FIRST_POSITION = 2  # fairseq counts positions from the number of the padding token (1) plus 1


def transformer(
    vocabulary: int,
    *,
    layers: int,
    width: int,
    ffn: int,
    heads: int,
    dropout: float,
    attention_dropout: float,
    positions: int,
    pad: int = 1,
    eos: int = 2,
    bos: int = 0,
) -> MarianMTModel:
    """A Transformer with fresh weights, drawn from torch's global generator.

    Call it with ``input_ids [B, S]``, ``attention_mask [B, S]`` (0 at padding) and
    ``decoder_input_ids [B, T]``, which begin with ``eos`` as in fairseq; ``.logits`` are
    ``[B, T, vocabulary]``. Padding stands at the end, so the causal mask alone hides that of the
    target. At the paper's size (6 + 6 layers, width 512, ffn 1,024, 4 heads, 12,000 tokens) it
    has 49.98 M trainable parameters; the sinusoids are not trained.

    Weights as fairseq 0.8 draws them (``fairseq/models/transformer.py`` and
    ``fairseq/modules/multihead_attention.py``): linear layers Xavier uniform with zero biases;
    queries, keys and values as one matrix of three times the width, which is a gain of 1/sqrt(2)
    for each; embeddings and output projection with standard deviation ``width ** -0.5``, and in
    the embeddings a zero row for the padding. Later versions leave the biases of queries, keys
    and values (0.9) and the feed-forward layers (0.10) to PyTorch's own defaults.

    Args:
        vocabulary: tokens, the same for source and target.
        layers: of the encoder, and as many of the decoder.
        width: of the embeddings and hidden states.
        ffn: width inside the feed-forward blocks.
        heads: of each attention.
        dropout: of embeddings, attention and feed-forward outputs; none after the ReLU.
        attention_dropout: of the attention weights.
        positions: longest input, in tokens; a longer one is a ``ValueError``.
        pad, eos, bos: numbers of the special tokens.

    Raises:
        ValueError: heads do not divide the width, the width is odd or below 4, or a special token
            is not in the vocabulary.
    """
    if heads < 1 or width % heads:
        raise ValueError(f"heads must divide width: width {width}, heads {heads}")
    if width % 2 or width < 4:
        raise ValueError(f"width must be even and at least 4 for the sinusoids, not {width}")
    if not 0 <= min(pad, eos, bos) <= max(pad, eos, bos) < vocabulary:
        raise ValueError(
            f"pad {pad}, eos {eos} and bos {bos} must lie in a vocabulary of {vocabulary}"
        )
    config = MarianConfig(
        vocab_size=vocabulary,
        share_encoder_decoder_embeddings=False,
        tie_word_embeddings=False,
        encoder_layers=layers,
        decoder_layers=layers,
        d_model=width,
        scale_embedding=True,
        encoder_ffn_dim=ffn,
        decoder_ffn_dim=ffn,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        activation_function="relu",
        dropout=dropout,
        attention_dropout=attention_dropout,
        activation_dropout=0.0,
        max_position_embeddings=1,  # Marian fills its table slowly, and it is replaced below
        pad_token_id=pad,
        eos_token_id=eos,
        bos_token_id=bos,
        decoder_start_token_id=eos,
        forced_eos_token_id=None,
        use_cache=False,  # of use to the search alone, which asks for it
        # Named, since another agrees only to rounding; the base class takes it.
        attn_implementation="sdpa",  # type: ignore[call-arg]
    )
    model = MarianMTModel(config)
    config.max_position_embeddings = positions
    for side in (model.model.encoder, model.model.decoder):
        side.embed_positions = Sinusoids(positions, width)
    # Marian leaves its table out of what it saves and computes it again; ours is another.
    model._keys_to_ignore_on_save = []
    _initialise(model, width, pad)
    return model


def masks(attention_mask: Tensor, decoder_input_ids: Tensor) -> dict[str, Tensor]:
    """The model's masks, on a GPU in the form that needs no look at their values.

    Of a mask of two axes, such as the one that the decoder makes where it is given none,
    transformers asks whether it hides anything at all, which on a GPU waits for the device in
    every pass. One of four axes it takes as it is.

    Args:
        attention_mask: of the source ``[B, S]``, 0 at padding.
        decoder_input_ids: ``[B, T]``.
    """
    if attention_mask.device.type == "cpu" or not takes_masks_as_they_are(MarianMTModel):
        return {"attention_mask": attention_mask}
    length = decoder_input_ids.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=attention_mask.device).tril()
    return {
        "attention_mask": attention_mask[:, None, None].bool(),
        "decoder_attention_mask": causal[None, None],
    }


class Sinusoids(nn.Module):
    """fairseq's table of positions (``fairseq/modules/sinusoidal_positional_embedding.py``).

    Row t is sin(p w_i) and then cos(p w_i) with ``p = t + 2`` and
    ``w_i = 10000 ** (-i / (width / 2 - 1))``. Marian's begins at 0 and has other rates.
    """

    def __init__(self, positions: int, width: int) -> None:
        super().__init__()
        half = width // 2
        place = torch.arange(positions, dtype=torch.float64) + FIRST_POSITION
        rate = torch.arange(half, dtype=torch.float64) * (-math.log(10000) / (half - 1))
        angle = torch.outer(place, rate.exp())
        table = torch.cat([angle.sin(), angle.cos()], dim=1).to(torch.get_default_dtype())
        self.weight = nn.Parameter(table, requires_grad=False)  # as Marian's, so it is saved

    def forward(
        self,
        input_ids_shape: torch.Size,
        past_key_values_length: int = 0,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """Rows of the positions of ``input_ids_shape [B, T]``, ``[T, width]``; Marian's names.

        Raises:
            ValueError: the input is longer than the table.
        """
        start, end = past_key_values_length, past_key_values_length + input_ids_shape[1]
        if end > len(self.weight):
            raise ValueError(
                f"an input of {end} tokens is longer than the {len(self.weight)} positions of the "
                "model: shorten it, or build the model with more positions"
            )
        return self.weight[start:end]


@torch.no_grad()
def _initialise(model: MarianMTModel, width: int, pad: int) -> None:
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=width**-0.5)
            module.weight[pad].zero_()
        elif name == "lm_head":
            nn.init.normal_(module.weight, std=width**-0.5)
        elif isinstance(module, nn.Linear):
            joint = name.endswith(("q_proj", "k_proj", "v_proj"))
            nn.init.xavier_uniform_(module.weight, gain=0.5**0.5 if joint else 1.0)
            nn.init.zeros_(module.bias)


def beam_search(
    model: MarianMTModel,
    input_ids: Tensor,
    attention_mask: Tensor,
    *,
    beams: int = 5,
    length_penalty: float = 1.0,
    max_length: int,
) -> Tensor:
    """The best hypothesis of each sentence, by fairseq's rules, through transformers' generate.

    A hypothesis is scored by the sum of its log-probabilities (nats) divided by
    ``length ** length_penalty``, where the length counts the tokens with the final EOS: fairseq
    and transformers agree in this. A sentence is done when ``beams`` hypotheses have ended; EOS
    is the only choice at ``max_length`` and none at the first token; PAD and BOS are never chosen
    (these are fairseq's rules, but for BOS, which it leaves to training). What is excluded keeps
    its share of the probability: nothing is normalised again. One beam is greedy search. The
    model is in eval mode while it searches and left as it was.

    Args:
        model: of :func:`transformer`.
        input_ids: int64 ``[B, S]``, padding at the end.
        attention_mask: ``[B, S]``, 0 at padding.
        beams: hypotheses kept at each step.
        length_penalty: exponent of the length; above 0 longer hypotheses gain.
        max_length: most tokens of a hypothesis, with the final EOS.

    Returns:
        int64 ``[B, L]`` with L at most ``max_length``: tokens after the start token, with EOS,
        then PAD. The result of a sentence does not depend on the others.

    Raises:
        ValueError: fewer beams than 1 or more than tokens that can begin a sentence; a max_length
            below 2 (a token and EOS) or above the positions of the model; an input longer than
            those.
    """
    config = model.config
    pad, bos = config.pad_token_id, config.bos_token_id
    eos: int = config.eos_token_id  # type: ignore[assignment]  # a model of ours has one
    most = config.vocab_size - len({pad, bos, eos})
    if not 1 <= beams <= most:
        raise ValueError(f"beams must lie in 1..{most} (the tokens that can begin), not {beams}")
    if not 2 <= max_length <= config.max_position_embeddings:
        raise ValueError(
            f"max_length must lie in 2..{config.max_position_embeddings} (the positions of the "
            f"model), not {max_length}"
        )
    generation = GenerationConfig(
        num_beams=beams,
        do_sample=False,
        early_stopping=beams > 1,  # without beams transformers warns of the option
        length_penalty=length_penalty if beams > 1 else 1.0,  # the same
        max_new_tokens=max_length,
        min_new_tokens=1,
        suppress_tokens=[pad, bos],
        use_cache=True,
        pad_token_id=pad,
        eos_token_id=eos,
        bos_token_id=bos,
        decoder_start_token_id=eos,
    )
    training = model.training
    model.eval()
    try:
        # The hints of generate fit no model, and it returns tokens unless asked for more.
        tokens: Tensor = model.generate(  # type: ignore[misc, assignment]
            input_ids,
            attention_mask=attention_mask,
            generation_config=generation,
            logits_processor=LogitsProcessorList([EndAt(max_length, eos)]),
        )
    finally:
        model.train(training)
    return tokens[:, 1:]


def search_bytes(model: MarianMTModel, beams: int, source: int, max_length: int) -> int:
    """What the search of one sentence takes of memory at most, in bytes of float32.

    Each hypothesis keeps keys and values of ``source`` and of up to ``max_length`` own tokens in
    every layer of the decoder, and at a step six rows of scores (logits, log-probabilities,
    what is excluded, sums, their order); all of it twice, since beams change places by a copy.
    """
    config = model.config
    kept = 2 * config.decoder_layers * config.d_model * (source + max_length)
    return 2 * beams * (kept + 6 * config.vocab_size) * torch.float32.itemsize


class EndAt(LogitsProcessor):
    """EOS alone may follow at ``max_length``, with its own score; transformers' would make it 0."""

    def __init__(self, max_length: int, eos: int) -> None:
        self.max_length, self.eos = max_length, eos

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """``scores [B, V]`` of what follows ``input_ids [B, t]``, the start token among them."""
        if input_ids.shape[1] < self.max_length:
            return scores
        ended = torch.full_like(scores, -math.inf)
        ended[:, self.eos] = scores[:, self.eos]
        return ended
