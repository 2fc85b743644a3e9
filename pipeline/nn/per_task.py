"""What each of several tasks has for itself in a network that they share."""

from typing import ClassVar, Protocol, runtime_checkable

from torch import nn


class PerTask(nn.ModuleList):
    """A module for each task, in the order of the specification's tasks.

    A training that begins with a policy of other tasks takes those of the tasks that both have;
    one of a new task begins as if nothing had been trained (`pipeline/training/checkpoint.py`).
    """


class TaskEmbedding(nn.Embedding):
    """A vector for each task, likewise; that of a new task begins as the mean of all."""


@runtime_checkable
class KnowsData(Protocol):
    """A module some of whose buffers are statistics of the data: a training that begins with
    another's policy keeps its own.
    """

    of_data: ClassVar[tuple[str, ...]]
    """Their names."""
