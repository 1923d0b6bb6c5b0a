"""Files of other super-servers, read as superd's own.

``detect``       what kind of file is it?
``inetd`` ``xinetd``  an importer each: from bytes to a ``Carried``
``fitting``      what superd's own checks say of it
``write``        a superd.toml for people
``report``       what became of each line
"""
