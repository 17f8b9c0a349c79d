"""What a model of transformers is trained on: the heads of its output, and their labels.

They are those of transformers' own losses (``transformers.loss.loss_utils``), so that one pass
gives the loss that the model would give itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from idlib.method.random_state import RandomState
from idlib.method.targets import Target

IGNORED = -100  # the label of a position that does not count, in all of transformers
LABELS = ("labels", "start_positions", "end_positions")
# Models whose loss is of the next token, where there is no encoder.
OF_NEXT_TOKEN = {
    *MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values(),
    *MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.values(),
}

Batch = Mapping[str, Any]


def unwrapped(model: nn.Module) -> Any:
    """The model of transformers inside what ``torch.compile`` and PEFT wrap around it."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and callable(base := getattr(model, "get_base_model", None)):
            inner = base()
        if inner is None or inner is model:
            return model
        model = inner


def targets_of(model: PreTrainedModel, batch: Batch) -> dict[str, Target]:
    """The targets of a batch by the name of the output that they are for.

    Args:
        model: of sequence or token classification, question answering, masked or causal language
            modelling, from a sequence to another, or of images, or a class made of such a one; as
            :func:`unwrapped` gives it.
        batch: its arguments, with ``labels`` ``[B]`` or ``[B, T]`` (-100 does not count), or
            ``start_positions`` and ``end_positions`` ``[B]`` (those beyond the text do not count).

    Raises:
        ValueError: there are no such labels, or several at a position.
    """
    if batch.get("start_positions") is not None and batch.get("end_positions") is not None:
        return {
            f"{end}_logits": _position(batch[f"{end}_positions"], batch) for end in ("start", "end")
        }
    labels = batch.get("labels")
    if labels is None:
        raise ValueError(
            f"the batch has {', '.join(sorted(batch))}, and neither labels nor start_positions and "
            "end_positions: give them, or targets=, a function from a batch to its Target"
        )
    problem = getattr(model.config, "problem_type", None)
    if problem is None and labels.dim() == 1 and getattr(model.config, "num_labels", 2) == 1:
        problem = "regression"
    if problem == "regression":
        return {"logits": Target(labels.float(), kind="regression")}
    if labels.is_floating_point():
        raise ValueError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)}, several to an example as "
            "it seems: divergences are of one class out of several; give integers, or "
            "config.problem_type = 'regression'"
        )
    if _is_of_next_token(model):
        labels = nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)  # of the next token
    return {"logits": Target(labels, mask=labels != IGNORED)}


def forward_of(model: nn.Module, inner: PreTrainedModel) -> Callable[[Batch], dict[str, Tensor]]:
    """From a batch to the model's outputs by name; labels are kept from it, and so its own loss.

    Args:
        model: as it is trained, with what is wrapped around it.
        inner: the model itself.
    """

    def forward(batch: Batch) -> dict[str, Tensor]:
        arguments = {name: value for name, value in batch.items() if name not in LABELS}
        if getattr(inner.config, "is_encoder_decoder", False) and "labels" in batch:
            arguments.setdefault("decoder_input_ids", _decoder_inputs(inner, batch["labels"]))
        return dict(model(**arguments, return_dict=True))

    return forward


def own_loss(model: nn.Module, inner: PreTrainedModel, batch: Batch) -> Tensor | None:
    """The loss that the model gives itself, if it gives one of the labels alone.

    Args:
        model: with what is wrapped around it.
        inner: the model itself.
        batch: its arguments and the labels.
    """
    taken = inspect.signature(type(inner).forward).parameters
    if not any(name in taken for name in LABELS if batch.get(name) is not None):
        return None
    outputs = model(**batch, return_dict=True)
    if any(name.endswith("aux_loss") for name in outputs):  # of the balance of experts, added to it
        return None
    loss: Tensor | None = outputs.get("loss")
    return loss


@contextmanager
def as_evaluated(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; each module's mode and the random state come back."""
    modes = [(module, module.training) for module in model.modules()]
    draws = RandomState.now()
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        draws.restore()
        for module, training in modes:
            module.training = training


def _is_of_next_token(model: PreTrainedModel) -> bool:
    """Whether the model's own loss compares a position with the label after it."""
    if getattr(model.config, "is_encoder_decoder", False):
        return False
    return any(kind.__name__ in OF_NEXT_TOKEN for kind in type(model).__mro__)


def _position(positions: Tensor, batch: Batch) -> Target:
    """Of the first or last token of an answer ``[B]``, among the tokens of the text."""
    tokens = batch["input_ids" if batch.get("input_ids") is not None else "inputs_embeds"].shape[1]
    labels = positions.reshape(len(positions)).clamp(0, tokens)
    return Target(labels, mask=labels < tokens)


def _decoder_inputs(inner: PreTrainedModel, labels: Tensor) -> Tensor:
    shifted = getattr(inner, "prepare_decoder_input_ids_from_labels", None)
    if shifted is None:
        raise ValueError(
            f"{type(inner).__name__} does not tell its decoder's inputs from labels: give "
            "decoder_input_ids, as DataCollatorForSeq2Seq(tokenizer, model=model) does"
        )
    inputs: Tensor = shifted(labels=labels)
    return inputs
