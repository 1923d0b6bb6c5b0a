"""The rows of the table of keys that say who may come, and how many: the policy of a service."""

from __future__ import annotations

from superd.config import kinds, policy_kinds
from superd.config.keys import ADDRESS, FORWARD, NOWAIT, PEERS, STREAM, STREAMS, TCP, Key
from superd.policy.rules import OnExcess

LIMITS = (
    Key("limits", "max_connections", "max_connections", policy_kinds.COUNT, "256",
        "How many connections the service may have at once; with UDP, how many peers.", (NOWAIT,)),
    Key("limits", "max_connections_per_source", "max_connections_per_source", policy_kinds.COUNT, "64",
        "How many of them one source may have at once.", (PEERS,)),
    Key("limits", "rate", "rate", policy_kinds.RATE, '"infinity"',
        "How many connections the service takes in a time. With mode = \"wait\" and \"always\" it is how often the "
        "program may be started. In any window W at most burst + rate * W are admitted."),
    Key("limits", "burst", "burst", kinds.integer(1, policy_kinds.MAX_COUNT), "",
        "How many may come at once, before rate holds. Unless given, the number written in rate."),
    Key("limits", "rate_per_source", "rate_per_source", policy_kinds.RATE, '"infinity"',
        "As rate, for each source by itself.", (PEERS,)),
    Key("limits", "burst_per_source", "burst_per_source", kinds.integer(1, policy_kinds.MAX_COUNT), "",
        "As burst, for each source by itself. Unless given, the number written in rate_per_source.", (PEERS,)),
    Key("limits", "source_prefix_ipv4", "source_prefix_ipv4", kinds.integer(0, 32), "32",
        "How many leading bits of an IPv4 address make one source: with 32 each address is one by itself, with 24 "
        "all 256 of a network are one together.", (ADDRESS, PEERS)),
    Key("limits", "source_prefix_ipv6", "source_prefix_ipv6", kinds.integer(0, 128), "64",
        "The same for IPv6, where a single customer has at least 64 bits to choose addresses from.", (ADDRESS, PEERS)),
    Key("limits", "max_sources", "max_sources", kinds.integer(1, policy_kinds.MAX_COUNT), "100000",
        "How many sources superd keeps in mind at once, which bounds the memory that many of them can take.", (PEERS,)),
    Key("limits", "exempt", "exempt", policy_kinds.NETWORKS, "",
        "Whom these limits do not hold for. Access is asked all the same.", (ADDRESS, PEERS)),
    Key("limits", "on_excess", "on_excess", kinds.choice(OnExcess), '"refuse"',
        "What becomes of a connection that is over a limit. \"refuse\" closes it, \"reset\" closes it with a reset. "
        "\"queue\" leaves it in the kernel's queue while a limit of the whole service is reached, and refuses it "
        "where only its source is over one; see DECISIONS for the danger in that.", (NOWAIT,)),
    Key("limits", "penalty", "penalty_s", kinds.duration(infinite=False), '"0s"',
        "How long a source that was over its rate is refused. Each further offence doubles the time, up to "
        "penalty_max, until the source has kept quiet for penalty_max. With 0s it is refused no longer than "
        "rate_per_source says.", (PEERS,)),
    Key("limits", "penalty_max", "penalty_max_s", kinds.duration(infinite=False), '"10min"',
        "The longest penalty, and the most that a source can be in debt.", (PEERS,)),
    Key("limits", "penalty_failed", "penalty_failed_s", kinds.duration(infinite=False), '"0s"',
        "What a child that ends with a failure adds to the debt of its source. Debt wears off second by second.",
        (PEERS,)),
    Key("limits", "penalty_crashed", "penalty_crashed_s", kinds.duration(infinite=False), '"0s"',
        "What a child that a signal ends adds to the debt of its source. Signals that superd sends do not count.",
        (PEERS,)),
    Key("limits", "penalty_min", "penalty_min_s", kinds.duration(infinite=False), '"15s"',
        "The debt from which on a source is refused, until the debt has worn off. A smaller one is only "
        "remembered.", (PEERS,)),
    Key("limits", "max_load", "max_load", policy_kinds.LOAD, '"infinity"',
        "The load average of the last minute above which nobody is admitted."),
    Key("limits", "banner_limited", "banner_limited", kinds.PATH, "",
        "A file whose text is sent to a client that is refused because of a limit.", (STREAMS, NOWAIT)),
)  # fmt: skip

ACCESS = (
    Key("access", "allow", "allow", policy_kinds.HOSTS, "",
        "Who may come; nobody else may. Unless given, everyone.", (ADDRESS, PEERS)),
    Key("access", "deny", "deny", policy_kinds.HOSTS, "",
        "Who may not. The most specific match of allow and deny decides, and a tie denies; a name counts as a "
        "single address.", (ADDRESS, PEERS)),
    Key("access", "hours", "hours", policy_kinds.HOURS, "",
        "When the service may be used, in the time of this machine. Unless given, always.", (PEERS,)),
    Key("access", "hosts_access", "hosts_access", kinds.BOOLEAN, "false",
        "Whether /etc/hosts.allow and /etc/hosts.deny are asked too, as hosts_access(5) has it.", (ADDRESS, PEERS)),
    Key("access", "banner_denied", "banner_denied", kinds.PATH, "",
        "A file whose text is sent to a client that is refused by address, hosts_access or hours.", (STREAMS, NOWAIT)),
)  # fmt: skip

PROXY_PROTOCOL = (
    Key("proxy_protocol", "accept_from", "accept_from", policy_kinds.NETWORKS, "",
        "The proxies whose connections begin with a PROXY header, version 1 or 2, that names the real client. From "
        "them it is required; from others it is never believed.", (TCP, NOWAIT)),
    Key("proxy_protocol", "timeout", "timeout_s", kinds.duration(low_s=0.001, infinite=False), '"5s"',
        "How long the header may take to arrive; less where so many wait for theirs that others need the room.",
        (TCP, NOWAIT)),
    Key("proxy_protocol", "send", "send", kinds.integer(1, 2), "",
        "The version of the PROXY header that a backend is sent first, so that it knows its client. Unless given, "
        "none is sent.", (FORWARD, STREAM)),
)  # fmt: skip
