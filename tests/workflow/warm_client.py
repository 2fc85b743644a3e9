"""Hand this process's command line to `warm.py`'s process, and end as the fork of it ends.

Arguments are those of `python`: -m, a module and its options. It imports next to nothing.
"""

import os
import socket
import sys

FAILED = 70

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(os.environ["WARM_SOCKET"])
    settings = [f"{name}={value}" for name, value in os.environ.items()]
    folder = os.getcwd()  # noqa: PTH109 - to import pathlib takes longer than all this
    words = [folder, str(len(sys.argv) - 1), *sys.argv[1:], *settings]
    told = "\0".join(words).encode(errors="surrogateescape")
    socket.send_fds(connection, [b"%8d" % len(told)], [1, 2])
    connection.sendall(told)
    status = connection.recv(8)
sys.exit(int(status) if status else FAILED)
