"""An account's statement, and one job's invoice, for whoever the money is: nobody else's names and jobs."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from ledger.books.statements import Statement, statement
from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.identity import Address, BidId, from_text, text
from node.api.authentication import Forbidden
from node.api.services import Number, Services
from node.statement_files import CSV_TYPE, HTML_TYPE, PAGE_POLICY, to_csv, to_page
from node.statement_view import statement_plain

END_OF_TIME = 1 << 36
"""a second that people can still read as a date"""


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["accounts"])

    @router.get(
        "/v1/accounts/{address}/statement",
        responses={200: {"content": {"text/csv": {}, "text/html": {}}}},
    )
    def account_statement(
        request: Request, address: str, since: Number = 0, until: Number = END_OF_TIME, job: str = ""
    ) -> Response:
        """What was posted to an account from `since` to before `until`, or of one `job`; as JSON, CSV or a
        page to print, as `Accept` asks. A job that nothing was paid for must at least be known."""
        account = Address(from_text(address, 20))
        _check_caller(services, request, account)
        if not since < until <= END_OF_TIME:
            raise Rejected("malformed-period", "The period is empty.", "Give `since` below `until`.")
        named = BidId(from_text(job, 32)) if job else None
        found = statement(services.books, account, since, until, named)
        if named is not None and not found.lines:
            services.job(job)
        return _answer(services, request.headers.get("accept", ""), found)

    return router


def _check_caller(services: Services, request: Request, account: Address) -> None:
    """The account itself, or a key that acts for it."""
    caller, now = services.signed_by(request, b"", None, "anybody"), services.now()
    if not any(services.delegates.may(role, account, caller, now) for role in Role):
        raise Forbidden(caller, f"the account {text(account)} (or a key that acts for it)")


def _answer(services: Services, accepted: str, found: Statement) -> Response:
    decimals = int(str(services.market["decimals"]))
    if "text/html" in accepted:
        page = to_page(found, decimals, services.now())
        return Response(page, media_type=HTML_TYPE, headers={"Content-Security-Policy": PAGE_POLICY})
    if "text/csv" in accepted:
        return Response(to_csv(found, decimals), media_type=CSV_TYPE)
    return JSONResponse(statement_plain(found, decimals))
