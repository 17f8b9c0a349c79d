"""A model's forward without its last projection, which the loss then makes a part at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from idlib.method.projection import Head, Projected


def unprojected(
    model: nn.Module, forward: Callable[[Any], Tensor] | None = None
) -> Callable[[Any], Head]:
    """From a batch to the last hidden states of a model and the projection of its logits.

    The model is one of Hugging Face's with a language modelling head, or another whose
    ``get_output_embeddings()`` is the linear layer that makes its logits, and they alone. That
    layer is left out while the function runs; at any other time the model gives logits. A bias is
    kept, that of the layer or Marian's and BART's ``final_logits_bias``.

    Args:
        model: may be wrapped for several processes, though not with
            ``find_unused_parameters=True``, which takes a projection for unused that runs
            outside the model.
        forward: from a batch to the model's logits; by default the batch is a mapping of the
            model's own arguments.

    Raises:
        ValueError: the model has no such layer, or does more to its logits (a scale, a soft cap):
            at the first batch.
    """
    # Asked of types: a compiled model hands such a question on, and is not the model itself.
    named = (m for m in model.modules() if hasattr(type(m), "get_output_embeddings"))
    own: Any = next(named, None)
    layer = None if own is None else own.get_output_embeddings()
    bias = None if own is None else own._buffers.get("final_logits_bias")
    if own is None or layer is None or type(layer).forward is not nn.Linear.forward:
        raise ValueError(
            f"{type(own or model).__name__}.get_output_embeddings() gives "
            f"{'nothing' if layer is None else type(layer).__name__}, and a projection is made of "
            "a linear layer: train with the model's logits instead"
        )
    if bias is not None and layer.bias is not None:
        raise ValueError(f"{type(own).__name__} adds two biases: train with its logits instead")
    run = forward or (lambda batch: model(**batch).logits)
    given = GivenBack()
    checked = False

    def states_and_projection(batch: Any) -> Projected:
        nonlocal checked
        with _in_place_of(layer, given, own):
            states = run(batch)
        seen, given.states = given.states, None
        if not checked and (
            seen is None or not torch.allclose(states, seen.to(states), 0, 0, equal_nan=True)
        ):
            raise ValueError(
                f"{type(own).__name__} makes its logits of more than its output embeddings (a "
                "scale, a soft cap, another layer): train with the model's logits instead"
            )
        checked = True
        final = own._buffers.get("final_logits_bias")
        return Projected(states, layer.weight, layer.bias if final is None else final.flatten())

    return states_and_projection


class GivenBack(nn.Module):
    """Stands where a projection stood, and gives back the states that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.states: Tensor | None = None

    def forward(self, states: Tensor) -> Tensor:
        """``states`` as they are."""
        self.states = states
        return states


@contextmanager
def _in_place_of(layer: nn.Module, other: nn.Module, model: nn.Module) -> Iterator[None]:
    """``other`` stands for a layer of the model, and nothing is added to what it gives."""
    places = [
        (parent._modules, name)
        for parent in model.modules()
        for name, part in parent._modules.items()
        if part is layer
    ]
    bias = model._buffers.get("final_logits_bias")  # of Marian, BART and their kin, [1, C]
    for modules, name in places:
        modules[name] = other
    if bias is not None:
        model._buffers["final_logits_bias"] = bias.new_zeros(1)
    try:
        yield
    finally:
        for modules, name in places:
            modules[name] = layer
        if bias is not None:
            model._buffers["final_logits_bias"] = bias
