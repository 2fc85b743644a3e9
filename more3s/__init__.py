"""The pipeline from Python: load a trained policy, play by the pipeline's rules, record own play.

`load` opens a bundle (`snakemake results/bundles/<dataset>/<method>`) as an `Agent`; `make` builds
an environment as a `gymnasium.Env`; `Recorder` writes what is played in it as a recording that the
pipeline trains on; `push` and `pull` take a bundle to and from the Hugging Face Hub. A name is
imported when it is first asked for, so that an environment alone loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from more3s.agent import Agent, load
    from more3s.environment import PipelineEnv, make
    from more3s.hub import pull, push
    from more3s.recorder import Recorder

__all__ = [
    "Agent",
    "PipelineEnv",
    "PipelineError",
    "Recorder",
    "load",
    "make",
    "pull",
    "push",
]

_PLACES = {
    **dict.fromkeys(("Agent", "load"), "agent"),
    **dict.fromkeys(("PipelineEnv", "make"), "environment"),
    **dict.fromkeys(("pull", "push"), "hub"),
    "Recorder": "recorder",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
