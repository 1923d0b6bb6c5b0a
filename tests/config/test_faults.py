"""Every fault as the administrator reads it: the whole line, and all of them at once."""

from __future__ import annotations

import io

import pytest

from superd.config.load import load
from superd.errors import ConfigError

from .conftest import Faults, Write

_SERVICE = '[services.ftp]\nlisten = ["tcp://*:21"]\nexec = ["/usr/sbin/in.ftpd"]\n'
_UNIX = '[services.ftp]\nlisten = ["unix:///run/x"]\nexec = ["/usr/sbin/in.ftpd"]\n'


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        # types are exact
        ("nice = true", "nice = true: not an integer; write -20 to 19, without quotes"),
        ("nice = 20", "nice = 20: out of range; write -20 to 19"),
        ('spawners = "all"', 'spawners = "all": not an integer; write "auto" or 1 to 64'),
        ("spawners = 0", 'spawners = 0: out of range; write "auto" or 1 to 64'),
        ("nice = 0x" + "f" * 5_000, "nice = 0x" + "f" * 77 + "…: out of range; write -20 to 19"),
        ('enabled = "yes"', 'enabled = "yes": not a boolean; write true or false'),
        ("umask = 22", 'umask = 22: not a string; write it in octal: "022"'),
        ('umask = "999"', 'umask = "999": not permission bits; write it in octal: "022"'),
        ('umask = "1777"', 'umask = "1777": not permission bits; write it in octal: "022"'),
        ("user = 1000", 'user = 1000: not a string; write "1000"'),
        ("user = []", 'user = []: not a string; write it as "…"'),
        ('mode = "stream"', 'mode = "stream": not one of its words; write "nowait", "wait" or "always"'),
        (
            "standard_error = 2",
            'standard_error = 2: not one of its words; write "log", "socket" or "null"',
        ),
        # units
        ("runtime_max = 10", 'runtime_max = 10: no unit; write "10s"'),
        ('runtime_max = "0s"', 'runtime_max = "0s": too short; write at least "1ms"'),
        ('timeout_stop = "soon"', 'timeout_stop = "soon": not a duration; write "90s" or "1h 30min"'),
        ("limit_core = 0", 'limit_core = 0: no unit; write "0B"'),
        ('limit_nofile = "many"', 'limit_nofile = "many": not a number; write a number or "infinity"'),
        ("limit_nofile = -1", "limit_nofile = -1: out of range; write 0 to 9223372036854775807"),
        (
            'limit_nofile = "5:3"',
            'limit_nofile = "5:3": the soft limit is above the hard one; write "soft:hard"',
        ),
        (
            'limit_nofile = "infinity:3"',
            'limit_nofile = "infinity:3": the soft limit is above the hard one; write "soft:hard"',
        ),
        ("limit_cpu = 60", 'limit_cpu = 60: no unit; write "60s"'),
        ("limit_nice = 41", "limit_nice = 41: out of range; write 0 to 40: 20 less the lowest nice value"),
        # names
        ('user = "a:"', 'user = "a:": not a name; write "user" or "user:group"'),
        ('user = "a:b:c"', 'user = "a:b:c": not a name; write "user" or "user:group"'),
        ('user = ""', 'user = "": not a name; write "user" or "user:group"'),
        ('user = "4294967295"', 'user = "4294967295": no such number; write 0 to 4294967294'),
        (f'group = "{"a" * 256}"', f'group = "{"a" * 78}…: not a name; write a name or a number'),
        ('group = "a b"', 'group = "a b": not a name; write a name or a number'),
        ('kill_signal = "FROB"', 'kill_signal = "FROB": not a signal; write its name, as "SIGTERM"'),
        ("kill_signal = 9", 'kill_signal = 9: not a signal; write its name, as "SIGTERM"'),
        # paths
        ('exec_path = "ftpd"', 'exec_path = "ftpd": not an absolute path; write a path that starts with /'),
        (
            'working_directory = "~"',
            'working_directory = "~": not an absolute path; write a path that starts with /',
        ),
        ('root_directory = "/a\\u0000b"', 'root_directory = "/a\\u0000b": a NUL or newline in it; remove it'),
        # lists and tables
        ('pass_environment = "TZ"', 'pass_environment = "TZ": not a list; write ["TZ"]'),
        (
            'supplementary_groups = "adm, audio"',
            'supplementary_groups = "adm, audio": not a list; write ["adm", "audio"]',
        ),
        ("pass_environment = 1", 'pass_environment = 1: not a list; write a list, as ["…", "…"]'),
        (
            'pass_environment = ["A B"]',
            'pass_environment = "A B": not a variable\'s name; use letters, digits and _',
        ),
        ('pass_environment = ["LISTEN_FDS"]', 'pass_environment = "LISTEN_FDS": superd sets it; remove it'),
        ('pass_environment = ["UDPREMOTEIP"]', 'pass_environment = "UDPREMOTEIP": superd sets it; remove it'),
        ('environment = { UDPLOCALIP = "x" }', "environment.UDPLOCALIP: superd sets it; remove it"),
        ('environment = { UNIXREMOTEPID = "x" }', "environment.UNIXREMOTEPID: superd sets it; remove it"),
        ("environment = []", 'environment: not a table; write { NAME = "value" }'),
        ("environment = { PORT = 80 }", 'environment.PORT: not a string; write it as "…"'),
        (
            'environment = { "A-B" = "s3cret" }',
            "environment.A-B: not a variable's name; use letters, digits and _",
        ),
        ('environment = { SUPERD_SERVICE = "x" }', "environment.SUPERD_SERVICE: superd sets it; remove it"),
        ('environment = { A = "s3\\ncret" }', "environment.A: a NUL or newline in it; remove it"),
        # keys
        ("exce = []", "exce: unknown key; did you mean exec?"),
        (
            'only_from = ["x"]',
            "only_from: unknown key; write [services.ftp.access] allow",
        ),
        ('handler = "a:b"', 'handler = "a:b": exec says already what serves it; remove one of them'),
        ("proxy_protocol.send = 2", "proxy_protocol.send = 2: only for forward; remove it"),
        ("limits = 1", "limits = 1: not a table; write [services.ftp.limits]"),
        ("access = []", "access = []: not a table; write [services.ftp.access]"),
        ("socket = 1", "socket = 1: not a table; write [services.ftp.socket]"),
        # what does not fit the service
        (
            'idle_timeout = "1s"',
            'idle_timeout = "1s": only for mode = "wait", builtin and forward; remove it',
        ),
        (
            'file_descriptor_name = "x"',
            'file_descriptor_name = "x": only for mode = "wait" and "always"; remove it',
        ),
        ('user = "superd"', 'user = "superd": the user of superd\'s acceptor; use another user'),
        (
            'user = "a:b"\ngroup = "c"',
            'group = "c": another group than user names; remove it, or write user = "a"',
        ),
        ("socket.broadcast = true", "socket.broadcast = true: only for udp listeners; remove it"),
        ('socket.socket_mode = "0600"', 'socket.socket_mode = "0600": only for unix listeners; remove it'),
        ("socket.backlog = 0", "socket.backlog = 0: out of range; write 1 to 2147483647"),
        (
            'socket.defer_accept = "1ms"',
            'socket.defer_accept = "1ms": out of range; write whole seconds, "1s" to "1h"',
        ),
        ('socket.send_buffer = "2G"', 'socket.send_buffer = "2G": out of range; write "1B" to "1GiB"'),
        (
            'socket.bind_to_device = "a/b"',
            'socket.bind_to_device = "a/b": not an interface; write its name, as "eth0"',
        ),
        (
            'socket.tcp_congestion = ""',
            'socket.tcp_congestion = "": not an algorithm; write its name, as "bbr"',
        ),
    ],
)
def test_a_faulty_key_of_a_service(faults: Faults, line: str, fault: str) -> None:
    assert faults(_SERVICE + line) == [f"services.ftp.{fault}"]


@pytest.mark.parametrize(
    ("line", "need"),
    [
        ("no_delay = true", "tcp listeners"),
        ('defer_accept = "1s"', "tcp listeners"),
        ('tcp_congestion = "bbr"', "tcp listeners"),
        ("keep_alive = true", "tcp listeners"),
        ("ip_tos = 16", "tcp and udp listeners"),
        ("ip_ttl = 16", "tcp and udp listeners"),
        ("broadcast = true", "udp listeners"),
    ],
)
def test_a_socket_option_needs_a_listener_that_has_it(faults: Faults, line: str, need: str) -> None:
    assert faults(f"{_UNIX}socket.{line}") == [f"services.ftp.socket.{line}: only for {need}; remove it"]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (
            "",
            [
                'listen: missing; write listen = ["tcp://*:PORT"]',
                'exec: missing; write exec = ["/path/of/program", "argument"]',
            ],
        ),
        ('listen = []\nexec = ["/bin/x"]', ['listen = []: no address; write ["tcp://*:PORT"]']),
        (
            'listen = "tcp://*:1"\nexec = ["/bin/x"]',
            ['listen = "tcp://*:1": not a list; write ["tcp://*:1"]'],
        ),
        (
            'listen = ["tcp://*:1"]\nexec = "/bin/x -l"',
            ['exec = "/bin/x -l": not a list; write ["/bin/x", "-l"]'],
        ),
        (
            'listen = ["tcp://*:1"]\nexec = []',
            ['exec = []: no program; write ["/path/of/program", "argument"]'],
        ),
        (
            'listen = ["tcp://*:1"]\nexec = ["ftpd", "-l"]',
            ['exec = "ftpd": not an absolute path; write the program\'s path, or give it as exec_path'],
        ),
        (
            f'listen = ["tcp://*:1"]\nexec = ["/bin/x", "{"a" * 131_072}"]',
            [f'exec = ["/bin/x", "{"a" * 67}…: 131080 bytes; use at most 131072, and a file for the rest'],
        ),
        (
            f'listen = {[f"tcp://127.0.0.1:{port}" for port in range(1, 502)]}\nexec = ["/bin/x"]',
            [
                'listen = ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://127.0.0.1:3", "tcp://127.0.0.…: '
                "501 addresses; use at most 500 a service"
            ],
        ),
        ('listen = ["tcp://*:1"]\nexec = ["/bin/x", 5]', ['exec = 5: not a string; write "5"']),
        (
            'listen = ["tcp://*:1"]\nexec = ["/bin/x", "a\\nb"]',
            ['exec = "a\\nb": a NUL or newline in it; remove it'],
        ),
        (
            'listen = ["80", "udp://*"]\nexec = ["/bin/x"]',
            [
                'listen = "80": no scheme; write "tcp://*:80"',
                'listen = "udp://*": no port; write "udp://*:PORT"',
            ],
        ),
        # one item hides nothing of the others
        (
            'listen = [5, "80", "tcp://*:1", "tcp://*:1", "unix-dgram:///run/log"]\nexec = ["/bin/x"]',
            [
                'listen = 5: not a string; write "5"',
                'listen = "80": no scheme; write "tcp://*:80"',
                'listen = "unix-dgram:///run/log": datagrams of unnamed peers cannot be told apart; '
                'write mode = "wait"',
                'listen = "tcp://*:1": stands there twice; remove one of them',
            ],
        ),
        (
            'listen = ["tcp://*:1"]\nexec = ["ftpd", 5, "a\\nb"]',
            [
                'exec = 5: not a string; write "5"',
                'exec = "a\\nb": a NUL or newline in it; remove it',
                'exec = "ftpd": not an absolute path; write the program\'s path, or give it as exec_path',
            ],
        ),
        ('listen = ["tcp://*:1"]\nexec = [5, "ftpd"]', ['exec = 5: not a string; write "5"']),
        (
            'listen = ["tcp://*:1", "tcp://*:1"]\nexec = ["/bin/x"]',
            ['listen = "tcp://*:1": stands there twice; remove one of them'],
        ),
        (
            'listen = ["tcp://*:1", "tcp4://0.0.0.0:1"]\nexec = ["/bin/x"]',
            ['listen = "tcp4://0.0.0.0:1": the same port as "tcp://*:1"; remove one of them'],
        ),
        (
            'listen = ["tcp://127.0.0.1:1", "tcp://*:1"]\nexec = ["/bin/x"]',
            ['listen = "tcp://*:1": the same port as "tcp://127.0.0.1:1"; remove one of them'],
        ),
        (
            'listen = ["tcp://[::]:1", "tcp://[::1]:1"]\nexec = ["/bin/x"]',
            ['listen = "tcp://[::1]:1": the same port as "tcp://[::]:1"; remove one of them'],
        ),
        (
            'listen = ["unix-dgram:///run/log"]\nexec = ["/bin/x"]',
            [
                'listen = "unix-dgram:///run/log": datagrams of unnamed peers cannot be told apart; '
                'write mode = "wait"'
            ],
        ),
    ],
)
def test_a_faulty_listen_or_exec(faults: Faults, body: str, lines: list[str]) -> None:
    assert faults(f"[services.x]\n{body}") == [f"services.x.{line}" for line in lines]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[ftp]", "ftp: unknown table; write [services.ftp]"),
        ("[service.ftp]", "service: unknown table; write [services]"),
        ("[Superd]", "Superd: unknown table; write [superd]"),
        ('umask = "022"', "umask: outside of a table; write it under [services.NAME]"),
        ('log = "stderr"', "log: outside of a table; write it under [superd]"),
        ("qqq = 1", "qqq: unknown key; superd.toml(5) lists the keys"),
        ("override = 1", "override = 1: not a table; write [override.NAME]"),
        (
            "[superd]\nmax_connections = 0",
            'superd.max_connections = 0: out of range; write 1 to 1000000, or "infinity"',
        ),
        ("services = 1", "services = 1: not a table; write [services.NAME]"),
        ("superd = 1", "superd = 1: not a table; write [superd]"),
        ("[[defaults]]", "defaults = [{  }]: not a table; write [defaults]"),
        ("services.ftp = 1", "services.ftp = 1: not a table; write [services.ftp]"),
        ("services.listen = []", "services.listen: outside of a service; write it under [services.NAME]"),
        (
            '[services."a b"]',
            'services."a b": not a name; use up to 64 of A-Z a-z 0-9 _ . @ + -, a letter or digit first',
        ),
        ("[superd]\nmetrics = true", "superd.metrics: not supported by this version; remove it"),
        (
            '[superd]\nuser = "root"',
            'superd.user = "root": the part that talks to the network is never root; '
            'write "superd", or another user that nothing else uses',
        ),
        (
            '[superd]\nlog = "file"',
            'superd.log = "file": nowhere to log to; write "journal", "stderr", "syslog" or an absolute path',
        ),
        (
            '[superd]\nlog_format = "xml"',
            'superd.log_format = "xml": not one of its words; write "text" or "json"',
        ),
        (
            f'[superd]\ncontrol = "/{"x" * 107}"',
            f'superd.control = "/{"x" * 77}…: too long; use at most 107 bytes',
        ),
        ('[superd]\ninclude = "x"', 'superd.include = "x": not a list; write ["x"]'),
        ("[defaults]\numask = 22", 'defaults.umask = 22: not a string; write it in octal: "022"'),
        ("[defaults.socket]\nno_delai = true", "defaults.socket.no_delai: unknown key; did you mean no_delay?"),
        ('[defaults]\nuser = "superd"\n' + _SERVICE, 'defaults.user = "superd": the user of superd\'s acceptor; '
         "use another user"),
    ],
)  # fmt: skip
def test_a_fault_outside_of_services(faults: Faults, text: str, fault: str) -> None:
    assert faults(text) == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("user = ftp", 'line 1, column 8: invalid value; put strings in quotes: KEY = "value"'),
        ("enabled = yes", "line 1, column 11: invalid value; write true or false"),
        ("\numask = 022", 'line 2, column 10: expected newline or end of document after a statement; '
         'write octal in quotes: "022"'),
        ("ftp stream tcp", "line 1, column 5: expected '=' after a key in a key/value pair; "
         'write KEY = "value", one a line'),
        ("[a]\n[a]", "line 2: cannot declare [a] twice; write each key and each [table] once"),
        ("[a.'b c']\n[a.'b c']", 'line 2: cannot declare [a."b c"] twice; write each key and each [table] once'),
        ("a = 1\na = 2\n", "line 2: cannot overwrite a value; write each key and each [table] once"),
        ("a = [1,", "end of the file: invalid value; close every bracket and quote"),
        ("[services.ftp", "end of the file: expected ']' at the end of a table declaration; "
         "close every bracket and quote"),
        ("a = " + "9" * 5_000, "a number of thousands of digits; write a smaller one"),
        ("a = " + "[" * 20_000, "nested too deeply; write lists and tables flat"),
    ],
)  # fmt: skip
def test_a_syntax_error_names_its_line_and_what_to_write(faults: Faults, text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_every_fault_of_every_service_is_reported_at_once(faults: Faults) -> None:
    text = """
frob = 1
[superd]
usr = "x"
[services.a]
listen = ["80"]
exec = "x"
umask = 7
environment = { "1" = "x", LISTEN_FDS = "3" }
[services.b]
listen = ["tcp://*:80"]
exec = ["/bin/b"]
nice = 99
[services.c]
listen = ["tcp6://*:80"]
exec = ["/bin/c"]
idle_timeout = "1s"
"""
    assert faults(text) == [
        "superd.usr: unknown key; did you mean user?",
        "frob: unknown key; superd.toml(5) lists the keys",
        'services.a.exec = "x": not a list; write ["x"]',
        'services.a.umask = 7: not a string; write it in octal: "022"',
        "services.a.environment.1: not a variable's name; use letters, digits and _",
        "services.a.environment.LISTEN_FDS: superd sets it; remove it",
        'services.a.listen = "80": no scheme; write "tcp://*:80"',
        "services.b.nice = 99: out of range; write -20 to 19",
        'services.c.idle_timeout = "1s": only for mode = "wait", builtin and forward; remove it',
        'services.c.listen = "tcp6://*:80": services.b listens there too; use another port, or reuse_port in both',
    ]


def test_a_fault_of_a_default_is_reported_once(faults: Faults) -> None:
    text = f"[defaults]\nnice = 99\n{_SERVICE}" + _SERVICE.replace("ftp", "b").replace("21", "22")
    assert faults(text) == ["defaults.nice = 99: out of range; write -20 to 19"]


def test_standard_input_has_no_folder_to_include_from() -> None:
    with pytest.raises(ConfigError) as raised:
        load("-", stdin=io.StringIO('superd.include = ["d/*.toml"]'))
    assert str(raised.value) == (
        'standard input: superd.include = "d/*.toml": relative to no file; write an absolute path'
    )


def test_a_fault_knows_its_service(write: Write) -> None:
    with pytest.raises(ConfigError) as raised:
        load(write("superd.toml", f"frob = 1\n{_SERVICE}nice = 50"))
    assert [fault.service for fault in raised.value.faults] == [None, "ftp"]


def test_no_value_of_environment_is_ever_shown(faults: Faults) -> None:
    for value in (
        '"s3cret"',
        '["s3cret"]',
        '{ A = ["s3cret"] }',
        '{ LISTEN_X = "s3cret" }',
        '{ "s" = "s3cret\\n" }',
    ):
        assert "s3cret" not in "".join(faults(f"{_SERVICE}environment = {value}"))


def test_a_fault_sends_nothing_to_the_terminal_but_text(faults: Faults) -> None:
    (fault,) = faults('[services."\\u001b[2J"]')
    assert fault.startswith('services."\\u001B[2J": not a name')
