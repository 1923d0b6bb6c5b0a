"""What superd serves by itself: the small services of old, inside the process that accepts, without privilege.

``texts`` and ``conversations`` are pure: bytes in, bytes out. ``streams`` and ``answers`` drive them over connections
and datagrams; ``ident`` and ``tcpmux`` have their protocols to themselves. ``serving`` puts all of it together.
"""
