"""Nobody is asked anything over the network, unless a hub was asked for, and then not for long."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from idlib.data import hub

ROOT = Path(__file__).resolve().parents[2]
# Before anything is imported: whoever looks up a name or connects beyond this machine is noted,
# also where the error is swallowed.
BLOCKED = """
import socket, sys
asked = []
def refuse(*arguments, **_):
    asked.append(arguments[-1] if arguments else None)
    raise OSError("the network is not to be used")
connect = socket.socket.connect
def local(self, address):
    if self.family == socket.AF_UNIX or str(address[0]).startswith("127."):
        return connect(self, address)
    refuse(address)
socket.socket.connect = socket.socket.connect_ex = local
looked_up = socket.getaddrinfo
def look_up(host, *arguments, **more):
    if host in (None, "", "localhost", socket.gethostname()) or str(host).startswith("127."):
        return looked_up(host, *arguments, **more)
    refuse(host)
socket.getaddrinfo = look_up
"""
RUNS = """
from idlib.experiments.runs import run
from idlib.experiments.specs import Spec
for task in ("translation", "tagging", "answering", "classification"):
    plan = Spec(task, "id", "smoke").plan
    assert plan.asked.source == "embedded" and plan.task.model()
record = run(Spec("images", "id", "smoke", overrides={"epochs": 1}))
from idlib.doctor import findings
assert [one for one in findings() if one.state == "fault"] == []
"""
END = """
if asked:
    sys.exit(f"asked for {asked}")
"""


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_nothing_that_ships_asks_the_network(tmp_path: Path) -> None:
    """Data and model of each task, one run from them to its record, and the doctor."""
    done = run(BLOCKED + RUNS + END, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list((tmp_path / ".idlib/records").glob("*.json"))) == 1


def test_who_asks_would_be_found(tmp_path: Path) -> None:
    asks = "import urllib.request\ntry: urllib.request.urlopen('http://example.org')\n"
    done = run(BLOCKED + asks + "except OSError: pass\n" + END, tmp_path)
    assert done.returncode == 1 and "asked for ['example.org']" in done.stderr


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes every connection and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def endpoint(monkeypatch, silent: str) -> str:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", silent)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "SECONDS", 0.3)
    monkeypatch.setattr(hub.silence, "__defaults__", (0.3,))
    monkeypatch.setattr(hub.asked.__wrapped__, "__defaults__", (0.3,))
    return silent


def test_a_hub_that_is_silent_is_told_of_in_time(endpoint: str, tmp_path: Path) -> None:
    from idlib.data import translation
    from idlib.data.errors import DataError
    from idlib.models import encoders

    begun = time.monotonic()
    with pytest.raises(DataError) as of_data:
        translation.load("hub", root=tmp_path, cache=tmp_path / "cache")
    with pytest.raises(encoders.EncoderError) as of_encoder:
        encoders._folder("nobody/nothing")
    assert time.monotonic() - begun < 20  # alone it tries for minutes
    for error in (of_data, of_encoder):
        assert f"{endpoint} gave no answer in 0.3 s (timed out)" in str(error.value)
        assert "embedded" in str(error.value)  # the remedy


@pytest.mark.parametrize(
    ("status", "says"), [("200 OK", ""), ("404 Not Found", ""), (None, "gave no answer")]
)
def test_any_answer_is_one(status, says: str, monkeypatch) -> None:
    import threading

    from huggingface_hub import constants

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        if status is None:
            server.close()
        else:

            def answer() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

            threading.Thread(target=answer).start()
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        reason = hub.silence(5.0)
    assert reason.startswith(address) == bool(says) and says in reason


def test_offline_is_only_inside(endpoint: str) -> None:
    from huggingface_hub import constants

    with hub.asked() as reason:
        assert reason and constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE


def test_time_limit_is_only_inside() -> None:
    with hub.time_limit(3.0):
        assert socket.getdefaulttimeout() == 3.0
    assert socket.getdefaulttimeout() is None
