"""Makes the embedded corpus from Debian's packages ``libreoffice-help-*``.

The result is part of the repository: users never run this. To make it again, with the packages of
the sixteen languages installed (``apt install libreoffice-help-en-us libreoffice-help-de ...``)::

    python tools/make_libreoffice_help.py

or with the packages only unpacked (``dpkg-deb --extract``), their folders named by ``--help-root``
and their version by ``--version``. It writes tables for translation, tagging, answering and
classification in the schemas of the public data sets, ``CHECKSUMS``, the licences and
``SOURCE.md``. The same packages and pyarrow give the same bytes. The rules stand in the modules of
``tools/libreoffice_help``.
"""

from libreoffice_help.make import main

if __name__ == "__main__":
    main()
