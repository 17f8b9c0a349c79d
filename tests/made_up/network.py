"""A network that is not there: whoever asks it for anything is noted."""

from __future__ import annotations

from pathlib import Path

NOTED = "ASKED"  # the variable that names the file of what was asked
# Of every Python that is started, before it imports anything: whoever looks up a name or sends
# beyond this machine is noted, also where the error is swallowed.
BLOCKED = """
import os, socket

def is_here(host):
    return host in (None, "", "localhost", socket.gethostname()) or str(host).startswith("127.")

def blocked(call, host_of):
    def instead(*arguments, **more):
        host = host_of(arguments)
        if is_here(host):
            return call(*arguments, **more)
        with open(os.environ["ASKED"], "a") as asked:
            asked.write(f"{call.__name__} {host}\\n")
        raise OSError("the network is not to be used")
    return instead

def of_address(arguments):  # of (socket, ..., address)
    address = arguments[-1]
    return address[0] if arguments[0].family != socket.AF_UNIX else None

for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, blocked(getattr(socket.socket, name), of_address))
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    setattr(socket, name, blocked(getattr(socket, name), lambda arguments: arguments[0]))
"""


def blocked(folder: Path) -> dict[str, str]:
    """Variables of a process whose network, and that of all Pythons it starts, is blocked.

    Args:
        folder: for what blocks it and for what was asked; there already, and empty.
    """
    (folder / "sitecustomize.py").write_text(BLOCKED)
    return {"PYTHONPATH": str(folder), NOTED: str(folder / "asked")}


def asked(environment: dict[str, str]) -> list[str]:
    """What was asked for, call and host, also where the error was swallowed."""
    noted = Path(environment[NOTED])
    return noted.read_text().splitlines() if noted.exists() else []
