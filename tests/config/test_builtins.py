"""``builtin`` and ``banner``: what goes with them, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.config.findings import RejectedError
from superd.config.load import load
from superd.config.model import BUILTIN_IDLE_S, INFINITY, Builtin, Mode, Scheme
from superd.config.quotes import MAX_QUOTE_BYTES, split_quotes

from .conftest import Faults, Write

_ECHO = '[services.x]\nlisten = ["tcp://*:7", "udp://*:7"]\nbuiltin = "echo"\n'
_MUX = '[services.mux]\nlisten = ["tcp://*:1"]\nbuiltin = "tcpmux"\n'


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ('user = "nobody"', 'user = "nobody": only for exec and handler; remove it'),
        ('mode = "wait"', 'mode = "wait": only for exec; remove it'),
        ("nice = 5", "nice = 5: only for exec and handler; remove it"),
        ("limit_nofile = 5", "limit_nofile = 5: only for exec and handler; remove it"),
        ('exec = ["/bin/cat"]', 'builtin = "echo": exec says already what serves it; remove one of them'),
        ('ident_user = "x"', 'ident_user = "x": only for builtin = "ident"; remove it'),
        ('banner = "hello"', 'banner = "hello": not an absolute path; write a path that starts with /'),
    ],
)
def test_what_does_not_go_with_a_builtin(faults: Faults, lines: str, fault: str) -> None:
    assert faults(_ECHO + lines) == [f"services.x.{fault}"]


@pytest.mark.parametrize(
    ("builtin", "listen", "fault"),
    [
        ("ident", "udp://*:113", 'listen = "udp://*:113": ident is not served there; write "tcp://*:113"'),
        ("tcpmux", "udp://*:1", 'listen = "udp://*:1": tcpmux is not served there; write "tcp://*:1"'),
        ("tcpmux", "tcpmux://x", 'listen = "tcpmux://x": tcpmux is not served there; write "tcp://*:1"'),
        ("qotd", "tcp://*:17", 'banner: missing; write banner = "/path/of/quotes"'),
        (
            "echo",
            "unix-dgram:///run/x",
            'listen = "unix-dgram:///run/x": datagrams of unnamed peers cannot be told apart; write "unix:///run/x"',
        ),
    ],
)
def test_not_everything_is_served_everywhere(faults: Faults, builtin: str, listen: str, fault: str) -> None:
    text = f'[services.x]\nlisten = ["{listen}"]\nbuiltin = "{builtin}"\n'
    assert faults(text) == [f"services.x.{fault}"]


def test_an_unknown_builtin_is_the_only_fault(faults: Faults) -> None:
    (fault,) = faults('[services.x]\nlisten = ["udp://*:7"]\nbuiltin = "ehco"\nident_user = "x"\n')
    assert fault.startswith('services.x.builtin = "ehco": not one of its words; write "echo", "discard"')


def test_defaults_for_programs_are_not_for_builtins(write: Write) -> None:
    defaults = (
        '[defaults]\nexec = ["/bin/cat"]\nuser = "nobody"\nmode = "wait"\numask = "077"\nlimit_nofile = 9\n'
        'idle_timeout = "1s"\n'
    )
    one = load(write("superd.toml", defaults + _ECHO)).services["x"]
    assert (one.exec, one.user, one.mode, one.resource_limits) == ((), "", Mode.NOWAIT, {})
    assert one.builtin is Builtin.ECHO
    assert one.idle_timeout_s == 1


def test_idle_clients_of_builtins_are_let_go_unless_told_otherwise(write: Write) -> None:
    assert load(write("superd.toml", _ECHO)).services["x"].idle_timeout_s == BUILTIN_IDLE_S
    text = _ECHO + 'idle_timeout = "infinity"\n'
    assert load(write("superd.toml", text)).services["x"].idle_timeout_s == INFINITY


def test_a_banner_needs_somebody_to_be_sent_to(faults: Faults) -> None:
    text = '[services.x]\nlisten = ["udp://*:7"]\nexec = ["/bin/cat"]\nbanner = "/etc/hello"\n'
    assert faults(text) == [
        'services.x.banner = "/etc/hello": only for stream listeners and builtin = "qotd"; remove it'
    ]


# --- tcpmux ---


def test_a_name_of_tcpmux_is_a_listener(write: Write) -> None:
    text = (
        _MUX + '[services.x]\nlisten = ["tcpmux://+Cat"]\nexec = ["/bin/cat"]\naccess.allow = ["192.0.2.1"]\n'
    )
    config = load(write("superd.toml", text))
    assert config.warnings == ()
    (listen,) = config.services["x"].listen
    assert (listen.scheme, listen.path, listen.greets) == (Scheme.TCPMUX, "cat", True)


@pytest.mark.parametrize(
    ("listen", "fault"),
    [
        ("tcpmux://", 'not a name; write "tcpmux://NAME" or "tcpmux://+NAME"'),
        ("tcpmux://a b", 'not a name; write "tcpmux://NAME" or "tcpmux://+NAME"'),
        ("tcpmux://Help", "tcpmux answers help itself; use another name"),
    ],
)
def test_a_faulty_name_of_tcpmux(faults: Faults, listen: str, fault: str) -> None:
    text = f'[services.x]\nlisten = ["{listen}"]\nexec = ["/bin/cat"]\n'
    assert faults(_MUX + text) == [f'services.x.listen = "{listen}": {fault}']


def test_a_name_of_tcpmux_is_for_one_service(faults: Faults) -> None:
    text = "".join(
        f'[services.{name}]\nlisten = ["{listen}"]\nexec = ["/bin/cat"]\n'
        for name, listen in (("a", "tcpmux://+x"), ("b", "tcpmux://X"))
    )
    assert faults(_MUX + text) == [
        'services.b.listen = "tcpmux://X": services.a listens there too; use another name'
    ]


def test_a_program_that_owns_its_socket_has_no_use_for_tcpmux(faults: Faults) -> None:
    text = '[services.x]\nlisten = ["tcpmux://x"]\nmode = "wait"\nexec = ["/bin/cat"]\n'
    assert faults(_MUX + text) == [
        'services.x.listen = "tcpmux://x": tcpmux hands over connections, which mode = "wait" does not take; '
        'use mode = "nowait"'
    ]


def test_socket_options_are_not_for_who_has_no_socket(faults: Faults) -> None:
    text = '[services.x]\nlisten = ["tcpmux://x"]\nexec = ["/bin/cat"]\nsocket.no_delay = true\n'
    assert faults(_MUX + text) == ["services.x.socket.no_delay = true: only for tcp listeners; remove it"]


def test_tcpmux_that_nobody_can_ask_is_warned_of(write: Write) -> None:
    text = '[services.x]\nlisten = ["tcpmux://x"]\nexec = ["/bin/cat"]\n'
    (warning,) = load(write("superd.toml", text)).warnings
    assert 'no service has builtin = "tcpmux", so nobody can ask for it' in str(warning)


# --- quotes ---


def test_quotes_are_paragraphs_between_lines_of_percent() -> None:
    assert split_quotes("one\n%\ntwo\nlines\n%\n%\n") == (b"one\r\n", b"two\r\nlines\r\n")
    assert split_quotes("100 % sure") == (b"100 % sure\r\n",)


@pytest.mark.parametrize("text", ["", "%\n%\n", "a" * MAX_QUOTE_BYTES, "short\n%\n" + "ä" * 300])
def test_a_file_without_usable_quotes(text: str) -> None:
    with pytest.raises(RejectedError):
        split_quotes(text)


@given(st.text())
def test_any_text_is_quotes_or_a_fault(text: str) -> None:
    try:
        quotes = split_quotes(text)
    except RejectedError:
        return
    assert quotes
    assert all(quote and len(quote) <= MAX_QUOTE_BYTES for quote in quotes)
