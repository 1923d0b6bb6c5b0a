"""What every wrapper of a system call does with its result."""

from __future__ import annotations

import ctypes
import os


def checked(call: str, result: int) -> int:
    """Return ``result``, or raise the ``OSError`` that -1 stands for."""
    if result != -1:
        return result
    code = ctypes.get_errno()
    raise OSError(code, f"{call}: {os.strerror(code)}")
