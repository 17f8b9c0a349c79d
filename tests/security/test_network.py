"""Nobody is asked anything over the network, unless a hub was asked for, and then not for long."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from made_up import network

from idlib.data import hub, images
from idlib.data.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


def run_blocked(code: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run code whose network, and that of all it starts, is blocked; and what it asked for."""
    (folder / "blocked").mkdir()
    environment = network.blocked(folder / "blocked")
    path = os.pathsep.join([environment["PYTHONPATH"], str(ROOT)])
    return run(code, folder, **environment | {"PYTHONPATH": path}), network.asked(environment)


@pytest.mark.slow
def test_the_doctor_asks_nobody(tmp_path: Path) -> None:
    """Nor do runs, notebooks and the book: tests/book/test_book.py."""
    done, asked = run_blocked("from idlib.cli import app; app(['doctor'])", tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "fault" not in done.stdout and asked == []


ASKS = {
    "import urllib.request as r; r.urlopen('http://example.org')": "getaddrinfo example.org",
    "import socket as s; s.gethostbyname('example.org')": "gethostbyname example.org",
    "import socket as s; s.socket().connect(('192.0.2.1', 80))": "connect 192.0.2.1",
    "import socket as s; s.socket(type=s.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 53))": (
        "sendto 192.0.2.1"
    ),
}


def test_who_asks_would_be_found(tmp_path: Path) -> None:
    """Also in a process that it starts, and where the error is swallowed."""
    start = "import subprocess, sys\nfor code in {}: subprocess.run([sys.executable, '-c', code])"
    done, asked = run_blocked(start.format([*ASKS]), tmp_path)
    assert done.returncode == 0 and asked == [*ASKS.values()]


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


FALLS_SILENT = """
from pathlib import Path
from idlib.data import hub, translation
from idlib.models import encoders
hub.asked.__wrapped__.__defaults__ = (0.5,)
for ask in (
    lambda: translation.load("hub", root=Path("root"), cache=Path("cache")),
    lambda: encoders._folder("nobody/nothing"),
):
    try:
        ask()
    except ValueError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_a_hub_that_falls_silent_is_told_of_in_time(tmp_path: Path) -> None:
    """It answers whether it is there, and then nothing: its library would wait for ever."""

    def answer_once(server: socket.socket) -> None:
        with ExitStack() as held, suppress(OSError):
            while True:
                connection = held.enter_context(server.accept()[0])
                if connection.recv(4096).startswith(b"GET / "):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        answering = threading.Thread(target=answer_once, args=(server,))
        answering.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = run(FALLS_SILENT, tmp_path, HF_ENDPOINT=address)
        server.shutdown(socket.SHUT_RDWR)
        answering.join()
    of_data, of_encoder = done.stdout.splitlines()
    assert of_data.startswith("DataError bbaaaa/") and "gave no answer in 0.5 s" in of_data
    assert of_encoder.startswith("EncoderError encoder 'nobody/nothing' cannot be loaded")
    assert "timed out" in of_encoder or "gave no answer in 0.5 s" in of_encoder
    assert "embedded" in of_data and "embedded" in of_encoder  # the remedy


@pytest.mark.parametrize(
    ("status", "says"), [("200 OK", ""), ("404 Not Found", ""), (None, "gave no answer")]
)
def test_any_answer_is_one(status, says: str, monkeypatch) -> None:
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


@pytest.fixture
def pet(monkeypatch):
    """Let Oxford-IIIT Pet be fetched from another address."""
    from torchvision.datasets import OxfordIIITPet

    def from_address(address: str) -> None:
        sums = [md5 for _, md5 in OxfordIIITPet._RESOURCES]
        there = zip(("images.tar.gz", "annotations.tar.gz"), sums, strict=True)
        moved = tuple((f"{address}/{name}", md5) for name, md5 in there)
        monkeypatch.setattr(OxfordIIITPet, "_RESOURCES", moved)

    return from_address


def test_pictures_from_a_server_that_is_silent(pet, silent, tmp_path, monkeypatch) -> None:
    pet(silent)
    monkeypatch.setattr(hub.time_limit.__wrapped__, "__defaults__", (0.3,))
    with pytest.raises(DataError, match=f"timed out.*fetch {silent}/images.tar.gz") as error:
        images.load("hub", root=tmp_path, image_size=28)
    assert "or use the source embedded" in str(error.value)


def test_an_archive_that_is_not_the_published_one_is_not_unpacked(pet, tmp_path) -> None:
    """Whatever it holds: here a file that would lie outside of the folder."""
    (tmp_path / "site").mkdir()
    for name in ("images.tar.gz", "annotations.tar.gz"):
        with tarfile.open(tmp_path / "site" / name, "w:gz") as archive:
            archive.add(__file__, arcname="../../outside")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        pet(f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(DataError, match="not found or corrupted"):
            images.load("hub", root=tmp_path / "data" / "root", image_size=28)
        server.shutdown()
    assert not list(tmp_path.rglob("outside"))


def test_offline_is_only_inside(endpoint: str) -> None:
    from huggingface_hub import constants

    with hub.asked() as reason:
        assert reason and constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE


def test_time_limit_is_only_inside() -> None:
    with hub.time_limit(3.0):
        assert socket.getdefaulttimeout() == 3.0
    assert socket.getdefaulttimeout() is None
