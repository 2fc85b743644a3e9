"""What kind of machine this is: enough to judge a time or a rounding, nothing that names it.

No host name, no user, no path. Nothing is imported for it; what cannot be told is left out.
"""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

CPU = Path("/proc/cpuinfo")
GPUS = Path("/proc/driver/nvidia/gpus")
"""A folder per card, where NVIDIA's driver is loaded on Linux."""
ROUNDING = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
"""Instructions by which the same computation differs in its last bits."""


def describe() -> dict[str, Any]:
    """`cpu`, `instructions`, `logical_cores`, `memory_gb`, `gpus` and `system`, as far as they are
    known.
    """
    found = {
        "cpu": _cpu(),
        "instructions": _instructions(),
        "logical_cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "gpus": _gpus(),
        "system": f"{platform.system()} {_release()} {platform.machine()}",
    }
    return {name: value for name, value in found.items() if value}


def summary() -> str:
    """Processor and system in a few words, to stand beside a time."""
    known = describe()
    return ", ".join(str(known[name]) for name in ("cpu", "system") if name in known)


def _cpu() -> str:
    """The processor's model."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        return done.stdout.strip()
    return _named("model name", CPU) or platform.processor()


def _instructions() -> list[str]:
    """Those that decide how numbers are rounded, as Linux calls them."""
    flags = {*_named("flags", CPU).split(), *_named("Features", CPU).split()}
    return [name for name in ROUNDING if name in flags]


def _release() -> str:
    """The numbers of the kernel's release; what follows them may name a place."""
    numbers = re.match(r"[\d.]+\d", platform.release())
    return numbers[0] if numbers else "unknown"


def _memory_gb() -> float | None:
    """Memory that is built in, in GiB."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):  # a system without it
        return None


def _gpus() -> list[str]:
    """Models of the cards that the driver knows; torch is not asked, for it may not be loaded."""
    return [_named("Model", path) for path in sorted(GPUS.glob("*/information"))]


def _named(key: str, path: Path) -> str:
    """The value of the first `key : value` line of a file; empty without one."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    line = re.search(rf"^{key}\s*:\s*(.*)$", text, flags=re.MULTILINE)
    return line[1].strip() if line else ""
