"""MuJoCo, imported in one way for the whole package.

When MuJoCo is imported, it decides by the variable MUJOCO_GL how it will draw, and loads OpenGL at
once. It also writes messages to MUJOCO_LOG.TXT in the working folder. Here it is imported without
OpenGL, which is loaded where something is drawn: as the variable says or, if it says nothing, as
this machine can. Nothing is written; what matters becomes an error where it happens.
"""

import ctypes
import importlib
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


_chosen = os.environ.get("MUJOCO_GL", "").strip() or next(
    (name for name, library in LIBRARIES.items() if installed(library)), NONE
)
os.environ["MUJOCO_GL"] = NONE
import mujoco  # noqa: E402
import mujoco.rendering.classic.gl_context as _opengl  # noqa: E402

os.environ["MUJOCO_GL"] = _chosen
_log = mujoco.MjLogConfig.get()
_log.logto_file = _log.logto_console = False
_log.set()


def load_opengl() -> None:
    """Let MuJoCo draw as MUJOCO_GL says; raises what its back-ends do, which are of many types."""
    if not hasattr(_opengl, "GLContext"):
        importlib.reload(_opengl)


__all__ = ["LIBRARIES", "NONE", "installed", "load_opengl", "mujoco"]
