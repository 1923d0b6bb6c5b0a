"""What a spawner and its caller say to each other, packet by packet.

The spawner: first the settings, then ``(CALL, …)`` with a connection and a pipe for the log, or
``(KILL, pid, signal)``, all marshalled; and ``(NAMED,)`` after each call where the settings say that it comes.
The caller: READY or FAILED and why; then PID for each call, and ENDED, some in one packet. A packet's length tells the
last two from each other.
"""

from __future__ import annotations

import struct

CALL, KILL, NAMED = 1, 2, 3
READY, FAILED = b"R", b"F"
PID = struct.Struct("=i")
"""The child's; negative: an errno."""
ENDED = struct.Struct("=iidq")
"""Pid, wait status, seconds of processor time, peak memory in KiB."""
REQUEST_BYTES = 64 * 1024
"""No packet is longer …"""
CALL_BYTES = 4 * 1024
"""… and no call."""
