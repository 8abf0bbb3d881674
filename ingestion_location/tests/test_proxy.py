"""An API far away is reached through the proxy that the environment names, which sees no key."""

import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from databox_shared.settings import load_settings
from ingestion_location.ebird.api import EbirdApi
from ingestion_location.ebird.errors import EbirdError

TOKEN = "token-that-nobody-may-see"
HOST = "ebird.test"


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], tls: Path | None = None) -> Generator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class Api(BaseHTTPRequestHandler):
    """Answers with the key that came."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f'["{self.headers["X-eBirdApiToken"]}"]'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        pass


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[int, Path]]:
    """The port of an API behind TLS, and the certificate that it shows."""
    shown = tmp_path_factory.mktemp("tls") / "ebird.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},DNS:localhost",
         "-keyout", shown, "-out", shown.with_suffix(".crt")],
        check=True, capture_output=True,
    )  # fmt: skip
    with shown.open("a") as both:
        both.write(shown.with_suffix(".crt").read_text())
    with serving(Api, tls=shown) as port:
        yield port, shown


class Proxy:
    """What a proxy was told and what passed through it."""

    def __init__(self, target: int, login: str | None) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.passed = b""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                proxy.asked.append((self.path, self.headers["Proxy-Authorization"]))
                if login is not None and self.headers["Proxy-Authorization"] != login:
                    self.send_error(407)
                    return
                self.send_response(200)
                self.end_headers()
                with socket.create_connection(("127.0.0.1", target)) as there:
                    back = threading.Thread(target=proxy.copy, args=(there, self.connection))
                    back.start()
                    proxy.copy(self.connection, there)
                    back.join()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.handler = Handler

    def copy(self, source: socket.socket, target: socket.socket) -> None:
        # whoever hangs up first ends it
        with suppress(OSError):
            while data := source.recv(65536):
                self.passed += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def far_away(api: tuple[int, Path], monkeypatch: pytest.MonkeyPatch) -> int:
    """The API under a name that only the proxy can find; returns its port."""
    port, shown = api
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(shown.with_suffix(".crt")))
    monkeypatch.setenv("EBIRD_API_TOKEN", TOKEN)
    monkeypatch.setenv("EBIRD_API_URL", f"https://{HOST}:{port}/v2")
    return port


def test_the_api_is_asked_through_a_proxy_with_its_login_and_the_key_stays_sealed(
    far_away: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = f"Basic {b64encode(b'a name:p@ss').decode()}"
    proxy = Proxy(far_away, login)
    with serving(proxy.handler) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://a%20name:p%40ss@127.0.0.1:{port}")
        with EbirdApi(load_settings()) as api:
            assert [api.get(path).body for path in ("a", "b")] == [[TOKEN], [TOKEN]]
    assert proxy.asked == [(f"{HOST}:{far_away}", login)]
    assert len(proxy.passed) > 500
    assert TOKEN.encode() not in proxy.passed


def test_a_proxy_that_refuses_is_an_error_without_its_login(
    far_away: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(far_away, "Basic other")
    with serving(proxy.handler) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://name:pass-of-it@127.0.0.1:{port}")
        with (
            EbirdApi(load_settings(), sleep=lambda _: None) as api,
            pytest.raises(EbirdError, match="gave no answer") as caught,
        ):
            api.get("a")
    assert "pass-of-it" not in str(caught.value)
    assert "bmFtZTpwYXNzLW9mLWl0" not in str(caught.value)


def test_a_host_that_needs_no_proxy_is_asked_without_one(
    far_away: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(far_away, None)
    with serving(proxy.handler) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "localhost")
        monkeypatch.setenv("EBIRD_API_URL", f"https://localhost:{far_away}/v2")
        with EbirdApi(load_settings()) as api:
            assert api.get("a").body == [TOKEN]
    assert proxy.asked == []
