"""`python -m databox_workspace.supervise COMMAND …`: a server that ends when its starter does.

Its standard input is a pipe from the starter. When that closes, because the starter stopped the
server or was killed in any way, the server is asked to end, and then everything in its session
is killed: a code server's run workers do not end with it. Standard library only: it starts in no
time, and nothing of Dagster runs in it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

STOP_SECONDS = 15.0


def main(command: list[str]) -> None:
    """Run the command until it or the starter ends; leaves nothing of the session behind."""
    # a shell that starts us with `&` ignores SIGINT, Dagster maps SIGTERM to SIGINT's handler, and
    # a server that inherited the two would ignore both
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_starter, args=(server,), daemon=True).start()
    code = server.wait()
    if code:
        sys.stderr.write(f"{command[0]} ended with code {code}\n")
        sys.stderr.flush()
    # the group is our own session: this ends run workers that are left, and us
    os.killpg(0, signal.SIGKILL)


def _end_with_starter(server: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    finally:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
