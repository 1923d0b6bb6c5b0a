"""Debian's daemons, one a connection, on the ports they are known for, with the clients people use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness import Superd, output, run, written

pytestmark = pytest.mark.live

OWN_RUN = 'mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/sshd && exec "$@"'
"""sshd refuses to start without /run/sshd, which Debian's unit file makes; here nobody shares it."""


def ssh(folder: Path, address: str, command: str) -> list[str | Path]:
    """An ssh that knows nothing but what is in the folder."""
    key, known = folder / "id", folder / "known_hosts"
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={known}", "LogLevel=ERROR"]
    flags = [flag for option in options for flag in ("-o", option)]
    return ["ssh", "-F", "none", "-i", key, *flags, f"root@{address}", command]


def make_keys(folder: Path, address: str) -> None:
    for name in ("host_key", "id"):
        output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name)
    kind, key, _ = (folder / "host_key.pub").read_text().split(maxsplit=2)
    written(folder / "known_hosts", f"{address} {kind} {key}\n")
    written(folder / "authorized_keys", (folder / "id.pub").read_text())


def effective_capabilities() -> str:
    """The line of /proc/self/status: what root has here, which in a container may be less than all."""
    lines = Path("/proc/self/status").read_text().splitlines(keepends=True)
    return next(line for line in lines if line.startswith("CapEff"))


@pytest.mark.needs("sshd", "ssh", "ssh-keygen", "setpriv", "unshare")
def test_ssh_logs_in_as_root_with_roots_capabilities(address: str, folder: Path) -> None:
    make_keys(folder, address)
    written(
        folder / "sshd_config",
        f"""
        HostKey {folder}/host_key
        AuthorizedKeysFile {folder}/authorized_keys
        StrictModes no
        UsePAM no
        PidFile none
        """,
    )
    services = f"""
        [services.ssh]
        listen = ["tcp://{address}:22"]
        exec = ["/usr/sbin/sshd", "-i", "-f", "{folder}/sshd_config"]
        user = "root"
    """
    own_run = ["unshare", "--mount", "sh", "-c", OWN_RUN, "sh"]
    with Superd(services, folder=folder, prefix=own_run) as superd:
        assert output(*ssh(folder, address, "echo $SSH_CONNECTION")).split()[2:] == [address, "22"]
        held = output(*ssh(folder, address, "grep CapEff /proc/self/status"))
        assert held == effective_capabilities()
        assert output(*ssh(folder, address, "setpriv --reuid=games --clear-groups id -un")) == "games\n"
        assert run(*ssh(folder, address, "exit 7")).returncode == 7
        superd.wait_for("end", service="ssh", count=4)


@pytest.mark.needs("git")
def test_git_clones_a_repository_that_is_not_its_users(address: str, folder: Path) -> None:
    environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    work, bare = folder / "work", folder / "repositories" / "hello.git"
    written(work / "hello.txt", "hello git\n")
    for command in (["init", "-q"], ["add", "hello.txt"], [*author, "commit", "-q", "-m", "Hello"]):
        output("git", *command, cwd=work, env=environment)
    output("git", "clone", "-q", "--bare", work, bare, env=environment)
    services = f"""
        [services.git]
        listen = ["tcp://{address}:9418"]
        exec = ["/usr/bin/git", "daemon", "--inetd", "--export-all", "--base-path={bare.parent}", "{bare.parent}"]
        user = "games"
        runtime_max = "1h"

        [services.git.environment]
        GIT_CONFIG_COUNT = "1"
        GIT_CONFIG_KEY_0 = "safe.directory"
        GIT_CONFIG_VALUE_0 = "*"
    """
    with Superd(services, folder=folder):
        output("git", "clone", "-q", f"git://{address}/hello.git", folder / "clone", env=environment)
        assert (folder / "clone/hello.txt").read_text() == "hello git\n"
        assert run("git", "ls-remote", f"git://{address}/none.git", env=environment).returncode != 0


@pytest.mark.needs("rsync")
def test_rsync_serves_a_module_without_ever_being_root(address: str, folder: Path) -> None:
    content = os.urandom(3_000_000)
    written(folder / "module/hello.txt", "hello rsync\n")
    (folder / "module/large").write_bytes(content)
    written(
        folder / "rsyncd.conf",
        f"""
        use chroot = no
        [module]
        path = {folder}/module
        read only = yes
        """,
    )
    services = f"""
        [services.rsync]
        listen = ["tcp://{address}:873"]
        exec = ["/usr/bin/rsync", "--daemon", "--config={folder}/rsyncd.conf"]
        user = "games"
    """
    with Superd(services, folder=folder):
        assert output("rsync", f"rsync://{address}/").split() == ["module"]
        output("rsync", "-r", f"rsync://{address}/module/", folder / "copy")
        assert (folder / "copy/hello.txt").read_text() == "hello rsync\n"
        assert (folder / "copy/large").read_bytes() == content


@pytest.mark.needs("vsftpd", "curl")
def test_ftp_in_passive_mode(address: str, folder: Path) -> None:
    written(folder / "ftp/hello.txt", "hello ftp\n")
    written(
        folder / "vsftpd.conf",
        f"""
        listen=NO
        listen_ipv6=NO
        background=NO
        anonymous_enable=YES
        anon_root={folder}/ftp
        secure_chroot_dir={folder}/empty
        """.replace(" ", ""),
    )
    (folder / "empty").mkdir(mode=0o755)
    services = f"""
        [services.ftp]
        listen = ["tcp://{address}:21"]
        exec = ["/usr/sbin/vsftpd", "{folder}/vsftpd.conf"]
        user = "root"
    """
    with Superd(services, folder=folder):
        assert output("curl", "-sS", f"ftp://{address}/hello.txt") == "hello ftp\n"
        assert "hello.txt" in output("curl", "-sS", f"ftp://{address}/")


WEB_SERVERS = {
    "busybox": ('["httpd", "-i", "-h", "{folder}/www"]', 'exec_path = "/bin/busybox"'),
    "micro-httpd": ('["/usr/sbin/micro-httpd", "{folder}/www"]', ""),
}


@pytest.mark.needs("curl")
@pytest.mark.parametrize(
    ("exec_", "more"),
    [pytest.param(*keys, marks=pytest.mark.needs(name)) for name, keys in WEB_SERVERS.items()],
    ids=WEB_SERVERS,
)
def test_a_web_server_on_port_80_is_nobody(address: str, folder: Path, exec_: str, more: str) -> None:
    written(folder / "www/index.html", "<h1>hello www</h1>\n")
    services = f"""
        [services.web]
        listen = ["tcp://{address}:80"]
        exec = {exec_.format(folder=folder)}
        {more}
        user = "nobody"
    """
    with Superd(services, folder=folder) as superd:
        page = output("curl", "-sS", "--fail", f"http://{address}/index.html")
        assert "<h1>hello www</h1>" in page
        assert run("curl", "-sS", "--fail", f"http://{address}/none").returncode == 22
        connection, end = superd.wait_for("connection"), superd.wait_for("end")
        assert (connection["service"], end["service"]) == ("web", "web")
        assert connection["id"] == end["id"]
