"""What a supervised server leaves behind when its starter is killed: nothing."""

import os
import subprocess
import sys

# it says that it runs, and then waits to be killed
STARTER = """
import subprocess, sys

server = [sys.executable, "-m", "databox_workspace.supervise", "sh", "-c", sys.argv[1]]
said = int(sys.argv[2])
subprocess.Popen(server, stdin=subprocess.PIPE, stdout=said, start_new_session=True)
print("started", flush=True)
sys.stdin.read()
"""
# the server and its worker hold the pipe open for as long as they live
SERVER = "sleep 600 & echo alive; wait"


def test_a_server_and_its_workers_end_when_the_starter_is_killed() -> None:
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb", buffering=0) as alive,
        subprocess.Popen(
            [sys.executable, "-c", STARTER, SERVER, str(writer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(writer,),
        ) as starter,
    ):
        os.close(writer)
        assert alive.readline() == b"alive\n"
        starter.kill()
        starter.wait()
        # the end of the file comes when the last process that holds the pipe has gone
        assert alive.read() == b""
