"""Pretrained encoders by name, their fast tokenizers, and a linear head on them.

A name is ``embedded`` (the multilingual encoder that ships with the package), a name on the hub,
or a folder that transformers can load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from idlib.data import hub
from idlib.data.checksums import combined_checksum, file_checksum
from idlib.models import embedded_encoder
from idlib.models.masks import takes_masks_as_they_are

if TYPE_CHECKING:  # transformers takes seconds to import
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

EMBEDDED = "embedded"
MOST_UNKNOWN = 0.01  # share of unknown tokens above which text is refused
POOLINGS = (None, "mean", "first")
STD = 0.02  # of new weights, as transformers draws them
FROZEN_SEED = 1  # of random word embeddings that are not trained
FILES = ("*.json", "*.txt", "*.model")  # of an encoder beside its weights
WEIGHTS = ("*.safetensors", "*.bin")  # in the order of preference
DROPOUT_RATES = (  # names that architectures have for rates of dropout, apart from those of heads
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "hidden_dropout",
    "attention_dropout",
    "embedding_dropout",
    "mlp_dropout",
)
# Architectures that count positions from the number of the padding token plus 1.
POSITIONS_AFTER_PADDING = ("roberta", "camembert")


class EncoderError(ValueError):
    """An encoder that cannot be used, or text that it does not know; the message says why."""


@cache
def tokenizer(name: str) -> PreTrainedTokenizerFast:
    """The fast tokenizer of an encoder.

    Raises:
        EncoderError: it cannot be loaded, or is not a fast one, which alone knows the place of a
            token in its text.
        DataError: an embedded file is damaged.
    """
    if name == EMBEDDED:
        return embedded_encoder.fast_tokenizer(embedded_encoder.file(embedded_encoder.TOKENIZER))
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    with _loading(name, "its tokenizer"):
        loaded = AutoTokenizer.from_pretrained(_folder(name), trust_remote_code=False)
    if not isinstance(loaded, PreTrainedTokenizerFast):
        raise EncoderError(
            f"encoder {name!r} has no fast tokenizer ({type(loaded).__name__} is none), so the "
            "place of a token in its text is unknown; choose an encoder with a tokenizer.json, "
            f"or {EMBEDDED!r}"
        )
    return loaded


def load(
    name: str,
    *,
    layers: int | None = None,
    pretrained: bool = True,
    dropout: float = 0.1,
    freeze_embeddings: bool = False,
) -> PreTrainedModel:
    """An encoder in float32 and training mode; the embedded one is a ``BertModel`` without pooler.

    Args:
        name: of the encoder.
        layers: keep so many of its first layers; None keeps all.
        pretrained: if not, weights as transformers initialises them, from torch's global generator.
        dropout: of states and of attention.
        freeze_embeddings: leave the word embeddings as they are: a buffer that all models of this
            process share and no state dict holds. If not ``pretrained`` they are drawn with a seed
            of their own, so that a checkpoint can do without them. Embeddings of positions and
            types are trained as ever.

    Raises:
        EncoderError: it cannot be loaded, has not so many layers, lacks weights, or is no encoder.
        DataError: an embedded file is damaged.
    """
    config = _checked_config(name, layers)
    config.num_hidden_layers = layers or config.num_hidden_layers
    for rate in _dropout_rates(config):
        setattr(config, rate, dropout)
    if name == EMBEDDED:
        model = _embedded(config, pretrained)
    elif pretrained:
        model = _published(name, config)
    else:
        model = _initialised(name, config)
    if freeze_embeddings:
        _freeze_embeddings(model, name, pretrained)
    model.float()
    model.train()
    return model


def check(name: str, *, layers: int | None, max_length: int) -> None:
    """Whether an encoder has so many layers and positions, before its weights are read.

    Raises:
        EncoderError: it has not, or cannot be loaded; the message names the setting.
        DataError: an embedded file is damaged.
    """
    config = _checked_config(name, layers)
    positions = getattr(config, "max_position_embeddings", None)
    if positions and any(kind in config.model_type for kind in POSITIONS_AFTER_PADDING):
        positions -= (config.pad_token_id or 0) + 1
    if positions and max_length > positions:
        raise EncoderError(
            f"encoder {name!r} takes texts of {positions} tokens, so max_length = {max_length} is "
            f"too long; set max_length to {positions} or less"
        )


def checksum(name: str) -> str:
    """Sha256 of the files of an encoder and its tokenizer.

    Raises:
        EncoderError: they can be neither found nor fetched.
        DataError: an embedded file is damaged.
    """
    if name != EMBEDDED:
        return _checksum(_folder(name))
    for file in embedded_encoder.FILES:
        embedded_encoder.file(file)
    return _checksum(embedded_encoder.FOLDER)


def check_coverage(
    tokenizer: PreTrainedTokenizerFast, input_ids: Iterable[Sequence[int]], what: str
) -> None:
    """Refuse text that an encoder does not know.

    Args:
        tokenizer: of the encoder.
        input_ids: the tokens of each text that it is to read; special ones are not counted.
        what: the text's name, for the message.

    Raises:
        EncoderError: more than 1 % of the tokens are unknown.
    """
    counts = Counter(chain.from_iterable(input_ids))
    unknown = counts[tokenizer.unk_token_id]
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    share = unknown / max(1, sum(n for token, n in counts.items() if token not in special))
    if share > MOST_UNKNOWN:
        raise EncoderError(
            f"{share:.1%} of the tokens of {what} are unknown to the encoder, and more than "
            f"{MOST_UNKNOWN:.0%} is too much to learn from; choose another encoder by its name "
            "(xlm-roberta-base knows a hundred languages), or leave this text out"
        )


class Headed(nn.Module):
    """An encoder with a new linear head on each state, or on one state that stands for the text.

    Args:
        encoder: its pooler is taken away unless the text is pooled by it.
        outputs: number of logits.
        dropout: before the head.
        pooling: None for every token; ``mean`` over the tokens that the mask counts; ``first``
            for the encoder's pooler where it has one, else the first state.

    Raises:
        EncoderError: unknown pooling.
    """

    def __init__(
        self, encoder: PreTrainedModel, outputs: int, *, dropout: float, pooling: str | None = None
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            names = ", ".join(map(str, POOLINGS))
            raise EncoderError(f"unknown pooling {pooling!r}; choose one of {names}")
        if pooling != "first" and getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # type: ignore[assignment]  # nothing would train it
        self.encoder, self.pooling = encoder, pooling
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, outputs)
        nn.init.normal_(self.head.weight, std=STD)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Tokens and mask [B, L] to logits [B, L, outputs], or [B, outputs] where pooled."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        mask = self._not_asked(attention_mask)
        output = self.encoder(input_ids=input_ids, attention_mask=mask, **types)
        states: Tensor = output.last_hidden_state  # [B, L, H]
        if self.pooling == "mean":
            states = mean_pooled(states, attention_mask)
        elif self.pooling == "first":
            pooled = getattr(output, "pooler_output", None)
            states = states[:, 0] if pooled is None else pooled
        logits: Tensor = self.head(self.dropout(states))
        return logits

    def _not_asked(self, mask: Tensor) -> Tensor:
        """On a GPU the mask in four axes, which are taken as they are where they can be.

        Of two axes transformers asks whether they hide anything, which waits for the GPU.
        """
        if mask.device.type == "cpu" or not _takes_masks_as_they_are(self.encoder):
            return mask
        return mask[:, None, None].bool()


def _takes_masks_as_they_are(encoder: PreTrainedModel) -> bool:
    family = encoder.config.model_type in ("bert", "roberta", "xlm-roberta")
    by_torch = encoder.config._attn_implementation == "sdpa"
    return family and by_torch and takes_masks_as_they_are(type(encoder))


def mean_pooled(states: Tensor, mask: Tensor) -> Tensor:
    """The mean [B, H] of the states [B, L, H] that the mask [B, L] counts.

    >>> mean_pooled(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]]))
    tensor([[2.]])
    """
    counted = mask.bool()[..., None]
    return states.masked_fill(~counted, 0).sum(1) / counted.sum(1)


class FrozenEmbedding(nn.Module):
    """Word embeddings ``table [V, H]`` that are neither trained nor saved, shared by models."""

    weight: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", table, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Tokens [...] to their embeddings [..., H]."""
        return nn.functional.embedding(ids, self.weight)


_frozen: dict[tuple[str, bool], Tensor] = {}  # word embeddings that this process's models share


def _freeze_embeddings(model: PreTrainedModel, name: str, pretrained: bool) -> None:
    words = model.get_input_embeddings()
    if type(words) is not nn.Embedding:
        raise EncoderError(
            f"encoder {name!r} has word embeddings of its own kind ({type(words).__name__}), "
            "which cannot be frozen; set freeze_embeddings to False"
        )
    key = name, pretrained
    if key not in _frozen:
        if not pretrained:
            generator = torch.Generator().manual_seed(FROZEN_SEED)
            std = getattr(model.config, "initializer_range", STD)
            _frozen[key] = torch.empty(words.weight.shape).normal_(0, std, generator=generator)
        elif name == EMBEDDED:
            _frozen[key] = embedded_encoder.values(embedded_encoder.WORDS)  # which is kept anyway
        else:
            _frozen[key] = words.weight.detach().float()
    model.set_input_embeddings(FrozenEmbedding(_frozen[key]))


def _checked_config(name: str, layers: int | None) -> PretrainedConfig:
    """The configuration of an encoder that has dropout, and as many layers as are to be kept."""
    config = embedded_encoder.config() if name == EMBEDDED else _config(name)
    depth = config.num_hidden_layers
    if layers is not None and not 1 <= layers <= depth:
        raise EncoderError(
            f"encoder {name!r} has {depth} layers, so layers={layers} cannot be kept; choose 1 to "
            f"{depth}, or None for all"
        )
    if not _dropout_rates(config):
        raise EncoderError(
            f"encoder {name!r} ({config.model_type}) has no dropout, without which all passes are "
            "one; choose another"
        )
    return config


def _dropout_rates(config: PretrainedConfig) -> list[str]:
    return [rate for rate in DROPOUT_RATES if hasattr(config, rate)]


def _config(name: str) -> PretrainedConfig:
    from transformers import AutoConfig

    config: PretrainedConfig
    with _loading(name, "its config.json"):
        config = AutoConfig.from_pretrained(_folder(name), trust_remote_code=False)
    if config.is_encoder_decoder:
        raise EncoderError(f"{name!r} ({config.model_type}) has a decoder; choose an encoder")
    return config


def _embedded(config: PretrainedConfig, pretrained: bool) -> PreTrainedModel:
    if not pretrained:
        return _initialised(EMBEDDED, config, add_pooling_layer=False)
    with torch.random.fork_rng(devices=[]):  # what is drawn here is overwritten
        model = _initialised(EMBEDDED, config, add_pooling_layer=False)
    model.load_state_dict(embedded_encoder.state(config.num_hidden_layers))
    return model


def _initialised(name: str, config: PretrainedConfig, **options: Any) -> PreTrainedModel:
    from transformers import AutoModel

    model: PreTrainedModel
    with _loading(name, "its architecture"):
        model = AutoModel.from_config(
            config, trust_remote_code=False, **_attention(config), **options
        )
    return model


def _published(name: str, config: PretrainedConfig) -> PreTrainedModel:
    """The weights of a folder or of the hub; what lies above the kept layers is left there."""
    from transformers import AutoModel, logging

    model: PreTrainedModel
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it lists every weight that is left
    try:
        with _loading(name, "its weights"):
            model, info = AutoModel.from_pretrained(
                _folder(name),
                config=config,
                output_loading_info=True,
                trust_remote_code=False,
                **_attention(config),
            )
    finally:
        logging.set_verbosity(verbosity)
    missing = sorted(key for key in info["missing_keys"] if "pooler" not in key)
    if missing:
        raise EncoderError(
            f"encoder {name!r} has no weights for {missing[0]} ({len(missing)} in all are "
            "missing), so it would be partly random; mend its files, or choose another"
        )
    return model


def _attention(config: PretrainedConfig) -> dict[str, str]:
    """Torch's own attention, named wherever the architecture has it."""
    from transformers import MODEL_MAPPING

    kind = MODEL_MAPPING.get(type(config), None)
    return {"attn_implementation": "sdpa"} if getattr(kind, "_supports_sdpa", False) else {}


@cache
def _folder(name: str) -> Path:
    """Where an encoder's files lie: a folder of that name, or what the hub gives."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    with _loading(name, "a folder or repository of that name"), hub.asked() as silent:
        try:
            folder = Path(snapshot_download(name, allow_patterns=[*FILES, WEIGHTS[0]]))
            if not any(folder.glob(WEIGHTS[0])):
                folder = Path(snapshot_download(name, allow_patterns=[*FILES, *WEIGHTS]))
        except Exception as error:  # it raises many kinds
            raise (ConnectionError(silent) if silent else error) from error
    return folder


@cache
def _checksum(folder: Path) -> str:
    weights = next((paths for shape in WEIGHTS if (paths := sorted(folder.glob(shape)))), [])
    files = [*weights, *(path for shape in FILES for path in sorted(folder.glob(shape)))]
    sums = [file_checksum(path) for path in files]
    return combined_checksum([path.name for path in files], [0] * len(files), sums)


@contextmanager
def _loading(name: str, what: str) -> Iterator[None]:
    """Whatever transformers or the hub raises is an error that names the encoder."""
    try:
        yield
    except EncoderError:
        raise
    except Exception as error:  # they raise many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if "trust_remote_code" in str(error):
            reason = "it needs code of its own, which is not run"
        raise EncoderError(
            f"encoder {name!r} cannot be loaded: {what} ({reason}); give {EMBEDDED!r} (--set "
            f"encoder={EMBEDDED}, or --source embedded if the data are not there either), a folder "
            "that transformers can load, or a name on the hub, fetched once where there is a "
            "network"
        ) from error
