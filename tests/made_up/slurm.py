"""A Slurm of one node on this machine's loopback address, for as long as a block lasts."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
SBIN = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
PATIENCE_SECONDS = 60  # for what takes one or two where nothing else runs

# No systemd, no cgroups and no accounting are needed; jobs are told apart by their processes.
CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
MpiDefault=none
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """What has to be installed before a Slurm can be started here."""
    return [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=SBIN) is None]


@contextmanager
def loopback_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start munged, slurmctld and slurmd, and end these three processes afterwards.

    Args:
        folder: for their configuration, key, sockets, state and output; its path must be short
            enough for a socket, about a hundred characters.

    Yields:
        The environment in which Slurm's commands find this one.
    """
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key, host = folder / "munge.key", socket.gethostname().split(".")[0]
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    controller_port, node_port = _free_ports(2)
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(
            **{"host": host, "user": getpass.getuser(), "folder": folder},
            **{"controller_port": controller_port, "node_port": node_port},
        )
    )
    if _version() >= (23, 11):  # looks for cgroups by itself; before, that word was not known
        (folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    environment["PATH"] = os.pathsep.join((str(_with_srun(folder)), SBIN))
    files = {"key": "munge.key", "socket": "munge.socket", "pid": "munge.pid", "seed": "seed"}
    munge = [f"--{name}-file={folder / file}" for name, file in files.items() if name != "socket"]
    munge += [f"--socket={folder / files['socket']}", "--foreground", "--force"]
    with ExitStack() as stack:

        def start(name: str, *options: str) -> None:
            output = stack.enter_context((folder / f"{name}.out").open("wb"))
            program = shutil.which(name, path=SBIN)
            process = subprocess.Popen(
                [program, *options], env=environment, stdout=output, stderr=subprocess.STDOUT
            )
            stack.callback(_end, process)

        start("munged", *munge)
        _wait_until(lambda: (folder / "munge.socket").exists(), folder)
        start("slurmctld", "-D", "-c")
        start("slurmd", "-D", "-N", host)
        _wait_until(lambda: _state_of_node(environment) == "idle", folder)
        yield environment


def queue(environment: dict[str, str]) -> dict[str, str]:
    """The jobs that are waiting or running, by number, and their state."""
    command = ["squeue", "--noheader", "--format=%i %T"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(line.split() for line in done.stdout.splitlines())


def _with_srun(folder: Path) -> Path:
    """A folder with an ``srun`` that knows where this Slurm is configured.

    Snakemake's executor keeps SLURM_CONF from the one that it calls inside a job, which is right
    where the file lies where Slurm was built to look for it.
    """
    srun = folder / "bin/srun"
    srun.parent.mkdir()
    program = shutil.which("srun", path=SBIN)
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {program} "$@"\n')
    srun.chmod(0o755)
    return srun.parent


def _version() -> tuple[int, ...]:
    """Of Slurm, year and month: ``slurm-wlm 22.05.8`` is (22, 5)."""
    program = shutil.which("slurmd", path=SBIN)
    said = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.split()[-1].split(".")[:2])


def _state_of_node(environment: dict[str, str]) -> str:
    command = ["sinfo", "--noheader", "--format=%T"]
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [there.getsockname()[1] for there in sockets]
    for there in sockets:
        there.close()
    return ports


def _wait_until(holds, folder: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > end:
            said = {path.name: path.read_text()[-2000:] for path in folder.glob("*.out")}
            raise RuntimeError(f"Slurm does not come up: {said}")
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
