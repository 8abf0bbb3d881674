"""The server: routes, keys, and one place where every failure becomes eBird's kind of error.

This module must never let a traceback out, and must never know what an endpoint answers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ebird_sandbox import api_obs, api_product, api_ref
from ebird_sandbox.admin import Admin
from ebird_sandbox.broken import broken, failure
from ebird_sandbox.endpoints import Api, Endpoint
from ebird_sandbox.faults import Fault, Faults
from ebird_sandbox.openapi import document
from ebird_sandbox.page import home_page
from ebird_sandbox.remembered import WORTH_SECONDS, Remembered
from ebird_sandbox.replies import ApiError, error_reply, forbidden_reply, json_reply, no_endpoint
from ebird_sandbox.requestlog import RequestLog, without_key

BASES = ("/v2", "/ws2.0")
ENDPOINTS = (*api_obs.ENDPOINTS, *api_product.ENDPOINTS, *api_ref.ENDPOINTS)
KEY_HEADER = "x-ebirdapitoken"
_log = logging.getLogger(__name__)


@dataclass
class Serving:
    """What the server needs besides the world."""

    token: str | None = None
    """The only key that opens it; without one, any key does."""
    admin: bool = False
    faults: Sequence[Fault] = ()


def create_app(api: Api, serving: Serving | None = None) -> Starlette:
    """The application."""
    serving = serving or Serving()
    log = RequestLog()
    faults = Faults(api.world.seed, [endpoint.name for endpoint in ENDPOINTS], serving.faults)
    desk = _Desk(api, serving.token, faults, log)
    routes = [
        Route(base + _route_of(endpoint), desk.serving(endpoint), methods=["GET"])
        for base in BASES
        for endpoint in ENDPOINTS
    ]
    routes.append(Route("/openapi.json", desk.openapi, methods=["GET"]))
    routes.append(Route("/", desk.home, methods=["GET"]))
    routes += Admin(api, faults, log).routes() if serving.admin else []
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _http_error, Exception: _crash},
    )
    app.router.redirect_slashes = False
    return app


class _MaybeNothing(StringConvertor):
    regex = "[^/]*"


register_url_convertor("maybe_nothing", _MaybeNothing())


def _route_of(endpoint: Endpoint) -> str:
    """The path to listen at. Observations by ``r`` are asked for with an empty region."""
    return endpoint.path.replace("/obs/{r}/", "/obs/{r:maybe_nothing}/")


@dataclass(frozen=True)
class _Desk:
    """Where every request of the API arrives: key, faults, the answer, the log."""

    api: Api
    token: str | None
    faults: Faults
    log: RequestLog
    remembered: Remembered = field(default_factory=Remembered)

    def serving(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            target = without_key(request.url.path, request.url.query)
            hit = self.faults.decide(endpoint.name, target)
            response = failure(hit) if hit else None
            if response is None:
                response = await self._right(endpoint, request, target)
                if hit:
                    response = broken(hit, response)
            self.log.note(endpoint.name, target, response.status_code, hit.kind if hit else None)
            return response

        return answer

    async def openapi(self, request: Request) -> Response:
        """The API's description of itself."""
        url = str(request.base_url).rstrip("/") + BASES[0]
        return json_reply(request, document(ENDPOINTS, url))

    async def home(self, request: Request) -> Response:
        """The page that says what this is."""
        url = str(request.base_url).rstrip("/") + BASES[0]
        return HTMLResponse(home_page(self.api.world, self.api.regions, ENDPOINTS, url))

    async def _right(self, endpoint: Endpoint, request: Request, target: str) -> Response:
        if endpoint.needs_key and not self._opens(request):
            return forbidden_reply()
        state = (id(self.api.world), self.api.world.version)
        words = f"{target} {request.headers.get('accept-encoding', '')}"
        known = self.remembered.get(state, words)
        if known is not None:
            return known
        begin = perf_counter()
        try:
            if endpoint.many_days:
                loop, worker = asyncio.get_running_loop(), self.api.worker
                answer = await loop.run_in_executor(worker, endpoint.handler, self.api, request)
            else:
                answer = endpoint.handler(self.api, request)
        except ApiError as error:
            return error_reply(error, endpoint.command)
        if perf_counter() - begin > WORTH_SECONDS:
            self.remembered.keep(state, words, answer)
        return answer

    def _opens(self, request: Request) -> bool:
        key = request.headers.get(KEY_HEADER) or request.query_params.get("key")
        return bool(key) if self.token is None else key == self.token


async def _http_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:  # noqa: PLR2004
        title = f"Request method '{request.method}' not supported"
        answer = error_reply(ApiError(405, "http.status.405", title))
        answer.headers.update(error.headers or {})
        return answer
    return error_reply(no_endpoint(request.method, request.url.path))


async def _crash(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_reply(ApiError(500, "http.status.500", "Internal error."))
