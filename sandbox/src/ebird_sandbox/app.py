"""The server: routes, keys, and one place where every failure becomes eBird's kind of error.

This module must never let a traceback out, and must never know what an endpoint answers.
"""

import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ebird_sandbox import api_obs, api_product, api_ref
from ebird_sandbox.endpoints import Api, Endpoint
from ebird_sandbox.replies import ApiError, error_reply, forbidden_reply, no_endpoint

BASES = ("/v2", "/ws2.0")
ENDPOINTS = (*api_obs.ENDPOINTS, *api_product.ENDPOINTS, *api_ref.ENDPOINTS)
KEY_HEADER = "x-ebirdapitoken"
_log = logging.getLogger(__name__)


def create_app(api: Api, token: str | None = None) -> Starlette:
    """The application; with a token, only that key opens it."""
    routes = [
        Route(base + endpoint.path, _endpoint(api, endpoint, token), methods=["GET"])
        for base in BASES
        for endpoint in ENDPOINTS
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _http_error, Exception: _crash},
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(
    api: Api, endpoint: Endpoint, token: str | None
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if endpoint.needs_key and not _opens(request, token):
            return forbidden_reply()
        try:
            return endpoint.handler(api, request)
        except ApiError as error:
            return error_reply(error)

    return answer


def _opens(request: Request, token: str | None) -> bool:
    key = request.headers.get(KEY_HEADER) or request.query_params.get("key")
    return bool(key) if token is None else key == token


async def _http_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:  # noqa: PLR2004
        title = f"Request method '{request.method}' not supported"
        return error_reply(ApiError(405, "http.status.405", title))
    return error_reply(no_endpoint(request.method, request.url.path))


async def _crash(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_reply(ApiError(500, "http.status.500", "Internal error."))
