import asyncio
import json
from http import HTTPStatus

import httpx
from fastapi import FastAPI

from ledger.market.errors import Broken, LostRace, Rejected, Unavailable
from node.api import problems


def test_each_kind_of_error_has_its_status_and_says_cause_and_remedy() -> None:
    for kind, status in ((Rejected, 422), (LostRace, 409), (Unavailable, 503), (Broken, 500)):
        answer = problems.of_error(kind("some-code", "Why.", "What to do.", needed="5"))
        assert answer.status_code == status
        assert answer.media_type == "application/problem+json"
        body = json.loads(bytes(answer.body))
        assert body == {
            "type": "about:blank",
            "title": body["title"],
            "status": status,
            "code": "some-code",
            "cause": "Why.",
            "remedy": "What to do.",
            "needed": "5",
        }


def test_a_fact_never_overrides_a_standard_member() -> None:
    body = json.loads(bytes(problems.of_error(Rejected("c", "Why.", "Do.", status=200, title="x")).body))
    assert (body["status"], body["title"]) == (422, HTTPStatus(422).phrase)


def test_what_nobody_foresaw_shows_no_traceback() -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError("secret")

    async def ask(path: str) -> httpx.Response:
        door = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=door, base_url="http://node") as client:
            return await client.get(path)

    answer, missing = asyncio.run(ask("/broken")), asyncio.run(ask("/nowhere"))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "secret" not in answer.text
    assert (missing.status_code, missing.json()["code"]) == (404, "http-error")
