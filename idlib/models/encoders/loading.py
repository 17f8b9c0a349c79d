"""Loads an encoder and its tokenizer by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from idlib.data.checksums import combined_checksum, file_checksum
from idlib.models.encoders import embedded
from idlib.models.encoders.embedded import EMBEDDED
from idlib.models.encoders.errors import EncoderError
from idlib.models.encoders.heads import STD, FrozenEmbedding

SEED = 1  # of random word embeddings that are not trained
ABOUT = ("*.json", "*.txt", "*.model")  # files of an encoder beside its weights
WEIGHTS = ("*.safetensors", "*.bin")  # in the order of preference
DROPOUTS = (  # names that architectures have for rates of dropout, apart from those of heads
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "hidden_dropout",
    "attention_dropout",
    "embedding_dropout",
    "mlp_dropout",
)
AFTER_PADDING = ("roberta", "camembert")  # kinds that count positions from the padding piece on

_frozen: dict[tuple[str, bool], Tensor] = {}  # word embeddings that this process's models share


@cache
def tokenizer(name: str) -> Any:
    """The fast tokenizer of an encoder.

    Args:
        name: ``embedded``, a name on the hub, or a folder that transformers can load.

    Raises:
        EncoderError: if it cannot be loaded, or is not a fast one, which alone knows the place of
            a piece in its text.
        DataError: if an embedded file is damaged.
    """
    if name == EMBEDDED:
        return embedded.fast_tokenizer(embedded.file(embedded.TOKENIZER))
    from transformers import AutoTokenizer

    folder = _folder(name)
    try:
        found = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # it raises many kinds
        raise _unloadable(name, "its tokenizer", error) from error
    if not found.is_fast:
        raise EncoderError(
            f"encoder {name!r} has no fast tokenizer ({type(found).__name__} is none), so the "
            "place of a piece in its text is unknown; choose an encoder with a tokenizer.json, "
            f"or {EMBEDDED!r}"
        )
    return found


def load(
    name: str,
    *,
    layers: int | None = None,
    pretrained: bool = True,
    dropout: float = 0.1,
    freeze_embeddings: bool = False,
) -> nn.Module:
    """An encoder of transformers in float32 and training mode.

    Args:
        name: ``embedded`` (a ``BertModel`` without a pooler), a name on the hub, or a folder that
            transformers can load.
        layers: keep so many of its first layers; None keeps all.
        pretrained: if not, weights as transformers initialises them, from torch's global generator.
        dropout: of states and of attention.
        freeze_embeddings: leave the word embeddings as they are: a buffer that all models of this
            process share and no state dict holds. If not ``pretrained`` they are drawn with a seed
            of their own, so that a checkpoint can do without them. Embeddings of positions and
            types are trained as ever.

    Raises:
        EncoderError: if it cannot be loaded, has not so many layers, lacks weights, or is no
            encoder.
        DataError: if an embedded file is damaged.
    """
    config = _config(name)
    _check_layers(name, config, layers)
    config.num_hidden_layers = layers or config.num_hidden_layers
    for rate in _rates(name, config):
        setattr(config, rate, dropout)
    if name == EMBEDDED:
        model = _embedded(config, pretrained)
    elif pretrained:
        model = _published(name, config)
    else:
        model = _new(name, config)
    if freeze_embeddings:
        _freeze(model, name, pretrained)
    return model.float().train()


def check(name: str, *, layers: int | None, max_length: int) -> None:
    """Whether an encoder has so many layers and positions, before its weights are read.

    Raises:
        EncoderError: it has not, or cannot be loaded; the message names the setting.
        DataError: if an embedded file is damaged.
    """
    config = _config(name)
    _check_layers(name, config, layers)
    _rates(name, config)
    positions = getattr(config, "max_position_embeddings", None)
    if positions and any(kind in config.model_type for kind in AFTER_PADDING):
        positions -= (config.pad_token_id or 0) + 1
    if positions and max_length > positions:
        raise EncoderError(
            f"encoder {name!r} takes texts of {positions} pieces, so max_length = {max_length} is "
            f"too long; set max_length to {positions} or less"
        )


def checksum(name: str) -> str:
    """Sha256 of the files of an encoder and its tokenizer, wherever they lie.

    Raises:
        EncoderError: if they can be neither found nor fetched.
        DataError: if an embedded file is damaged.
    """
    if name == EMBEDDED:
        for file in embedded.FILES:
            embedded.file(file)
    return _checksum(embedded.FOLDER if name == EMBEDDED else _folder(name))


def _check_layers(name: str, config: Any, layers: int | None) -> None:
    there = config.num_hidden_layers
    if layers is not None and not 1 <= layers <= there:
        raise EncoderError(
            f"encoder {name!r} has {there} layers, so layers={layers} cannot be kept; choose 1 to "
            f"{there}, or None for all"
        )


def _rates(name: str, config: Any) -> list[str]:
    rates = [rate for rate in DROPOUTS if hasattr(config, rate)]
    if not rates:
        raise EncoderError(
            f"encoder {name!r} ({config.model_type}) has no dropout, without which all passes are "
            "one; choose another"
        )
    return rates


def _embedded(config: Any, pretrained: bool) -> nn.Module:
    if not pretrained:
        return _new(EMBEDDED, config, add_pooling_layer=False)
    with torch.random.fork_rng(devices=[]):  # what is drawn here is overwritten
        model = _new(EMBEDDED, config, add_pooling_layer=False)
    model.load_state_dict(embedded.state(config.num_hidden_layers))
    return model


def _new(name: str, config: Any, **options: Any) -> nn.Module:
    from transformers import AutoModel

    try:
        return AutoModel.from_config(
            config, trust_remote_code=False, **_attention(config), **options
        )
    except Exception as error:
        raise _unloadable(name, "its architecture", error) from error


def _published(name: str, config: Any) -> nn.Module:
    """The weights of a folder or of the hub; what lies above the kept layers is left there."""
    from transformers import AutoModel, logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it lists every weight that is left
    try:
        model, told = AutoModel.from_pretrained(
            _folder(name),
            config=config,
            output_loading_info=True,
            trust_remote_code=False,
            **_attention(config),
        )
    except Exception as error:
        raise _unloadable(name, "its weights", error) from error
    finally:
        logging.set_verbosity(verbosity)
    lacking = sorted(key for key in told["missing_keys"] if "pooler" not in key)
    if lacking:
        raise EncoderError(
            f"encoder {name!r} has no weights for {lacking[0]} ({len(lacking)} in all are "
            "lacking), so it would be partly random; mend its files, or choose another"
        )
    return model


def _attention(config: Any) -> dict[str, str]:
    """Torch's own attention, named wherever the architecture has it."""
    from transformers import MODEL_MAPPING

    kind = MODEL_MAPPING.get(type(config), None)
    return {"attn_implementation": "sdpa"} if getattr(kind, "_supports_sdpa", False) else {}


def _freeze(model: nn.Module, name: str, pretrained: bool) -> None:
    words = model.get_input_embeddings()
    if type(words) is not nn.Embedding:
        raise EncoderError(
            f"encoder {name!r} has word embeddings of its own kind ({type(words).__name__}), "
            "which cannot be frozen; set freeze_embeddings to False"
        )
    key = name, pretrained
    if key not in _frozen:
        if not pretrained:
            generator = torch.Generator().manual_seed(SEED)
            std = getattr(model.config, "initializer_range", STD)
            _frozen[key] = torch.empty(words.weight.shape).normal_(0, std, generator=generator)
        elif name == EMBEDDED:
            _frozen[key] = embedded.values(embedded.WORDS)  # which is kept anyway
        else:
            _frozen[key] = words.weight.detach().float()
    model.set_input_embeddings(FrozenEmbedding(_frozen[key]))


def _config(name: str) -> Any:
    if name == EMBEDDED:
        return embedded.config()
    from transformers import AutoConfig

    folder = _folder(name)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        raise _unloadable(name, "its config.json", error) from error
    if config.is_encoder_decoder:
        raise EncoderError(f"{name!r} ({config.model_type}) has a decoder; choose an encoder")
    return config


@cache
def _folder(name: str) -> Path:
    """Where an encoder's files lie: a folder of that name, or what the hub gives."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, allow_patterns=[*ABOUT, WEIGHTS[0]]))
        if not any(folder.glob(WEIGHTS[0])):
            folder = Path(snapshot_download(name, allow_patterns=[*ABOUT, *WEIGHTS]))
    except Exception as error:
        raise _unloadable(name, "a folder or repository of that name", error) from error
    return folder


@cache
def _checksum(folder: Path) -> str:
    weights = next((found for shape in WEIGHTS if (found := sorted(folder.glob(shape)))), [])
    about = [path for shape in ABOUT for path in sorted(folder.glob(shape))]
    files = [*weights, *about]
    sums = [file_checksum(path) for path in files]
    return combined_checksum([path.name for path in files], [0] * len(files), sums)


def _unloadable(name: str, what: str, error: Exception) -> EncoderError:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if "trust_remote_code" in str(error):
        said = "it needs code of its own, which is not run"
    return EncoderError(
        f"encoder {name!r} cannot be loaded: {what} ({said}); give {EMBEDDED!r} (--set "
        f"encoder={EMBEDDED}, or --source embedded if the data are not there either), a folder "
        "that transformers can load, or a name on the hub, fetched once where there is a network"
    )
