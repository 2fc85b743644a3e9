"""Pickled files of numpy arrays, read without unpickling them.

Some published weights exist as pickles only, and unpickling runs whatever the file says. Here no
unpickler exists: `pickletools` (standard library) splits the file into opcodes, and this machine
knows only those that spell numbers, texts, containers and numpy arrays. A name in the file is never
imported; it is compared with the few in `_CALLS`, for which functions of this module stand in.

A `pickle.Unpickler` that allows these names only is shorter and was tried: a record type whose
state denies that it holds objects makes numpy take bytes of the file for pointers (a crash, or any
code), and a dozen bytes ask for gigabytes. Arrays that are read here take at most SPACE times the
file.
"""

import io
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError

SPACE = 8
"""Bytes that may be made of a byte of the file: at most three, and one for each tied weight."""
TYPES = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})
"""numpy's types of array that are read."""


class _Refused(Exception):
    """The file holds something else than arrays in containers."""


class _Mark:
    """Where a container's items begin on the stack."""


class _Name(str):
    """A `module name` that the file mentions; it stands for nothing but itself."""


class _Dtype:
    """A numpy type that may still learn its byte order."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or code not in TYPES:
            raise _Refused(f"numpy type {_shown(code)}")
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
        raise _Refused(f"array order {_shown(order)}")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise _Refused("an array without a shape")
    flat: NDArray[Any] = np.frombuffer(raw, dtype.value)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _buffer(*arguments: Any) -> _Array:
    array = _Array()
    array.value = _filled(*arguments)
    return array


def _bytes(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"text in {_shown(encoding)}")
    return text.encode("latin-1")


def _scalar(dtype: Any, raw: Any) -> _Array:
    return _buffer(raw, dtype, (), "C")


_NUMPY_CALLS: dict[str, Callable[..., Any]] = {
    "multiarray _reconstruct": _Array,
    "multiarray scalar": _scalar,
    "numeric _frombuffer": _buffer,
}
_CALLS: dict[str, Callable[..., Any]] = {
    "_codecs encode": _bytes,
    "__builtin__ bytes": lambda: b"",
    "collections OrderedDict": lambda: {},
    "numpy dtype": _Dtype,
    **{f"numpy.core.{place}": call for place, call in _NUMPY_CALLS.items()},
    **{f"numpy._core.{place}": call for place, call in _NUMPY_CALLS.items()},
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
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_DAMAGE = (
    *(ValueError, TypeError, LookupError, AttributeError),
    *(ArithmeticError, RecursionError, MemoryError),
)
"""What taking a damaged file for a whole one ends in."""


class _Machine:
    """The stack and memo of the pickle format, for the opcodes above and no others."""

    def __init__(self, space: int = 0) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.space = space
        """Bytes that may still be made."""
        self._plain: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        """Do what one opcode says; _Refused for one that could do more than hold data."""
        stack = self.stack
        match opcode:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "GLOBAL" | "STACK_GLOBAL":
                stack.append(self._name(argument))
            case "REDUCE":
                arguments, call = stack.pop(), stack.pop()
                if not isinstance(call, _Name) or call not in _CALLS:
                    raise _Refused(f"a call of {_shown(call)}")
                if type(arguments) is not tuple:
                    raise _Refused(f"a call with {_shown(arguments)}")
                stack.append(self._paid(_CALLS[call](*arguments)))
            case "BUILD":
                state = stack.pop()
                if not isinstance(stack[-1], _Array | _Dtype):
                    raise _Refused("an object with a state")
                stack[-1].build(state)
                self._paid(stack[-1])
            case _ if opcode in _LITERALS:
                stack.append(argument)
            case _ if opcode in _CONSTANTS:
                stack.append(_CONSTANTS[opcode]())
            case _:
                self._compose(opcode)

    def _compose(self, opcode: str) -> None:
        """Containers, of what lies on the stack."""
        stack = self.stack
        if opcode in _TUPLES:
            items = [stack.pop() for _ in range(_TUPLES[opcode])]
            stack.append(tuple(reversed(items)))
        elif opcode == "TUPLE":
            stack.append(tuple(self._items()))
        elif opcode in ("SETITEMS", "SETITEM", "DICT"):
            flat = [stack.pop(-2), stack.pop()] if opcode == "SETITEM" else self._items()
            if opcode == "DICT":
                stack.append({})
            if not all(map(_may_be_key, flat[::2])):
                raise _Refused("a key that is neither text nor a small number")
            stack[-1].update(zip(flat[::2], flat[1::2], strict=True))
        elif opcode in ("APPENDS", "APPEND", "LIST"):
            flat = [stack.pop()] if opcode == "APPEND" else self._items()
            if opcode == "LIST":
                stack.append([])
            if type(stack[-1]) is not list:
                raise _Refused("items of something else than a list")
            stack[-1].extend(flat)
        else:
            raise _Refused(f"opcode {opcode}")

    def _name(self, argument: Any) -> _Name:
        name = argument
        if name is None:  # module and name are on the stack
            first, second = self.stack.pop(-2), self.stack.pop()
            if not isinstance(first, str) or not isinstance(second, str):
                raise _Refused("a name that is no text")
            name = f"{first} {second}"
        if name not in _MENTIONED:
            raise _Refused(name.replace(" ", "."))
        return _Name(name)

    def _items(self) -> list[Any]:
        """What was put on the stack since the last mark."""
        items = []
        while not isinstance(item := self.stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def _paid(self, made: Any) -> Any:
        """The same, its bytes taken off `space`: the memo could have them made again and again."""
        value = made.value if isinstance(made, _Array) else made
        if isinstance(value, np.ndarray | bytes):
            self.space -= value.nbytes if isinstance(value, np.ndarray) else len(value)
        if self.space < 0:
            raise _Refused("the same content again and again")
        return made

    def plain(self, value: Any) -> Any:
        """Containers with their arrays in place; _Refused for what is none of a reader's business.

        One that stands in many places stays one, or a small file could fill the memory.
        """
        if isinstance(value, _Array):
            if value.value is None:
                raise _Refused("an array without content")
            return self._paid(value).value
        if isinstance(value, _Name | _Dtype | _Mark):
            raise _Refused("a name of code as a value")
        if not isinstance(value, dict | list | tuple):
            return value
        if id(value) not in self._plain:
            if isinstance(value, dict):
                found: Any = {key: self.plain(item) for key, item in value.items()}
            else:
                found = type(value)([self.plain(item) for item in value])
            self._plain[id(value)] = found
        return self._plain[id(value)]


def read(path: Path) -> dict[str, Any]:
    """The pickled mapping in `path`: texts, numbers, containers, numpy arrays (read-only).

    Raises PipelineError naming the file and the byte where something else stands.
    """
    position = 0
    try:
        file = path.read_bytes()
        machine = _Machine(SPACE * len(file))
        # From memory: a file would be asked for as many bytes as a damaged length says.
        for opcode, argument, where in pickletools.genops(io.BytesIO(file)):
            position = where or 0
            machine.step(opcode.name, argument)
        (content,) = machine.stack
        found = machine.plain(content)
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


def _may_be_key(key: object) -> bool:
    """Texts and small numbers: tuples in tuples are hashed without end, large numbers collide."""
    return type(key) in (str, bytes) or (type(key) is int and key.bit_length() <= 32)


def _shown(value: object) -> str:
    """For a message: a text's beginning; of all else the type, for its text may have no end."""
    return repr(str(value)[:80]) if isinstance(value, str) else type(value).__name__
