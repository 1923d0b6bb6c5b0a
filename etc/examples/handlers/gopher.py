"""A gopher server (RFC 1436) for one folder, GOPHER_ROOT, of which it shows everything that is not hidden.

    [services.gopher]
    listen = ["tcp://*:70"]
    handler = "/etc/superd/handlers/gopher.py:Gopher"
    user = "nobody"
    environment = { GOPHER_ROOT = "/srv/gopher", GOPHER_HOST = "gopher.example.net" }

A class of the standard library's socketserver: it would serve there as it does here.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from socketserver import StreamRequestHandler

ROOT = Path(os.environ.get("GOPHER_ROOT", "/srv/gopher")).resolve()
HOST = os.environ.get("GOPHER_HOST", "localhost")
TEXTS = {".txt", ".md", ".rst", ""}
MOST_BYTES = 1024


class Gopher(StreamRequestHandler):
    timeout = 30  # seconds for a selector to come

    def handle(self) -> None:
        selector = (
            self.rfile.readline(MOST_BYTES).rstrip(b"\r\n").partition(b"\t")[0].decode(errors="replace")
        )
        path = found(selector)
        if path is None:
            self.wfile.write(b"3no such thing\t\terror.host\t1\r\n.\r\n")
        elif path.is_dir():
            menu = "".join(f"{line}\r\n" for line in lines(path, self.server.server_address[1]))
            self.wfile.write(f"{menu}.\r\n".encode())
        else:
            with path.open("rb") as file:
                shutil.copyfileobj(file, self.wfile)


def found(selector: str) -> Path | None:
    """The file that a selector means, below the root and not hidden; symbolic links lead nowhere else."""
    if not selector.isprintable():
        return None
    path = (ROOT / selector.lstrip("/")).resolve()
    if not path.is_relative_to(ROOT) or any(part.startswith(".") for part in path.relative_to(ROOT).parts):
        return None
    return path if path.is_dir() or path.is_file() else None


def lines(folder: Path, port: int) -> Iterator[str]:
    """One line of a menu for each entry of a folder."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or not entry.name.isprintable():
            continue
        kind = "1" if entry.is_dir() else "0" if entry.suffix in TEXTS else "9"
        yield f"{kind}{entry.name}\t/{entry.relative_to(ROOT)}\t{HOST}\t{port}"
