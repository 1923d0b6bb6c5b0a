"""inetd.conf of every dialect.

``dialects``    what the inetds differ in
``lines``       the file as a whole, with what holds from one line to the next
``positional`` ``keyvalue``  the two notations of an entry
``listeners`` ``accounts`` ``programs`` ``limits``  the parts of an entry, as superd has them
``mapping``     all of an entry
``services``    entries as services: which belong together, what they are called
"""

from superd.config.legacy.inetd.services import read_inetd

__all__ = ["read_inetd"]
