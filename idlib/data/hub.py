"""The network, where a source or a name asks for it: with a time limit, and what to say then.

The hub is asked once before its libraries are let loose; then each of their requests is held to the
same limit, since some of them have none, and others are tried six times.
"""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

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
        return f"{_no_answer(constants.ENDPOINT, seconds)} ({reason})"


@contextmanager
def asked(seconds: float = SECONDS) -> Iterator[str]:
    """Inside, the hub's libraries ask the hub; where it is silent they take what they have.

    Yields why it is silent, for messages, or nothing. One that falls silent after its first answer
    ends what they do in a ``ConnectionError`` that says so.
    """
    reason = silence(seconds)
    if not reason:
        with _each_request(seconds):
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
def _each_request(seconds: float) -> Iterator[None]:
    """Inside, a request of the hub's library is given up after so long, and its retries too."""
    from huggingface_hub import get_session

    hooks = getattr(get_session(), "event_hooks", None)
    if hooks is None:  # before its release 1, which has limits of its own
        yield
        return
    begun: dict[str, float] = {}  # when each address was first asked that gave no answer yet

    def ask(request: Any) -> None:
        address = f"{request.method} {request.url}"
        if time.monotonic() - begun.setdefault(address, time.monotonic()) >= seconds:
            raise ConnectionError(_no_answer(str(request.url), seconds))
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), seconds)

    def answered(response: Any) -> None:
        begun.pop(f"{response.request.method} {response.request.url}", None)

    hooks["request"].append(ask)
    hooks["response"].append(answered)
    try:
        yield
    finally:
        hooks["request"].remove(ask)
        hooks["response"].remove(answered)


def _no_answer(address: str, seconds: float) -> str:
    return f"{address} gave no answer in {seconds:g} s"


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
