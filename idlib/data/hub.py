"""The network, where a source or a name asks for it: with a time limit, and what to say then."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

SECONDS = 10.0  # for an answer; the libraries' own tries go on for many minutes
OFFLINE = ("huggingface_hub.constants", "datasets.config")  # their HF_HUB_OFFLINE is looked at


def silence(seconds: float = SECONDS) -> str:
    """Why the hub cannot be asked, in words, or nothing if it answers, whatever it says.

    Args:
        seconds: to wait for an answer.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        with urllib.request.urlopen(constants.ENDPOINT, timeout=seconds):
            return ""
    except urllib.error.HTTPError:  # an answer
        return ""
    except (OSError, ValueError) as error:  # no network, a name without address, no answer in time
        reason = getattr(error, "reason", error)
        return f"{constants.ENDPOINT} gave no answer in {seconds:g} s ({reason})"


@contextmanager
def asked(seconds: float = SECONDS) -> Iterator[str]:
    """Inside, the hub's libraries ask the hub; where it is silent they take what they have.

    Yields why it is silent, for messages, or nothing.
    """
    reason = silence(seconds)
    if not reason:
        yield reason
        return
    modules = [import_module(name) for name in OFFLINE]
    before = [module.HF_HUB_OFFLINE for module in modules]
    try:
        for module in modules:
            module.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
        yield reason
    finally:
        for module, value in zip(modules, before, strict=True):
            module.HF_HUB_OFFLINE = value  # type: ignore[attr-defined]


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Inside, a connection that is silent for so long is given up, whoever has opened it.

    Torchvision fetches without a limit of its own.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
