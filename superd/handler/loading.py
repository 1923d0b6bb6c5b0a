"""Importing a handler, and finding out how it wants to be called."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # see connection.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import ModuleType, TracebackType
    from typing import Any

    from superd.handler.connection import Connection

    Serve = Callable[[Connection], object]

_OWN = os.path.dirname(os.path.abspath(__file__))
_VARARGS, _COROUTINE, _YIELDS = 0x04, 0x80, 0x20 | 0x200  # co_flags: inspect's CO_* without inspect


class LoadError(Exception):
    """A handler cannot be used. ``lines`` tell why: a traceback where there is one, the reason last."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__(self.lines[-1])


def load(source: str, function: str, folders: Sequence[str]) -> Serve:
    """Import a handler; this process searches ``folders`` for modules from now on.

    Args:
        source: a module's dotted name, or the absolute path of a file.
        function: its name there; dots lead into classes.
        folders: as ``places.search_path`` gives them; of a file, its own folder comes before them.

    Raises:
        LoadError: it cannot be imported, is not there, or cannot be called with a connection.
    """
    is_file, threads = source.startswith("/"), _threads()
    sys.path[:] = [*([os.path.dirname(source)] if is_file else ()), *folders]
    try:
        target: Any = _file(source) if is_file else _module(source)
    except BaseException as error:  # it is somebody else's code: whatever it raises is its end
        raise LoadError(traceback_lines(error)) from error
    for name in function.split("."):
        if not hasattr(target, name):
            raise LoadError([f"{source} has no {function}"])
        target = getattr(target, name)
    serve = serving(target)
    if _threads() > threads:
        raise LoadError(["it starts threads while it is imported, and a forked process has none of them"])
    return serve


def _threads() -> int:
    threading = sys.modules.get("threading")
    return threading.active_count() if threading else 1


def _module(name: str) -> ModuleType:
    __import__(name)
    return sys.modules[name]


def _file(path: str) -> ModuleType:
    """Import a file under its own name, unless that is the name of a module of Python's, or one that is there."""
    import importlib.util

    stem = os.path.basename(path).removesuffix(".py")
    name = f"handler_{stem}" if stem in sys.modules or stem in sys.stdlib_module_names else stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # noqa: S101  its name ends in .py
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serving(target: Any) -> Serve:
    """How something that may be a handler serves a connection.

    Args:
        target: a function with the connection as its parameter, or without any; ``async`` perhaps; or a class of
            ``socketserver``'s kind.

    Raises:
        LoadError: it is none of these.
    """
    name = _name(target)
    if _is_request_handler(target):
        from superd.handler import requests

        return requests.serving(target)
    if not callable(target):
        raise LoadError([f"an object of type {type(target).__name__} cannot be called"])
    flags = _flags(target)
    if flags & _YIELDS:
        raise LoadError([f"{name} yields, so calling it does nothing"])
    alone = takes_nothing(target)
    if flags & _COROUTINE:
        from superd.handler import concurrent

        return concurrent.serving(target, alone=alone)
    return (lambda _: target()) if alone else target


def _name(target: Any) -> str:
    name: str = getattr(target, "__name__", type(target).__name__)
    return name


def _is_request_handler(target: Any) -> bool:
    """Whether it is a class that derives from socketserver's base, which is loaded then."""
    bases = target.__mro__ if isinstance(target, type) else ()
    return ("socketserver", "BaseRequestHandler") in [(base.__module__, base.__name__) for base in bases]


def _flags(target: Any) -> int:
    """The flags of the code that a call runs; 0 where it is not Python's."""
    inner = getattr(target, "func", target)  # of a functools.partial
    if not isinstance(target, type) and not hasattr(inner, "__code__"):
        inner = getattr(inner, "__call__", inner)  # noqa: B004  an instance of a class with one
    flags: int = getattr(getattr(inner, "__code__", None), "co_flags", 0)
    return flags


def takes_nothing(target: Any) -> bool:
    """Whether a handler is called without the connection, and has standard input and output instead.

    Raises:
        LoadError: it can be called neither way.
    """
    if _is_request_handler(target):
        return False
    code = getattr(target, "__code__", None)
    if code is not None and not hasattr(target, "__self__") and not hasattr(target, "__wrapped__"):
        least = code.co_argcount - len(target.__defaults__ or ())
        if not code.co_kwonlyargcount and least <= 1:
            return not (code.co_argcount or code.co_flags & _VARARGS)
    return _binds_nothing(target)


def _binds_nothing(target: Callable[..., object]) -> bool:
    """The same for what is not a plain function."""
    import inspect

    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):  # of some that are written in C
        return False
    for arguments in ((None,), ()):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return not arguments
    raise LoadError([f"{_name(target)}{signature} cannot be called with the connection, nor with nothing"])


def traceback_lines(error: BaseException) -> list[str]:
    """An exception as Python prints it, without what superd and the import system have on the stack."""
    import traceback

    theirs = error.__traceback__
    while theirs is not None and _is_ours(theirs):
        theirs = theirs.tb_next
    parts = traceback.format_exception(type(error), error, theirs)
    return [line for part in parts for line in part.rstrip("\n").split("\n")]


def _is_ours(frame: TracebackType) -> bool:
    name = frame.tb_frame.f_code.co_filename
    return os.path.dirname(name) == _OWN or name.startswith("<frozen importlib")
