"""The collection of other projects' files and vectors, for tests that hold superd against them where it is there."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def corpus_file(name: str) -> Path | None:
    """Return a file of the collection; None when there is no such collection here.

    It lies beside the checkout (``shared/corpus``), or where the variable SUPERD_CORPUS says.
    """
    place = Path(os.environ.get("SUPERD_CORPUS") or ROOT.parent / "shared" / "corpus")
    path = place / name
    return path if path.is_file() else None
