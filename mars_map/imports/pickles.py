"""Read a pickle of plain values without executing it.

A pickle is a program: `pickle.load` calls whatever functions it names. Here its instructions are
decoded by `pickletools` and interpreted by this module, which knows numbers, text, bytes,
containers and NumPy's arrays and scalars, and calls nothing by name: an array is rebuilt from the
bytes and the type that the pickle states. Any other name or instruction is refused.

The instructions are documented in the standard library's `pickletools`; how NumPy pickles itself
is in `numpy.ndarray.__reduce__`.
"""

import io
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mars_map.errors import ForeignIndexError

MOST_BYTES = 2**31
"""Larger pickles are refused; the coordinates of 5.76 million tiles take 150 MB."""

_MULTIARRAY = {"numpy.core.multiarray", "numpy._core.multiarray"}
_NUMERIC = {"numpy.core.numeric", "numpy._core.numeric"}
_KNOWN: dict[tuple[str, str], str] = {
    **{(module, "_reconstruct"): "array" for module in _MULTIARRAY},
    **{(module, "scalar"): "scalar" for module in _MULTIARRAY},
    **{(module, "_frombuffer"): "buffer" for module in _NUMERIC},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "latin1",
}
_DTYPE = re.compile(r"[<>=|]?([biuf][1248]|[SU]\d{1,4}|O8?)", re.ASCII)


class _Name(NamedTuple):
    """A name in the pickle that is known; it stands for itself and is never called."""

    what: str


class _Type:
    """A dtype that is being rebuilt."""

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or not _DTYPE.fullmatch(code):
            raise _Refusal(f"a NumPy type {str(code)[:40]!r}")
        self.code = code
        self.order = "="

    def set_state(self, state: Any) -> None:
        # (version, byte order, subarray, names, fields, size, alignment, flags[, metadata])
        if not isinstance(state, tuple) or len(state) < 8 or any(state[2:5]):
            raise _Refusal("a NumPy type with fields")
        self.order = state[1] if state[1] in ("<", ">", "=", "|") else "="

    def dtype(self) -> np.dtype:
        order = "" if self.code[0] in "<>=|" else self.order.replace("|", "")
        return np.dtype(order + self.code)


class _Array:
    """An array that is being rebuilt; its state comes after it."""

    value: np.ndarray | None = None

    def set_state(self, state: Any) -> None:
        # (version, shape, type, Fortran order, bytes or list of objects)
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], _Type):
            raise _Refusal("a NumPy array in an unknown form")
        _, shape, kind, fortran, data = state
        self.value = _array(data, kind, shape, "F" if fortran else "C")


class _Refusal(Exception):
    """What the pickle wants and does not get."""


_MARK = object()


def read_pickle(path: str | Path) -> Any:
    """Return the value in a pickle file, made of plain Python values and NumPy arrays.

    All protocols (0 to 5). Raises ForeignIndexError, naming what the pickle wanted, for one that
    holds anything else, and for a file that is absent, cut short or no pickle.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ForeignIndexError(f'"{path}" is too large for a table of tiles; check the file.')
        data = path.read_bytes()
    except OSError as error:
        raise ForeignIndexError(f'"{path}" cannot be read: {error.strerror}.') from error
    try:
        return _finished(_Reader().run(data), {})
    except _Refusal as refusal:
        raise ForeignIndexError(
            f'"{path}" wants {refusal}, which a table of tiles has no need of; nothing in it was '
            "executed: do not open it with other programs."
        ) from None
    except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise ForeignIndexError(f'"{path}" is no pickle or is cut short; copy it again.') from error
    except (MemoryError, RecursionError, OverflowError) as error:
        raise ForeignIndexError(
            f'"{path}" states sizes that no table of tiles has; check the file.'
        ) from error


class _Reader:
    """Interprets the instructions of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: list[Any] = []

    def run(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            name = opcode.name
            if name in _VALUES:
                self.stack.append(argument)
            elif name == "STOP":
                return self.stack.pop()
            elif name in _ACTIONS:
                _ACTIONS[name](self, argument)
            elif name not in ("PROTO", "FRAME"):
                raise _Refusal(_wish(name, argument))
        raise ValueError("no end")

    def to_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("no mark")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    def take(self, n: int) -> tuple:
        if len(self.stack) < n:
            raise ValueError("too few values")
        items = tuple(self.stack[len(self.stack) - n :])
        del self.stack[len(self.stack) - n :]
        return items

    def append(self, items: list[Any]) -> None:
        _expect(self.stack[-1], list).extend(items)

    def update(self, items: list[Any]) -> None:
        _expect(self.stack[-1], dict).update(zip(items[::2], items[1::2], strict=True))

    def remember(self, number: int | None) -> None:
        # Every pickler counts its memo up from 0; a list takes a tenth of a dict's memory.
        place = len(self.memo) if number is None else int(number)
        if not 0 <= place <= len(self.memo):
            raise ValueError("a gap in the memo")
        self.memo[place : place + 1] = [self.stack[-1]]

    def recall(self, number: int) -> None:
        self.stack.append(self.memo[number if number >= 0 else len(self.memo)])

    def name(self, module: Any, name: Any) -> None:
        known = _KNOWN.get((module, name)) if isinstance(module, str) else None
        if known is None:
            raise _Refusal(f'"{str(module)[:60]}.{str(name)[:60]}"')
        self.stack.append(_Name(known))

    def reduce(self) -> None:
        function, arguments = self.take(2)
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise _Refusal("to call a value")
        if function.what not in _MAKERS:
            raise _Refusal(f"to call numpy.{function.what}")
        self.stack.append(_MAKERS[function.what](*arguments))

    def build(self) -> None:
        state = self.stack.pop()
        _expect(self.stack[-1], _Array, _Type).set_state(state)


_VALUES = {
    "NONE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8", "STRING", "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
"""Instructions that carry their value."""

_ACTIONS: dict[str, Callable[[_Reader, Any], object]] = {
    "MARK": lambda r, _: r.stack.append(_MARK),
    "NEWTRUE": lambda r, _: r.stack.append(True),
    "NEWFALSE": lambda r, _: r.stack.append(False),
    "EMPTY_LIST": lambda r, _: r.stack.append([]),
    "EMPTY_TUPLE": lambda r, _: r.stack.append(()),
    "EMPTY_DICT": lambda r, _: r.stack.append({}),
    "LIST": lambda r, _: r.stack.append(r.to_mark()),
    "TUPLE": lambda r, _: r.stack.append(tuple(r.to_mark())),
    "TUPLE1": lambda r, _: r.stack.append(r.take(1)),
    "TUPLE2": lambda r, _: r.stack.append(r.take(2)),
    "TUPLE3": lambda r, _: r.stack.append(r.take(3)),
    "DICT": lambda r, _: (items := r.to_mark(), r.stack.append({}), r.update(items)),
    "APPEND": lambda r, _: r.append(list(r.take(1))),
    "APPENDS": lambda r, _: r.append(r.to_mark()),
    "SETITEM": lambda r, _: r.update(list(r.take(2))),
    "SETITEMS": lambda r, _: r.update(r.to_mark()),
    "POP": lambda r, _: r.stack.pop(),
    "POP_MARK": lambda r, _: r.to_mark(),
    "DUP": lambda r, _: r.stack.append(r.stack[-1]),
    "MEMOIZE": lambda r, _: r.remember(None),
    "PUT": lambda r, number: r.remember(number),
    "BINPUT": lambda r, number: r.remember(number),
    "LONG_BINPUT": lambda r, number: r.remember(number),
    "GET": lambda r, number: r.recall(int(number)),
    "BINGET": lambda r, number: r.recall(number),
    "LONG_BINGET": lambda r, number: r.recall(number),
    "GLOBAL": lambda r, name: r.name(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda r, _: r.name(*r.take(2)),
    "REDUCE": lambda r, _: r.reduce(),
    "BUILD": lambda r, _: r.build(),
}
"""What the other instructions that are known do; `reduce` looks a maker up and calls no name."""


def _make_array(kind: Any, *_: Any) -> _Array:
    if kind != _Name("ndarray"):
        raise _Refusal("an array of a kind of its own")
    return _Array()


def _make_scalar(kind: Any, data: Any) -> Any:
    return _array(data, _expect(kind, _Type), (1,), "C")[0].item()


def _make_buffer(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    return _array(data, _expect(kind, _Type), shape, "F" if order == "F" else "C")


def _make_bytes(text: Any, encoding: Any) -> bytes:
    # How protocols before 3 write bytes.
    if encoding not in ("latin1", "latin-1"):
        raise _Refusal(f"the text encoding {str(encoding)[:40]!r}")
    return _expect(text, str).encode("latin-1")


_MAKERS: dict[str, Callable[..., Any]] = {
    "array": _make_array,
    "scalar": _make_scalar,
    "buffer": _make_buffer,
    "dtype": lambda code, *_: _Type(code),
    "latin1": _make_bytes,
}


def _array(data: Any, kind: _Type, shape: Any, order: str) -> np.ndarray:
    dtype = kind.dtype()
    shape = tuple(int(n) for n in _expect(shape, tuple))
    if dtype.hasobject:
        values = np.empty(len(_expect(data, list)), object)
        values[:] = data
        return values.reshape(shape, order=order)
    if isinstance(data, str):
        data = data.encode("latin-1")
    values = np.frombuffer(bytes(_expect(data, bytes, bytearray)), dtype)
    return values.reshape(shape, order=order)


_PLAIN = (str, float, int, type(None))


def _finished(value: Any, seen: dict[int, tuple[Any, Any]]) -> Any:
    """Return the value with rebuilt arrays in the place of what they were built with.

    seen: containers that were met, by identity, with their result; a pickle may hold the same one
    many times, or in itself.
    """
    if isinstance(value, _Array):
        if value.value is None:
            raise ValueError("an array without its state")
        return value.value
    if isinstance(value, (_Name, _Type)) or value is _MARK:
        raise _Refusal("a value that is no table")
    if not isinstance(value, (list, dict, tuple)) or _is_plain(value):
        return value
    if id(value) in seen:
        return seen[id(value)][1]
    if isinstance(value, tuple):
        done = tuple(_finished(item, seen) for item in value)
        seen[id(value)] = (value, done)
        return done
    seen[id(value)] = (value, value)
    for place, item in list(value.items()) if isinstance(value, dict) else enumerate(value):
        if not isinstance(item, _PLAIN):
            value[place] = _finished(item, seen)
    return value


def _is_plain(value: list | dict | tuple) -> bool:
    # Millions of pairs of numbers are the common case, and need no second look.
    return isinstance(value, tuple) and all(isinstance(item, _PLAIN) for item in value)


def _expect(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds):
        raise ValueError(f"{type(value).__name__} in the place of {kinds[0].__name__}")
    return value


def _wish(name: str, argument: Any) -> str:
    if name == "INST":
        return '"' + str(argument).replace(" ", ".")[:120] + '"'
    if name in ("OBJ", "NEWOBJ", "NEWOBJ_EX"):
        return "to make an object of a class"
    if name in ("PERSID", "BINPERSID"):
        return f"an object from outside {str(argument or '')[:40]!r}"
    return f"the instruction {name}"
