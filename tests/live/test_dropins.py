"""superd under the names of inetd and xinetd, started, steered and ended by scripts as those of the old daemons."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import PATIENCE_S, ROOT, written

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for namespaces"),
    pytest.mark.needs("unshare", "mount", "ip", "nc"),
]

OWN_PLACE = 'ip link set lo up && mount -t tmpfs -o mode=755 tmpfs /run && exec sh -eu "$@"'
PRELUDE = """
inetd() { "$PYTHON" -m superd.cli.inetd "$@"; }
xinetd() { "$PYTHON" -m superd.cli.xinetd "$@"; }
heard() { nc -N "$1" "$2" </dev/null; }
until_gone() { timeout "$PATIENCE" sh -c "while kill -0 $1 2>/dev/null; do sleep 0.05; done"; }
until_heard() { timeout "$PATIENCE" sh -c "until nc -N $1 $2 </dev/null >/dev/null 2>&1; do sleep 0.05; done"; }
"""

GNU = """
conf() {
    echo "127.0.0.1:$1 stream tcp4 nowait root /bin/echo echo $1"
    echo "::1:$1 stream tcp6 nowait root /bin/echo echo $1 v6"
}
conf 2001 >inetd.conf
inetd -p"$PWD/pid" "$PWD/inetd.conf"
test -s pid
for port in 2001 2002 2003 2004; do
    until_heard ::1 $port
    heard 127.0.0.1 $port
    heard ::1 $port
    conf $((port + 1)) >inetd.conf
    kill -HUP "$(cat pid)"
done
until_heard 127.0.0.1 2005
! heard 127.0.0.1 2001
pid=$(cat pid)
kill "$pid"
until_gone "$pid"
test ! -e pid
"""

DEBIAN = """
cat >inetd.conf <<'EOF'
2000 stream tcp nowait root ./who who
2001 stream tcp46 nowait root ./who who
2006 stream tcp6 nowait root ./who who
localhost:2010 stream tcp nowait root ./who who
EOF
printf '#!%s\\nimport socket\\nprint(socket.socket(fileno=0).getpeername()[0])\\n' "$PYTHON" >who
chmod 755 who
"$PYTHON" -m superd.cli.inetd -d -i ./inetd.conf 2>log & pid=$!
until_heard 127.0.0.1 2000
for port in 2000 2001 2010; do heard 127.0.0.1 $port; heard ::1 $port; done
! heard 127.0.0.1 2006
heard ::1 2006
echo '2007 stream tcp nowait root ./who who' >>inetd.conf
kill -HUP $pid
until_heard 127.0.0.1 2007
kill -KILL $pid
"""

FOLDERS = """
mkdir inetd.d
echo '127.0.0.1:2001 stream tcp nowait root /bin/echo echo one' >inetd.conf
echo '127.0.0.1:2002 stream tcp nowait root /bin/echo echo two' >inetd.d/two
echo '127.0.0.1:2003 stream tcp nowait root /bin/echo echo three' >inetd.d/three.dpkg-old
inetd --pidfile="$PWD/pid" --rate=1000 inetd.conf inetd.d 2>log
heard 127.0.0.1 2001
heard 127.0.0.1 2002
! heard 127.0.0.1 2003
echo '127.0.0.1:2004 stream tcp nowait root /bin/echo echo four' >inetd.d/four
kill -HUP "$(cat pid)"
until_heard 127.0.0.1 2004
heard 127.0.0.1 2004
pid=$(cat pid)
kill "$pid"
until_gone "$pid"
grep -o 'three.dpkg-old: not carried' log
"""

XINETD = """
conf() { cat >xinetd.conf <<EOF
defaults
{
    instances      = 25
    log_type       = FILE $PWD/log
    log_on_success = HOST PID
    log_on_failure = HOST
    $1
}
service greet
{
    type           = UNLISTED
    socket_type    = stream
    protocol       = tcp
    port           = 2323
    wait           = no
    user           = root
    server         = /bin/echo
    server_args    = hello
    no_access      =
    flags          = IPv6
}
EOF
}
conf 'disabled = greet'
xinetd -f "$PWD/xinetd.conf" -stayalive -pidfile "$PWD/pid" 2>err
! heard 127.0.0.1 2323
conf '# disabled = greet'
kill -HUP "$(cat pid)"
until_heard ::1 2323
heard 127.0.0.1 2323
heard ::1 2323
kill -USR1 "$(cat pid)"
timeout "$PATIENCE" sh -c 'until grep -q "state service=greet" log; do sleep 0.05; done'
kill -ABRT "$(cat pid)"
timeout "$PATIENCE" sh -c 'until grep -o "no tables of .* to check" log; do sleep 0.05; done'
heard 127.0.0.1 2323
pid=$(cat pid)
kill -QUIT "$pid"
until_gone "$pid"
"""


def told(folder: Path, script: str) -> list[str]:
    """The lines that a script writes, in namespaces of its own."""
    file = written(folder / "script", PRELUDE + script)
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", OWN_PLACE, "sh", file],
        cwd=folder,
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "PATIENCE": str(PATIENCE_S),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_script_for_gnus_inetd(folder: Path) -> None:
    """It starts a daemon, and moves it to another port by SIGHUP again and again."""
    assert told(folder, GNU) == [f"{port}{way}" for port in range(2001, 2005) for way in ("", " v6")]


def test_a_script_for_debians_inetd(folder: Path) -> None:
    """It looks at what programs see of their clients, in the foreground and with paths of its own folder."""
    assert told(folder, DEBIAN) == ["127.0.0.1", "::1", "::ffff:127.0.0.1", "::1", "127.0.0.1", "::1", "::1"]


def test_files_and_folders_together(folder: Path) -> None:
    assert told(folder, FOLDERS) == ["one", "two", "four", "three.dpkg-old: not carried"]


def test_a_script_for_xinetd(folder: Path) -> None:
    """It disables a service and enables it, and sends every signal that xinetd knows."""
    assert told(folder, XINETD) == ["hello", "hello", "no tables of xinetd's to check", "hello"]
