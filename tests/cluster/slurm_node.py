"""A Slurm of one node, this machine, from Debian's packages: no accounting, no systemd."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "srun", "squeue", "scancel", "sinfo")
PACKAGES = "apt-get install slurm-wlm munge"
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SlurmctldTimeout=60
SlurmdTimeout=60
MinJobAge=300
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there can be no node here; None if there can."""
    lacking = [name for name in DAEMONS + CLIENTS if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not installed ({PACKAGES})"
    return None if os.geteuid() == 0 else "Slurm's daemons need root"


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Start the node with its files in `folder`; yields the environment that its clients need."""
    _configure(folder)
    path = os.pathsep.join([str(_clients(folder)), os.environ["PATH"]])
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    daemons = [
        ["munged", "--foreground", "--force", *_munge(folder)],
        ["slurmctld", "-D", "-i"],
        ["slurmd", "-D"],
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in daemons:
            with (folder / f"{command[0]}.out").open("wb") as log:
                started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            time.sleep(1)  # each needs the one before
        _wait_until_idle(folder, environment)
        yield environment
    finally:
        for daemon in reversed(started):
            daemon.terminate()
        for daemon in started:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()


def _configure(folder: Path) -> None:
    for name in ("spool", "state"):
        (folder / name).mkdir()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20)
    text = CONFIGURATION.format(
        host=socket.gethostname(),
        folder=folder,
        controller=_free_port(),
        daemon=_free_port(),
        cpus=os.cpu_count(),
        memory=int(0.8 * memory),
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)


def _clients(folder: Path) -> Path:
    """A folder of the clients under their own names, which know where the configuration is.

    The executor takes SLURM_CONF away from its jobs, and the usual place is not a test's to write.
    """
    clients = folder / "bin"
    clients.mkdir()
    for name in CLIENTS:
        script = clients / name
        real = shutil.which(name)
        script.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {real} "$@"\n')
        script.chmod(0o755)
    return clients


def _munge(folder: Path) -> list[str]:
    files = {"key": "key", "socket": "socket", "pid": "pid", "log": "log", "seed": "seed"}
    options = [f"--{name}-file={folder}/munge.{suffix}" for name, suffix in files.items()]
    return [option.replace("--socket-file", "--socket") for option in options]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_until_idle(folder: Path, environment: dict[str, str]) -> None:
    for _ in range(60):
        command = ["sinfo", "--noheader", "--format=%T"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    logs = [path.read_text()[-2000:] for path in sorted(folder.glob("*.log"))]
    raise RuntimeError("the node did not come up:\n" + "\n".join(logs))
