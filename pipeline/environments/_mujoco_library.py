"""MuJoCo, imported in the one way that this package uses it.

It decides by the variable MUJOCO_GL how it will draw, once, when it is imported; and what it has to
say goes to MUJOCO_LOG.TXT in the working folder. So the variable is set first, to what this machine
has, and nothing is written: what matters of it becomes an error where it happens.
"""

import ctypes
import os

LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}
"""MUJOCO_GL → the library that it needs, in the order of preference; both draw the same bytes."""
NONE = "off"


def installed(library: str) -> bool:
    """Whether this machine has a shared library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


os.environ.setdefault(
    "MUJOCO_GL", next((name for name, library in LIBRARIES.items() if installed(library)), NONE)
)

import mujoco  # noqa: E402

_log = mujoco.MjLogConfig.get()
_log.logto_file = _log.logto_console = False
_log.set()

__all__ = ["LIBRARIES", "NONE", "installed", "mujoco"]
