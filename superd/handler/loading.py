"""Importing a handler, and finding out how it wants to be called."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType, TracebackType
from typing import Any

from superd.config.model import Handler
from superd.errors import SuperdError
from superd.handler.connection import Connection

Serve = Callable[[Connection], object]
"""Serves one connection; what it returns means nothing."""

_OWN = os.path.dirname(os.path.abspath(__file__))


class LoadError(SuperdError):
    """A handler cannot be used. ``lines`` tell why: a traceback where there is one, the reason last."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(lines)
        super().__init__(self.lines[-1])


def load(handler: Handler, folders: Sequence[str]) -> Serve:
    """Import a handler; this process searches ``folders`` for modules from now on.

    Args:
        folders: as ``places.search_path`` gives them; of a file, its own folder comes before them.

    Raises:
        LoadError: it cannot be imported, is not there, or cannot be called with a connection.
    """
    sys.path[:] = [*([os.path.dirname(handler.source)] if handler.is_file else ()), *folders]
    try:
        target: Any = _module(handler)
    except BaseException as error:  # it is somebody else's code: whatever it raises is its end
        raise LoadError(traceback_lines(error)) from error
    for name in handler.function.split("."):
        if not hasattr(target, name):
            raise LoadError([f"{handler.source} has no {handler.function}"])
        target = getattr(target, name)
    serve = _serving(target, handler.function)
    if threading.active_count() > 1:
        raise LoadError(["it starts threads while it is imported, and a forked process has none of them"])
    return serve


def _module(handler: Handler) -> ModuleType:
    if not handler.is_file:
        return importlib.import_module(handler.source)
    stem = os.path.basename(handler.source).removesuffix(".py")
    name = f"handler_{stem}" if stem in sys.modules or stem in sys.stdlib_module_names else stem
    spec = importlib.util.spec_from_file_location(name, handler.source)
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
    return _serving(target, getattr(target, "__name__", repr(target)))


def _serving(target: Any, name: str) -> Serve:
    if isinstance(target, type) and _is_request_handler(target):
        from superd.handler import requests

        return requests.serving(target)
    if not callable(target):
        raise LoadError([f"{name} is a {type(target).__name__}, and cannot be called"])
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        raise LoadError([f"{name} yields, so calling it does nothing"])
    alone = _takes_nothing(target, name)
    if inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(getattr(target, "__call__", None)):  # noqa: B004  an instance with async def __call__
        from superd.handler import concurrent

        return concurrent.serving(target, alone=alone)
    return (lambda _: target()) if alone else target


def _is_request_handler(target: type) -> bool:
    """Whether it derives from socketserver's base, which is loaded then."""
    return any(
        (base.__module__, base.__name__) == ("socketserver", "BaseRequestHandler") for base in target.__mro__
    )


def _takes_nothing(target: Callable[..., object], name: str) -> bool:
    """Whether it is to be called without the connection."""
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
    raise LoadError([f"{name}{signature} cannot be called with the connection, nor with nothing"])


def traceback_lines(error: BaseException) -> list[str]:
    """An exception as Python prints it, without what superd and the import system have on the stack."""
    theirs = error.__traceback__
    while theirs is not None and _is_ours(theirs):
        theirs = theirs.tb_next
    return list(_lines(traceback.format_exception(type(error), error, theirs)))


def _is_ours(frame: TracebackType) -> bool:
    name = frame.tb_frame.f_code.co_filename
    return os.path.dirname(name) == _OWN or name.startswith("<frozen importlib") or name == importlib.__file__


def _lines(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        yield from part.rstrip("\n").split("\n")
