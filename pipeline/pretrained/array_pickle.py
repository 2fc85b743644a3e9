"""Pickled files of numpy arrays, read without unpickling them.

Some published weights exist as pickles only, and unpickling runs whatever the file says. Here no
unpickler exists: `pickletools` (standard library) splits the file into opcodes, and this machine
knows only those that spell numbers, texts, containers and numpy arrays. A name in the file is never
imported; it is compared with the few in `_CALLS`, for which functions of this module stand in. So
the worst a file can do is to be refused, or to fill the memory.
"""

import io
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError


class _Refused(Exception):
    """The file holds something else than arrays in containers."""


class _Mark:
    """Where a container's items begin on the stack."""


class _Name(str):
    """A `module name` that the file mentions; it stands for nothing but itself."""


class _Dtype:
    """A numpy type that may still learn its byte order."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or np.dtype(code).kind not in "fiub":
            raise _Refused(f"numpy type {code!r}")
        self.value: np.dtype[Any] = np.dtype(code)

    def build(self, state: Any) -> None:
        """Take over the byte order; records and sub-arrays are refused."""
        if not isinstance(state, tuple) or len(state) < 5 or state[2:5] != (None, None, None):
            raise _Refused("a numpy record type")
        if state[1] in (">", "<"):
            self.value = self.value.newbyteorder(state[1])


class _Array:
    """A numpy array whose content follows later in the file."""

    def __init__(self, *_: object) -> None:
        self.value: NDArray[Any] | None = None

    def build(self, state: Any) -> None:
        """Fill in shape, type and content."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise _Refused("an array without content")
        _, shape, dtype, fortran, raw = state
        self.value = _filled(raw, dtype, shape, "F" if fortran else "C")


def _filled(raw: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    raw = raw.encode("latin-1") if isinstance(raw, str) else raw  # written by Python 2
    if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes | bytearray):
        raise _Refused("an array of objects")
    if order not in ("C", "F"):
        raise _Refused(f"array order {order!r}")
    flat: NDArray[Any] = np.frombuffer(raw, dtype.value)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _buffer(*arguments: Any) -> _Array:
    array = _Array()
    array.value = _filled(*arguments)
    return array


def _scalar(dtype: Any, raw: Any) -> _Array:
    return _buffer(raw, dtype, (), "C")


def _bytes(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"text in {encoding!r}")
    return text.encode("latin-1")


def _empty_bytes() -> bytes:
    return b""


def _empty() -> dict[str, Any]:
    return {}


_NUMPY_CALLS: dict[str, Callable[..., Any]] = {
    "multiarray _reconstruct": _Array,
    "multiarray scalar": _scalar,
    "numeric _frombuffer": _buffer,
}
_CALLS: dict[str, Callable[..., Any]] = {
    "_codecs encode": _bytes,
    "__builtin__ bytes": _empty_bytes,
    "collections OrderedDict": _empty,
    "numpy dtype": _Dtype,
    **{
        f"numpy.{core}.{place}": call
        for core in ("core", "_core")
        for place, call in _NUMPY_CALLS.items()
    },
}
"""What stands in for the names that pickles of arrays call."""
_MENTIONED = frozenset({*_CALLS, "numpy ndarray"})

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "MARK": _Mark,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_LITERALS = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    ]
)
_STORE = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_RECALL = frozenset({"GET", "BINGET", "LONG_BINGET"})
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_DAMAGE = (
    *(ValueError, TypeError, LookupError, AttributeError),
    *(ArithmeticError, RecursionError, MemoryError),
)
"""What taking a damaged file for a whole one ends in."""
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})


class _Machine:
    """The stack and memo of the pickle format, for the opcodes above and no others."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        """Do what one opcode says; _Refused for one that could do more than hold data."""
        stack = self.stack
        if opcode in _LITERALS:
            stack.append(argument)
        elif opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode]())
        elif opcode in _STORE:
            self.memo[argument] = stack[-1]
        elif opcode == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif opcode in _RECALL:
            stack.append(self.memo[argument])
        elif opcode in _TUPLES:
            items = [stack.pop() for _ in range(_TUPLES[opcode])]
            stack.append(tuple(reversed(items)))
        elif opcode not in _IGNORED:
            self._compose(opcode, argument)

    def _compose(self, opcode: str, argument: Any) -> None:
        """Opcodes that take several things from the stack."""
        stack = self.stack
        if opcode == "TUPLE":
            stack.append(tuple(self._items()))
        elif opcode in ("SETITEMS", "SETITEM", "DICT"):
            flat = [stack.pop(-2), stack.pop()] if opcode == "SETITEM" else self._items()
            if opcode == "DICT":
                stack.append({})
            stack[-1].update(zip(flat[::2], flat[1::2], strict=True))
        elif opcode in ("APPENDS", "APPEND", "LIST"):
            flat = [stack.pop()] if opcode == "APPEND" else self._items()
            if opcode == "LIST":
                stack.append([])
            stack[-1].extend(flat)
        elif opcode in ("GLOBAL", "STACK_GLOBAL"):
            name = argument if opcode == "GLOBAL" else f"{stack.pop(-2)} {stack.pop()}"
            if name not in _MENTIONED:
                raise _Refused(f"{name.replace(' ', '.')}")
            stack.append(_Name(name))
        elif opcode == "REDUCE":
            arguments, call = stack.pop(), stack.pop()
            if not isinstance(call, _Name) or call not in _CALLS or type(arguments) is not tuple:
                raise _Refused(f"a call of {call!r}")
            stack.append(_CALLS[call](*arguments))
        elif opcode == "BUILD":
            state = stack.pop()
            if not isinstance(stack[-1], _Array | _Dtype):
                raise _Refused("an object with a state")
            stack[-1].build(state)
        else:
            raise _Refused(f"opcode {opcode}")

    def _items(self) -> list[Any]:
        """What was put on the stack since the last mark."""
        start = max(i for i, item in enumerate(self.stack) if isinstance(item, _Mark))
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items


def read(path: Path) -> dict[str, Any]:
    """The pickled mapping in `path`: texts, numbers, containers, numpy arrays (read-only).

    Raises PipelineError naming the file and the byte where something else stands.
    """
    machine, position = _Machine(), 0
    try:
        # From memory: a file would be asked for as many bytes as a damaged length says.
        for opcode, argument, where in pickletools.genops(io.BytesIO(path.read_bytes())):
            position = where or 0
            machine.step(opcode.name, argument)
        (content,) = machine.stack
        found = _plain(content)
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file") from None
    except _Refused as cause:
        raise PipelineError(
            f"{path}: byte {position}: {cause}; only arrays, numbers and texts are read from a "
            "pickled file, nothing in it is run: get the weights as safetensors"
        ) from None
    except _DAMAGE as error:
        raise PipelineError(
            f"{path}: byte {position}: not a whole pickle of arrays ({error}); get it again"
        ) from None
    if not isinstance(found, dict):
        raise PipelineError(f"{path}: holds {type(found).__name__}, expected names and arrays")
    return found


def _plain(value: Any) -> Any:
    """Containers with their arrays in place; _Refused for what is none of a reader's business."""
    if isinstance(value, _Array):
        if value.value is None:
            raise _Refused("an array without content")
        return value.value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, _Name | _Dtype | _Mark):
        raise _Refused("a name of code as a value")
    return value
