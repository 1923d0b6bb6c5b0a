"""Debian's daemons that take the listening socket over: started by the first client, and again by a later one."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Superd, output, written

pytestmark = pytest.mark.live

TFTP_CLIENTS = {
    "tftp": "tftp -m binary {address} 69 -c get hello.txt {copy}",
    "curl": "curl -sS -o {copy} tftp://{address}/hello.txt",
}


@pytest.mark.needs("in.tftpd")
@pytest.mark.parametrize(
    "client",
    [pytest.param(command, marks=pytest.mark.needs(name)) for name, command in TFTP_CLIENTS.items()],
    ids=TFTP_CLIENTS,
)
def test_tftp_is_started_anew_after_it_has_gone_to_sleep(address: str, folder: Path, client: str) -> None:
    written(folder / "tftp/hello.txt", "hello tftp\n")
    services = f"""
        [services.tftp]
        listen = ["udp://{address}:69"]
        mode = "wait"
        exec = ["/usr/sbin/in.tftpd", "--secure", "--timeout", "1", "{folder}/tftp"]
        user = "root"
    """
    with Superd(services, folder=folder) as superd:
        for count in (1, 2):
            copy = folder / f"copy{count}"
            output(*client.format(address=address, copy=copy).split())
            assert copy.read_text() == "hello tftp\n"
            superd.wait_for("end", service="tftp", outcome="clean", count=count)
        first, second = (event["pid"] for event in superd.log_events("start", service="tftp"))
        assert first != second
        assert superd.status("tftp")["state"] == "listening"


FCGI_PLACES = {
    "port": ("tcp://{address}:90", "{address}:90"),
    "path": ("unix://{folder}/fcgi.sock", "{folder}/fcgi.sock"),
}


@pytest.mark.needs("fcgiwrap", "cgi-fcgi")
@pytest.mark.parametrize(("listen", "connect"), FCGI_PLACES.values(), ids=FCGI_PLACES)
def test_fcgiwrap_serves_many_from_one_process(address: str, folder: Path, listen: str, connect: str) -> None:
    script = written(
        folder / "hello.cgi",
        """\
        #!/bin/sh
        printf 'Content-Type: text/plain\\r\\n\\r\\n'
        echo "$PPID $(id -un) $QUERY_STRING"
        """,
        mode=0o755,
    )
    services = f"""
        [services.fcgi]
        listen = ["{listen.format(address=address, folder=folder)}"]
        mode = "wait"
        exec = ["/usr/sbin/fcgiwrap"]
        user = "www-data"
    """
    place = connect.format(address=address, folder=folder)
    with Superd(services, folder=folder) as superd:

        def ask(question: str) -> str:
            cgi = {"SCRIPT_FILENAME": str(script), "REQUEST_METHOD": "GET", "QUERY_STRING": question}
            return output("cgi-fcgi", "-bind", "-connect", place, env=cgi).partition("\n\n")[2]

        answers = [ask(f"question={number}") for number in range(3)]
        instance = superd.wait_for("start", service="fcgi")["pid"]
        assert answers == [f"{instance} www-data question={number}\n" for number in range(3)]
        status = superd.status("fcgi")
        assert (status["state"], status["children"], status["accepted"]) == ("running", 1, 1)
