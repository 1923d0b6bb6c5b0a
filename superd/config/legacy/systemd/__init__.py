"""Socket units of systemd with the services that they start.

``units``       files and drop-ins: sections of assignments
``words``       quotes, escapes, specifiers, command lines
``directives``  the table: what each directive becomes
``sockets``     where a unit listens
``mapping``     both units as one service of superd
"""

from superd.config.legacy.systemd.mapping import read_unit

__all__ = ["read_unit"]
