"""Errors on the wire: each of ours becomes one problem document (RFC 9457), nothing else leaves the node."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ledger.market.errors import MarketError

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


def problem(status: int, code: str, cause: str, remedy: str, facts: dict[str, object]) -> JSONResponse:
    """A problem document; `facts` are members of their own, never overriding the standard ones."""
    body = facts | {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "cause": cause,
        "remedy": remedy,
    }
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE)


def of_error(error: MarketError) -> JSONResponse:
    return problem(error.http_status, error.code, error.cause, error.remedy, error.facts)


def install(app: FastAPI) -> None:
    """Answer every failure with a problem document; a traceback goes to the log alone."""

    async def ours(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, MarketError)
        return of_error(error)

    async def malformed(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem(
            422, "malformed-request", f"{where}: {first['msg']}.", "See /docs for what the call takes.", {}
        )

    async def standard(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return problem(
            error.status_code, "http-error", f"{error.detail}.", "See /docs for the calls there are.", {}
        )

    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(
            500, "internal-error", "The node failed in a way it did not foresee.", "Tell its operator.", {}
        )

    app.add_exception_handler(MarketError, ours)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, standard)
    app.add_exception_handler(Exception, unforeseen)
