"""xinetd.conf as people write it: its form, what xinetd punishes in it, defaults and includes."""

from __future__ import annotations

import pytest
from helpers.imports import imported, surroundings
from helpers.xinetd import defaults, faulty, noted, one, stanza

from superd.config.legacy.carried import Fate
from superd.config.model import Mode

# --- the form of a file ---


def test_a_plain_service_is_carried_whole() -> None:
    service = one("server_args = -u x", "nice = 5", "umask = 27")
    assert [listen.text for listen in service.listen] == ["tcp://*:7000"]
    assert service.exec == ("/bin/cat", "-u", "x")
    assert (service.user, service.mode, service.nice, service.umask) == ("nobody", Mode.NOWAIT, 5, 0o27)
    assert service.enabled


@pytest.mark.parametrize("head", ["service a {", "service a{", "Service a  {"])
def test_a_brace_on_the_line_of_the_name_is_mended(head: str) -> None:
    text = stanza().replace("service a\n{", head)
    found = imported(text + stanza(name="b").replace("7000", "7001"))
    assert list(found.config.services) == ["a", "b"]
    assert noted(found, "opening brace on a line by itself")


def test_a_missing_closing_brace_costs_neither_service() -> None:
    found = imported(stanza().removesuffix("}\n") + stanza(name="b").replace("7000", "7001"))
    assert [service.enabled for service in found.config.services.values()] == [True, True]
    assert noted(found, "service a is not closed")


def test_a_missing_closing_brace_at_the_end_is_mended() -> None:
    found = imported(stanza().removesuffix("}\n"))
    assert found.only().enabled
    assert noted(found, "not closed at the end of the file")


def test_a_closing_brace_behind_a_value_is_mended() -> None:
    assert noted(imported(stanza("nice = 1 }").removesuffix("}\n")), "closing brace on a line by itself")


def test_a_missing_blank_before_the_operator_is_mended() -> None:
    found = imported(stanza("user=root", without="user"))
    assert found.only().user == "root"
    assert noted(found, "wants a blank before the =")


def test_carriage_returns_are_mended() -> None:
    found = imported(stanza("disable = no").replace("\n", "\r\n"))
    assert found.only().enabled
    assert noted(found, "CRLF")


def test_a_comment_behind_a_number_does_not_lose_the_limit() -> None:
    found = imported(stanza("per_source = 10 # at most", "rlimit_cpu = 20 # seconds"))
    assert found.only().limits.max_connections_per_source == 10
    assert found.only().resource_limits["cpu"].soft == 20
    assert noted(found, "takes the comment for values")


def test_a_comment_behind_arguments_is_arguments_as_it_was() -> None:
    found = imported(stanza("server_args = -n # hi"))
    assert found.only().exec == ("/bin/cat", "-n", "#", "hi")
    assert noted(found, "the program is given this one as arguments")


def test_quotes_in_arguments_are_arguments_as_they_were() -> None:
    found = imported(stanza('server_args = -m "a b"'))
    assert found.only().exec == ("/bin/cat", "-m", '"a', 'b"')
    assert noted(found, "knows no quotes")


def test_keywords_and_values_have_no_case() -> None:
    found = imported(stanza("Disable = NO", "FLAGS = nodelay ipv4", "Protocol = TCP"))
    assert found.only().enabled
    assert found.only().socket.no_delay is True
    assert found.only().listen[0].text == "tcp4://*:7000"


def test_an_unknown_attribute_is_a_fault_and_the_service_runs_as_it_did() -> None:
    found = imported(stanza("frobnicate = 3"))
    assert found.only().enabled
    assert faulty(found, "no attribute frobnicate")


def test_of_two_lines_the_first_counts() -> None:
    found = imported(stanza("wait = yes"))
    assert found.only().mode is Mode.NOWAIT
    assert noted(found, "the first counts")


def test_two_addresses_never_become_all_addresses() -> None:
    found = imported(stanza("bind = 127.0.0.1 127.0.0.2"))
    assert not found.only().enabled
    assert faulty(found, "2 values where xinetd wants 1")


@pytest.mark.parametrize(
    "line",
    ["instances = many", "rlimit_cpu = 5s", "flags = DISABLE", "umask = 8", "cps = x y", "nice = 40", "log_type = X",
     "only_from = 127.{1,2}.2.3", "access_times = 8-9", "rlimit_as = 5G", "max_load = -1", "v6only = maybe",
     "env -= A=1"],
)  # fmt: skip
def test_a_value_that_cannot_be_read_switches_the_service_off(line: str) -> None:
    found = imported(stanza(line))
    assert not found.only().enabled
    assert found.says("", Fate.FAULT)


def test_a_group_in_user_is_a_fault() -> None:
    found = imported(stanza("user = root:daemon", without="user"))
    assert not found.only().enabled
    assert faulty(found, "attribute group of its own")


def test_a_line_that_is_no_attribute_switches_the_service_off() -> None:
    found = imported(stanza("include /etc/x"))
    assert not found.only().enabled
    assert faulty(found, "loses all of service a")


def test_garbage_between_services_is_one_fault_and_costs_nothing_else() -> None:
    found = imported("what is this\nand this\n" + stanza())
    assert found.only().enabled
    assert found.said(Fate.FAULT) == [
        "this and all down to line 2 is in no stanza; xinetd wants service, defaults, include or includedir there"
    ]


def test_operators_are_for_sets_alone() -> None:
    assert faulty(imported(stanza("nice += 3")), "ignores += for nice")


def test_comments_of_the_file_stay() -> None:
    assert "# the old cat\n" in imported("# the old cat\n" + stanza()).text


# --- defaults ---


def test_lists_of_defaults_hold_for_services_that_follow_alone() -> None:
    found = imported(
        stanza(name="a") + defaults("only_from = 10.0.0.0") + stanza(name="b").replace("7000", "7001")
    )
    assert found.service("a").access.allow == ()
    assert found.service("b").access.allow == ("10.0.0.0/8",)
    assert noted(found, "only for services that come after")


def test_numbers_of_defaults_hold_for_services_before_them_too() -> None:
    found = imported(stanza() + defaults("instances = 7", "cps = 25 30"))
    assert found.only().limits.max_connections == 7
    assert found.only().limits.rate.count == 25


@pytest.mark.parametrize(
    ("line", "allow", "enabled"),
    [
        ("only_from += 127.0.0.1", ("10.0.0.0/8", "127.0.0.1"), True),
        ("only_from = 127.0.0.1", ("127.0.0.1",), True),
        ("only_from -= 10.0.0.0", None, False),
        ("only_from =", None, False),
    ],
)
def test_operators_work_on_the_lists_of_defaults(
    line: str, allow: tuple[str, ...] | None, enabled: bool
) -> None:
    service = imported(defaults("only_from = 10.0.0.0") + stanza(line)).only()
    assert service.enabled is enabled
    assert allow is None or service.access.allow == allow


def test_in_defaults_every_operator_adds() -> None:
    found = imported(defaults("only_from = 10.0.0.0", "only_from = 127.0.0.1") + stanza())
    assert found.only().access.allow == ("10.0.0.0/8", "127.0.0.1")


def test_a_list_of_defaults_that_a_service_empties_is_open_again() -> None:
    text = defaults("no_access = 10.0.0.0") + stanza("no_access -= 10.0.0.0")
    assert imported(text).only().access.deny == ()


def test_unreadable_access_in_defaults_leaves_everything_off() -> None:
    found = imported(defaults("only_from = 1.2.3.4/99") + stanza())
    assert not found.only().enabled
    assert faulty(found, "does not start with it")


def test_what_defaults_may_not_hold_is_ignored_as_xinetd_does() -> None:
    found = imported(defaults("nice = 3") + stanza())
    assert found.only().nice == 0
    assert noted(found, "ignores nice in defaults")


def test_a_second_block_of_defaults_is_ignored() -> None:
    found = imported(defaults("instances = 3") + defaults("instances = 4") + stanza())
    assert found.only().limits.max_connections == 3
    assert noted(found, "second block of defaults")


def test_enabled_and_disabled_go_by_id() -> None:
    text = defaults("enabled = q r", "disabled = r") + "".join(
        stanza(f"id = {name}", name="x").replace("7000", port)
        for name, port in (("q", "1"), ("r", "2"), ("s", "3"))
    )
    enabled = {name: service.enabled for name, service in imported(text).config.services.items()}
    assert enabled == {"q": True, "r": False, "s": False}


def test_disable_wins_over_enabled() -> None:
    assert not imported(defaults("enabled = a") + stanza("disable = yes")).only().enabled


# --- includes ---


def test_a_folder_is_read_sorted_without_dots_and_tildes() -> None:
    files = {f"/x/{name}": stanza(name=name.replace(".", "-")).replace("7000", str(7000 + index))
             for index, name in enumerate(["b", "a", "web.conf", "old~", ".hidden"])}  # fmt: skip
    found = imported("includedir /x\n", machine=surroundings(files))
    assert list(found.config.services) == ["a", "b"]
    assert found.says("no file with a dot in its name")


def test_files_that_include_each_other_end() -> None:
    machine = surroundings({"/x/a": "include /x/b\n" + stanza(), "/x/b": "include /x/a\n"})
    found = imported("include /x/a\n", machine=machine)
    assert list(found.config.services) == ["a"]
    assert faulty(found, "included within itself")


def test_a_missing_include_is_a_fault_and_the_rest_is_carried() -> None:
    found = imported("includedir /nowhere\n" + stanza())
    assert found.only().enabled
    assert faulty(found, "/nowhere: no such file or directory")
