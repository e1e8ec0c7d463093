from dataclasses import replace

import pytest

from ledger.chain.keys import LocalKey
from ledger.chain.sessions import LONGEST_SECONDS
from ledger.chain.typed_data import Domain, keccak, request_digest, request_message, session_message
from ledger.market.identity import text
from node.api.authentication import MOST_AHEAD_SECONDS, Authentication, Credentials, Unauthenticated
from tests.factories import NOW, an_address

DOMAIN = Domain(chain_id=77, market=an_address("market"))
KEY = LocalKey(b"\x01" * 32)
OTHER = LocalKey(b"\x02" * 32)
SESSION = LocalKey(b"\x03" * 32)
BODY = b'{"a":1}'
TARGET = "/v1/bids?x=1"


def signed(nonce: int = 5, deadline: int = NOW + 60, key: LocalKey = KEY) -> Credentials:
    digest = request_digest(DOMAIN, "POST", TARGET, keccak(BODY), nonce, deadline)
    return Credentials(
        address=text(key.address),
        nonce=str(nonce),
        deadline=str(deadline),
        signature=text(key.sign(digest)),
    )


def code_of(given: Credentials, method: str = "POST", target: str = TARGET, body: bytes = BODY) -> str:
    with pytest.raises(Unauthenticated) as caught:
        Authentication(DOMAIN).caller(given, method, target, body, NOW)
    assert caught.value.http_status == 401
    return caught.value.code


def test_a_signed_request_names_its_caller() -> None:
    assert Authentication(DOMAIN).caller(signed(), "POST", TARGET, BODY, NOW) == KEY.address


def test_the_signature_covers_method_target_and_body() -> None:
    assert code_of(signed(), method="PUT") == "bad-signature"
    assert code_of(signed(), target="/v1/bids") == "bad-signature"
    assert code_of(signed(), body=b"{}") == "bad-signature"


def test_another_account_or_market_is_refused() -> None:
    assert code_of(replace(signed(), address=text(OTHER.address))) == "bad-signature"
    elsewhere = Authentication(Domain(chain_id=78, market=DOMAIN.market))
    with pytest.raises(Unauthenticated):
        elsewhere.caller(signed(), "POST", TARGET, BODY, NOW)


def by_session(until: int, account: LocalKey = KEY, nonce: int = 5) -> Credentials:
    """A request that the account's session signed, granted up to `until`."""
    request = request_message(DOMAIN, "POST", TARGET, keccak(BODY), nonce, NOW + 60)
    grant = session_message(DOMAIN, account.address, SESSION.address, until)
    signature = SESSION.sign_typed(request) + SESSION.address
    signature += until.to_bytes(5, "big") + account.sign_typed(grant)
    return replace(signed(nonce), signature=text(signature))


def test_a_session_signs_for_the_account_that_granted_it() -> None:
    caller = Authentication(DOMAIN).caller(by_session(NOW + LONGEST_SECONDS), "POST", TARGET, BODY, NOW)
    assert caller == KEY.address


def test_a_session_signs_for_nobody_else_and_not_for_ever() -> None:
    assert code_of(by_session(NOW + 60, OTHER)) == "bad-signature"
    assert code_of(by_session(NOW + 60), target="/v1/bids") == "bad-signature"
    assert code_of(by_session(NOW - 1)) == "session-over"
    assert code_of(by_session(NOW + LONGEST_SECONDS + 301)) == "session-over"
    cut = by_session(NOW + 60)
    assert code_of(replace(cut, signature=cut.signature[:-2])) == "malformed-hex"


def test_a_request_of_a_session_serves_once_too() -> None:
    door = Authentication(DOMAIN)
    door.caller(by_session(NOW + 60), "POST", TARGET, BODY, NOW)
    for again in (by_session(NOW + 61), signed()):
        with pytest.raises(Unauthenticated) as caught:
            door.caller(again, "POST", TARGET, BODY, NOW)
        assert caught.value.code == "replayed-request"


def test_a_request_serves_once() -> None:
    door = Authentication(DOMAIN)
    door.caller(signed(), "POST", TARGET, BODY, NOW)
    with pytest.raises(Unauthenticated) as caught:
        door.caller(signed(), "POST", TARGET, BODY, NOW)
    assert caught.value.code == "replayed-request"
    door.caller(signed(nonce=6), "POST", TARGET, BODY, NOW)
    door.caller(signed(key=OTHER), "POST", TARGET, BODY, NOW)


def test_spent_nonces_are_kept_until_their_deadline_however_many_come() -> None:
    door = Authentication(DOMAIN)
    door.caller(signed(), "POST", TARGET, BODY, NOW)
    for nonce in range(20_000):
        door._spend(OTHER.address, nonce, NOW - 1, NOW)
    with pytest.raises(Unauthenticated):
        door.caller(signed(), "POST", TARGET, BODY, NOW)
    assert len(door._spent) < 20_000


def test_a_wrong_clock_is_told_the_nodes_time() -> None:
    for deadline, code in ((NOW - 1, "request-expired"), (NOW + MOST_AHEAD_SECONDS + 1, "clock-skewed")):
        with pytest.raises(Unauthenticated) as caught:
            Authentication(DOMAIN).caller(signed(deadline=deadline), "POST", TARGET, BODY, NOW)
        assert (caught.value.code, caught.value.facts["time"]) == (code, NOW)
    Authentication(DOMAIN).caller(signed(deadline=NOW), "POST", TARGET, BODY, NOW)
    Authentication(DOMAIN).caller(signed(deadline=NOW + MOST_AHEAD_SECONDS), "POST", TARGET, BODY, NOW)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (Credentials(address="", nonce="", deadline="", signature=""), "unsigned-request"),
        (replace(signed(), nonce="x"), "malformed-credentials"),
        (replace(signed(), nonce="٣"), "malformed-credentials"),
        (replace(signed(), deadline="9" * 5_000), "malformed-credentials"),
        (replace(signed(), deadline="9" * 20), "clock-skewed"),
        (replace(signed(), address="0x12"), "malformed-hex"),
        (replace(signed(), signature="0x" + "ff" * 64), "bad-signature"),
        (replace(signed(), signature="0x00"), "malformed-hex"),
    ],
)
def test_malformed_credentials_are_refused_as_such(given: Credentials, code: str) -> None:
    assert code_of(given) == code
