"""xinetd.conf and xinetd.d.

``parse``       stanzas of attributes, with their lines
``files``       with all that is included
``attributes``  the table: how each attribute is read, and what it becomes
``resolve``     what holds for each service in the end
``mapping``     that as a service of superd
``importer``    all of it together
"""

from superd.config.legacy.xinetd.importer import read_xinetd

__all__ = ["read_xinetd"]
