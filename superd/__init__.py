"""superd: a super-server. Privileged ports for programs that never had a privilege."""

__version__ = "0.1.0"
