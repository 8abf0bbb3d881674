"""How many checklist views a second one sandbox process serves, beside a reference.

The reference is a bare Starlette app in a process of its own that returns one constant JSON of the
same size. Both are asked in turn by the same client, so that the ratio says what the sandbox itself
costs, whatever the machine is doing. Run: ``uv run python benchmarks/sandbox_views.py``.
"""

import http.client
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ebird_sandbox.process import running_sandbox

DAY = date(2026, 5, 17)
ROUNDS, VIEWS, WANTED = 7, 600, 300
REFERENCE = """
import socket, sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

value = {"text": "x" * int(sys.argv[1])}

async def answer(request):
    return JSONResponse(value)

listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
app = Starlette(routes=[Route("/{rest:path}", answer)])
uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False)).run([listener])
"""


@contextmanager
def reference(size: int) -> Generator[str]:
    command = [sys.executable, "-c", REFERENCE, str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def per_second(url: str, paths: list[str]) -> float:
    """How many of the paths one connection gets in a second."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    begin = perf_counter()
    for path in paths:
        connection.request("GET", parts.path + path, headers={"X-eBirdApiToken": "any"})
        answer = connection.getresponse()
        assert answer.status == http.HTTPStatus.OK
        answer.read()
    return len(paths) / (perf_counter() - begin)


def mean_size(url: str, paths: list[str]) -> int:
    headers = {"X-eBirdApiToken": "any"}
    requests = (Request(url + path, headers=headers) for path in paths)
    return sum(len(urlopen(request).read()) for request in requests) // len(paths)


def listed(url: str) -> list[str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    path = f"{parts.path}/product/lists/US-PA/{DAY:%Y/%m/%d}?maxResults=200"
    connection.request("GET", path, headers={"X-eBirdApiToken": "any"})
    return [row["subId"] for row in json.loads(connection.getresponse().read())]


def main() -> int:
    with running_sandbox(today=date(2026, 5, 20)) as sandbox:
        views = [f"/product/checklist/view/{sub}" for sub in listed(sandbox.url)]
        paths = (views * (VIEWS // len(views) + 1))[:VIEWS]
        size = mean_size(sandbox.url, views)
        with reference(size) as url:
            rates = [
                (per_second(sandbox.url, paths), per_second(url, paths)) for _ in range(ROUNDS)
            ]
    here, there = median(rate for rate, _ in rates), median(rate for _, rate in rates)
    ratio = median(rate / other for rate, other in rates)
    print(f"sandbox   {here:7.0f} views/s (wanted: {WANTED})")
    print(f"reference {there:7.0f} answers/s of {size} bytes")
    print(f"ratio     {ratio:7.2f}")
    return 0 if here >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
