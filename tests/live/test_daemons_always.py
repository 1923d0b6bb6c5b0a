"""Servers that superd keeps running: they get port 80 by socket activation and were never root."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
from pathlib import Path

import pytest
from harness import Superd, output, written

pytestmark = [pytest.mark.live, pytest.mark.needs("curl")]

WSGI = """\
import json
import os

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"uid": os.getuid(), "parent": os.getppid()}).encode()]
"""

ASGI = """\
import json
import os

async def application(scope, receive, send):
    body = json.dumps({"uid": os.getuid(), "parent": os.getppid()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""

NGINX = """\
daemon off;
pid {folder}/own/pid;
error_log stderr;
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/own/body;
    proxy_temp_path {folder}/own/proxy;
    fastcgi_temp_path {folder}/own/fastcgi;
    uwsgi_temp_path {folder}/own/uwsgi;
    scgi_temp_path {folder}/own/scgi;
    server {{
        listen {address}:80;
        root {folder}/www;
    }}
}}
"""


def fetch(address: str) -> str:
    return output("curl", "-sS", "--fail", f"http://{address}/")


@pytest.mark.needs("nginx")
def test_nginx_is_handed_its_port_by_its_own_variable(address: str, folder: Path) -> None:
    www_data = pwd.getpwnam("www-data")
    written(folder / "nginx.conf", NGINX.format(folder=folder, address=address))
    written(folder / "www/index.html", "hello nginx\n")
    (folder / "own").mkdir()
    os.chown(folder / "own", www_data.pw_uid, www_data.pw_gid)
    services = f"""
        [services.nginx]
        listen = ["tcp4://{address}:80"]
        mode = "always"
        exec = ["/usr/sbin/nginx", "-e", "stderr", "-c", "{folder}/nginx.conf"]
        user = "www-data"
        environment = {{ NGINX = "3;" }}
    """
    with Superd(services, folder=folder) as superd:
        assert fetch(address) == "hello nginx\n"
        superd.wait_for("output", service="nginx", message=re.compile("using inherited sockets"))


@pytest.mark.needs("gunicorn")
def test_gunicorn_is_handed_its_port_and_started_anew_when_it_dies(address: str, folder: Path) -> None:
    written(folder / "app.py", WSGI)
    services = f"""
        [services.web]
        listen = ["tcp://{address}:80"]
        mode = "always"
        exec = ["/usr/bin/gunicorn", "--chdir", "{folder}", "app:application"]
        user = "www-data"
    """
    with Superd(services, folder=folder) as superd:
        first = superd.wait_for("start", service="web")["pid"]
        assert json.loads(fetch(address)) == {"uid": pwd.getpwnam("www-data").pw_uid, "parent": first}
        os.killpg(first, signal.SIGKILL)
        second = superd.wait_for("start", service="web", count=2)["pid"]
        assert json.loads(fetch(address))["parent"] == second
        assert superd.wait_for("end", service="web")["signal"] == "SIGKILL"


@pytest.mark.needs("/usr/lib/python3/dist-packages/uvicorn")
def test_uvicorn_is_handed_its_port_as_descriptor_3(address: str, folder: Path) -> None:
    written(folder / "app.py", ASGI)
    services = f"""
        [services.web]
        listen = ["tcp://{address}:80"]
        mode = "always"
        exec = ["/usr/bin/python3", "-m", "uvicorn", "--fd", "3", "--app-dir", "{folder}", "app:application"]
        user = "www-data"
        environment = {{ PYTHONDONTWRITEBYTECODE = "1" }}
    """
    with Superd(services, folder=folder) as superd:
        assert json.loads(fetch(address)) == {
            "uid": pwd.getpwnam("www-data").pw_uid,
            "parent": superd.spawners("web")[0],
        }
