"""Frames of a MuJoCo model from the positions of its joints, off-screen, without a display.

A process has one renderer at most: with two live OpenGL contexts frames are silently wrong, and
ten episodes in lock-step need no more. It has a model of its own, so no change of looks touches
the physics. A frame depends on the positions alone: the same bytes whatever was drawn before, in
every process, with EGL and with OSMesa.
"""

import atexit
import colorsys
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.config.schema import RenderingConfig
from pipeline.environments import Frame
from pipeline.environments._mujoco_library import LIBRARIES, NONE, load_opengl, mujoco
from pipeline.errors import PipelineError

CURE = (
    "set MUJOCO_GL=egl and install libegl1, libegl-mesa0 and libgl1-mesa-dri (Debian, Ubuntu), or "
    "set MUJOCO_GL=osmesa and install libosmesa6"
)
MAX_GEOMS = 1000
GOLDEN_RATIO = 0.618034
TILE = (0.5, 0.15, 0.01)
"""Half sizes of a tile of the flat scenery's ground, in metres."""
TILES = 5
"""To each side of the camera."""
TILE_GREYS = (80, 140)
LOWERED = 0.45
"""Metres by which the flat scenery lowers a camera that follows the robot: so the ground stays in
the picture in all recorded jumps.
"""
HIDDEN = ("SHADOW", "REFLECTION", "SKYBOX", "FOG", "HAZE")


def draw(path: str, config: RenderingConfig, qpos: NDArray[np.float64]) -> Frame:
    """The model of the XML file `path` with its joints at `qpos` (positions,): (size, size, 3).

    Raises PipelineError where no OpenGL is found, or for a camera that the model does not have;
    RuntimeError in a process that was forked from one that has drawn, where OpenGL would hang.
    """
    global _shared
    if _shared is not None and _shared.process != os.getpid():
        raise RuntimeError("frames cannot be drawn in a forked process; start it by spawn")
    key = (path, config)
    if _shared is None or _shared.key != key:
        close()
        _shared = _Renderer(key)
    return _shared.draw(qpos)


@atexit.register
def close() -> None:
    """Give up this process's renderer, if it has one; the next frame opens another."""
    global _shared
    if _shared is not None and _shared.process == os.getpid():
        _shared.close()
        _shared = None


class _Renderer:
    """One model, one OpenGL context."""

    def __init__(self, key: tuple[str, RenderingConfig]) -> None:
        self.key, self.process = key, os.getpid()
        path, self._config = key
        model = mujoco.MjModel.from_xml_path(path)
        model.vis.quality.shadowsize = 0
        model.vis.quality.offsamples = 0
        model.vis.global_.offwidth = model.vis.global_.offheight = self._config.size
        if self._config.scenery == "flat":
            _flatten(model)
        cameras = [model.camera(i).name for i in range(model.ncam)]
        if self._config.camera is not None and self._config.camera not in cameras:
            raise PipelineError(
                f"rendering.camera: {self._config.camera!r}; this model has "
                f"{', '.join(filter(None, cameras)) or 'none'}; null is a camera that sees all"
            )
        self._camera = -1 if self._config.camera is None else cameras.index(self._config.camera)
        self._model, self._data = model, mujoco.MjData(model)
        self._renderer = _open(model, self._config.size)
        if self._config.scenery == "flat":
            for flag in HIDDEN:
                self._renderer.scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0

    def draw(self, qpos: NDArray[np.float64]) -> Frame:
        # what is recorded is rounded to single precision: so is what is live
        self._data.qpos[:] = qpos.astype(np.float32)
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, self._camera)
        if self._config.scenery == "flat":
            self._add_ground()
        frame: Frame = self._renderer.render()
        return frame

    def close(self) -> None:
        self._renderer.close()

    def _add_ground(self) -> None:
        """Tiles of a metre below the camera's middle: where it is, and how fast it passes."""
        scene = self._renderer.scene
        middle = np.zeros(3) if self._camera < 0 else self._data.subtree_com[1]
        first = int(np.floor(middle[0])) - TILES
        for tile in range(first, first + 2 * TILES + 1):
            mujoco.mjv_initGeom(
                scene.geoms[scene.ngeom],
                mujoco.mjtGeom.mjGEOM_BOX,
                np.array(TILE),
                np.array([tile + TILE[0], middle[1], -TILE[2]]),
                np.eye(3).ravel(),
                _colour([TILE_GREYS[tile % 2]] * 3),
            )
            scene.ngeom += 1


_shared: _Renderer | None = None
_refused: str | None = None


def _flatten(model: mujoco.MjModel) -> None:
    """Give every part one colour of its own, whatever its side and the light, and no floor."""
    model.light_active[:] = 0
    model.vis.headlight.ambient[:] = 1
    model.vis.headlight.diffuse[:] = 0
    model.vis.headlight.specular[:] = 0
    model.geom_matid[:] = -1
    model.cam_poscom0[:, 2] -= LOWERED
    solid = np.flatnonzero(model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE)
    model.geom_rgba[:] = 0
    for i, geom in enumerate(solid):
        hue = i * GOLDEN_RATIO % 1  # far from those of the parts before
        model.geom_rgba[geom] = _colour([255 * x for x in colorsys.hsv_to_rgb(hue, 0.65, 0.95)])


def _colour(levels: Sequence[float]) -> NDArray[np.float32]:
    """Opaque, in whole steps of a pixel: between two steps it would be drawn now so, now so."""
    return np.array([*(round(level) / 255 for level in levels), 1], np.float32)


def _open(model: mujoco.MjModel, size: int) -> mujoco.Renderer:
    """A renderer with the back-end that MUJOCO_GL names; what has failed once is not tried again,
    for a process may not survive that.
    """
    global _refused
    if _refused:
        raise PipelineError(_refused)
    chosen = os.environ["MUJOCO_GL"].lower()
    if chosen == NONE:
        found = f"no OpenGL library ({' or '.join(LIBRARIES.values())})"
        raise PipelineError(f"{found} to draw frames with, or MUJOCO_GL is off; {CURE}")
    try:
        load_opengl()
        return mujoco.Renderer(model, size, size, max_geom=MAX_GEOMS)
    except Exception as error:  # each back-end has types of its own
        cause = " ".join(str(error).split()) or type(error).__name__
        platform = os.environ.get("PYOPENGL_PLATFORM", "").lower()
        differs = chosen in LIBRARIES and platform not in ("", chosen)
        cure = f"unset PYOPENGL_PLATFORM, which is {platform}" if differs else CURE
        _refused = f"MUJOCO_GL={chosen}: OpenGL fails ({cause}); {cure}"
        raise PipelineError(_refused) from None
