import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import bid_id, withdrawal_digest
from ledger.market.bid import SignedBid
from ledger.market.delegation import Role
from ledger.market.facts import JobPhase
from ledger.market.identity import NOBODY, Address, LeaseId, from_text, text
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import JobState
from ledger.market.outbox import IntentState
from ledger.market.withdrawal import Withdrawal
from node.trading.delegates import REMEMBER_SECONDS
from tests.factories import a_job, an_address
from tests.fakes.node_server import NodeServer, order_plain
from tests.fakes.node_twin import BUYER, DOMAIN, NODE, OTHER, STAKE, NodeTwin

PROVIDER = an_address("provider")


@pytest.fixture
def offer(node: NodeTwin) -> str:
    """A live offer of `PROVIDER`."""
    name = node.lend()
    node.beat(name)
    node.seal()
    return text(name)


def delegate(node: NodeTwin, key: LocalKey = OTHER, roles: Role = Role.SPEND) -> None:
    """The buyer lets the key act for it."""
    until = node.now + 1_000
    node.pending += node.model.set_delegate(BUYER.address, key.address, int(roles), 5_000_000, until)
    node.seal()


def submit(server: NodeServer, **changes: Any) -> httpx.Response:
    """An order of the buyer, for now or never; `changes` are the bid's."""
    document, attempts = server.twin.signed(a_job(), **changes)
    return server.call("POST", "/v1/bids", order_plain(document, attempts), key=BUYER)


def wait_for_less(server: NodeServer, **changes: Any) -> str:
    """An order of the buyer that rests, as nobody lends so cheaply; the job."""
    document, attempts = server.twin.signed(a_job(max_rate=1_102_399), **changes)
    answer = server.call("POST", "/v1/bids", order_plain(document, attempts, 60), key=BUYER)
    assert answer.status_code == 201, answer.json()
    return str(answer.json()["job"])


def opened(server: NodeServer, **changes: Any) -> tuple[str, LeaseId]:
    """A job of the buyer that runs, and its lease; five seconds were reported."""
    job = submit(server, **changes).json()["job"]
    server.twin.mine()
    server.twin.seal()
    lease = LeaseId(from_text(server.call("GET", f"/v1/jobs/{job}").json()["lease"], 32))
    server.twin.say(lease, JobPhase.RUNNING)
    server.twin.now += 10
    server.twin.settlement.report(server.twin.used(lease, 5_000))
    return job, lease


def check(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert body["cause"]
    assert body["remedy"]
    return body


class TestAccounts:
    def test_an_account_shows_its_money_nonces_and_delegates(self, server: NodeServer, offer: str) -> None:
        delegate(server.twin)
        _, lease = opened(server)
        wait_for_less(server, nonce=3)
        shown = server.call("GET", f"/v1/accounts/{text(BUYER.address)}").json()
        row = server.twin.lease(lease)
        assert shown["balance"] == str(10_000_000 - row.escrow)
        assert int(shown["reserved"]) > 0
        assert shown["epoch"] == "0"
        assert shown["next_nonce"] == "0"
        assert shown["permit_nonce"] == "0"
        assert (shown["unstaking"], shown["unlock_at"], shown["stake"], shown["locked"]) == ("0", 0, "0", "0")
        (found,) = shown["delegates"]
        assert found["key"] == text(OTHER.address)
        assert (found["roles"], found["allowance"]) == (int(Role.SPEND), "5000000")

    def test_the_next_nonce_is_no_waiting_orders(self, server: NodeServer, offer: str) -> None:
        for nonce in (0, 1):
            wait_for_less(server, nonce=nonce)
        shown = server.call("GET", f"/v1/accounts/{text(BUYER.address)}").json()
        assert shown["next_nonce"] == "2"

    def test_a_provider_shows_what_is_locked_and_what_it_asked_back(
        self, server: NodeServer, offer: str
    ) -> None:
        node = server.twin
        _, lease = opened(server)
        node.pending += node.model.request_unstake(PROVIDER, 1_000, node.now)
        node.seal()
        shown = server.call("GET", f"/v1/accounts/{text(PROVIDER)}").json()
        lock = node.lease(lease).lock
        assert lock > 0
        assert (shown["stake"], shown["locked"]) == (str(STAKE - lock - 1_000), str(lock))
        assert shown["unstaking"] == "1000"
        assert shown["unlock_at"] > node.now

    def test_a_malformed_address_is_refused(self, server: NodeServer) -> None:
        check(server.call("GET", "/v1/accounts/0x12"), 422, "malformed-hex")


class TestMarket:
    def test_a_pause_and_its_end_are_shown(self, server: NodeServer) -> None:
        node = server.twin
        assert server.call("GET", "/v1/market").json()["paused_until"] == 0
        node.pending += node.model.pause(NODE.address, node.now)
        node.seal()
        assert server.call("GET", "/v1/market").json()["paused_until"] > node.now
        node.pending += node.model.unpause(NODE.address, node.now)
        node.seal()
        assert server.call("GET", "/v1/market").json()["paused_until"] == 0

    def test_a_guardian_who_renounced_is_nobody(self, server: NodeServer) -> None:
        node = server.twin
        assert server.call("GET", "/v1/market").json()["guardian"] == text(NODE.address)
        node.pending += node.model.renounce_guardian(NODE.address)
        node.seal()
        assert server.call("GET", "/v1/market").json()["guardian"] == text(NOBODY)


class TestProviders:
    def test_a_provider_shows_its_reputation_stake_and_offers(self, server: NodeServer, offer: str) -> None:
        (shown,) = server.call("GET", "/v1/providers").json()["providers"]
        assert shown == server.call("GET", f"/v1/providers/{text(PROVIDER)}").json()
        assert (shown["provider"], shown["offers"]) == (text(PROVIDER), [offer])
        assert (shown["stake"], shown["locked"]) == (str(STAKE), "0")
        assert shown["reputation"]["per_mille"] == 0
        (listed,) = server.call("GET", "/v1/offers").json()["offers"]
        assert listed["reputation"] == 0

    def test_a_no_show_weighs_on_the_reputation(self, server: NodeServer, offer: str) -> None:
        node = server.twin
        submit(server, signer=BUYER.address)
        node.mine()
        node.seal()
        node.now += 600 + 62
        node.settlement.sweep(node.now)
        node.mine()
        node.seal()
        shown = server.call("GET", f"/v1/providers/{text(PROVIDER)}").json()
        assert shown["reputation"]["no_shows"] == 1
        node.rewind(1)
        shown = server.call("GET", f"/v1/providers/{text(PROVIDER)}").json()
        assert shown["reputation"]["no_shows"] == 0

    def test_who_never_lent_is_unknown(self, server: NodeServer, offer: str) -> None:
        check(server.call("GET", f"/v1/providers/{text(BUYER.address)}"), 404, "unknown-provider")


class TestRelay:
    def test_a_buyer_without_coin_deposits_and_withdraws(self, server: NodeServer) -> None:
        node = server.twin
        node.tokens[OTHER.address] = 500
        permit = node.sign_permit(OTHER, 500, node.now + 600)
        answer = server.call("POST", "/v1/relay/deposits", deposit_plain(permit.amount, permit))
        assert answer.status_code == 202
        relay = answer.json()["relay"]
        assert server.call("GET", f"/v1/relay/{relay}").json() == {
            "relay": relay,
            "state": IntentState.PENDING.value,
            "transaction": None,
            "cause": "",
        }
        node.mine()
        assert server.call("GET", f"/v1/relay/{relay}").json()["state"] == "done"

        answer = server.call("POST", "/v1/relay/withdrawals", withdrawal_plain(node.now + 600))
        assert answer.status_code == 202
        node.mine()
        assert server.call("GET", f"/v1/relay/{answer.json()['relay']}").json()["state"] == "done"
        assert node.balance_of(OTHER.address) == 100

    def test_what_was_changed_on_the_way_is_refused(self, server: NodeServer) -> None:
        node = server.twin
        node.tokens[OTHER.address] = 500
        permit = node.sign_permit(OTHER, 400, node.now + 600)
        body = deposit_plain(500, permit)
        check(server.call("POST", "/v1/relay/deposits", body), 422, "bad-signature")
        body = withdrawal_plain(node.now + 600) | {"to": text(BUYER.address)}
        check(server.call("POST", "/v1/relay/withdrawals", body), 422, "bad-signature")
        check(server.call("POST", "/v1/relay/withdrawals", body | {"more": 1}), 422, "unknown-key")
        check(server.call("GET", "/v1/relay/0x" + "00" * 32), 404, "unknown-relay")

    def test_what_the_market_would_refuse_is_refused_with_its_reason(self, server: NodeServer) -> None:
        answer = server.call("POST", "/v1/relay/withdrawals", withdrawal_plain(server.twin.now + 600))
        assert check(answer, 422, "relay-refused")["reason"] == "balance-too-small"


def deposit_plain(amount: int, permit: Any) -> dict[str, Any]:
    return {
        "owner": text(permit.owner),
        "amount": str(amount),
        "deadline": permit.deadline,
        "signature": text(permit.signature),
    }


def withdrawal_plain(deadline: int) -> dict[str, Any]:
    """400 of `OTHER`'s to itself."""
    order = Withdrawal(account=OTHER.address, to=OTHER.address, amount=400, nonce=7, deadline=deadline)
    return {
        "account": text(order.account),
        "to": text(order.to),
        "amount": str(order.amount),
        "nonce": str(order.nonce),
        "deadline": order.deadline,
        "signature": text(OTHER.sign(withdrawal_digest(DOMAIN, order))),
    }


class TestEnding:
    def test_a_running_job_ends_at_what_was_reported(self, server: NodeServer, offer: str) -> None:
        job, lease = opened(server)
        answer = server.call("POST", f"/v1/jobs/{job}/end", {}, key=BUYER)
        assert answer.status_code == 200, answer.json()
        again = server.call("POST", f"/v1/jobs/{job}/end", {}, key=BUYER)
        assert again.status_code == 200
        server.twin.mine()
        server.twin.seal()
        row = server.twin.lease(lease)
        assert row.because is ClosedBecause.LAST_RECEIPT
        assert row.paid == row.terms.rate * 5_000 // 3_600_000_000
        check(server.call("POST", f"/v1/jobs/{job}/end", {}, key=BUYER), 409, "nothing-to-end")

    def test_a_job_that_was_ended_is_not_tried_again(self, server: NodeServer, offer: str) -> None:
        document, attempts = server.twin.signed(a_job(retry=1))
        job = server.call("POST", "/v1/bids", order_plain(document, attempts), key=BUYER).json()["job"]
        server.twin.mine()
        server.twin.seal()
        assert server.call("POST", f"/v1/jobs/{job}/end", {}, key=BUYER).status_code == 200
        lease = LeaseId(from_text(server.call("GET", f"/v1/jobs/{job}").json()["lease"], 32))
        server.twin.say(lease, JobPhase.LOST)
        server.twin.mine()
        server.twin.seal()
        assert server.call("GET", f"/v1/jobs/{job}").json()["state"] == JobState.CANCELLED.value

    def test_a_resting_order_leaves_the_book(self, server: NodeServer, offer: str) -> None:
        job = wait_for_less(server)
        answer = server.call("POST", f"/v1/jobs/{job}/end", {}, key=BUYER)
        assert answer.json()["state"] == JobState.CANCELLED.value

    def test_somebody_else_or_another_signer_ends_nothing(self, server: NodeServer, offer: str) -> None:
        job, lease = opened(server, signer=BUYER.address)
        check(server.call("POST", f"/v1/jobs/{job}/end", {}, key=OTHER), 403, "not-yours")
        check(server.call("POST", f"/v1/jobs/{job}/end", {}), 401, "unsigned-request")
        check(server.call("POST", f"/v1/jobs/{job}/end", {}, key=BUYER), 422, "not-the-signer")
        assert server.twin.lease(lease).receipt is None


class TestDelegates:
    def test_a_key_that_may_spend_submits_reads_and_ends_for_the_buyer(
        self, server: NodeServer, offer: str
    ) -> None:
        delegate(server.twin)
        document, (own,) = server.twin.signed(a_job())
        attempts = [SignedBid(bid=own.bid, signature=OTHER.sign(bid_id(DOMAIN, own.bid)))]
        job = server.call("POST", "/v1/bids", order_plain(document, attempts), key=OTHER).json()["job"]
        server.twin.mine()
        server.twin.seal()
        shown = server.call("GET", f"/v1/jobs/{job}").json()
        assert shown["buyer"] == text(BUYER.address)
        assert server.call("GET", f"/v1/documents/{shown['document']}", key=OTHER).status_code == 200
        assert server.call("GET", f"/v1/jobs/{job}/logs", key=OTHER).status_code == 200
        assert server.call("POST", f"/v1/jobs/{job}/end", {}, key=OTHER).status_code == 200

    def test_a_key_without_the_role_is_a_stranger(self, server: NodeServer, offer: str) -> None:
        job, _ = opened(server)
        delegate(server.twin, roles=Role.OPERATE)
        check(server.call("GET", f"/v1/jobs/{job}/logs", key=OTHER), 403, "not-yours")
        check(server.call("POST", f"/v1/jobs/{job}/end", {}, key=OTHER), 403, "not-yours")

    def test_a_revoked_key_is_a_stranger_after_a_moment(self, server: NodeServer, offer: str) -> None:
        node = server.twin
        job, _ = opened(server)
        document = server.call("GET", f"/v1/jobs/{job}").json()["document"]
        delegate(node)
        assert server.call("GET", f"/v1/jobs/{job}/logs", key=OTHER).status_code == 200
        node.pending += node.model.set_delegate(BUYER.address, OTHER.address, 0, 0, 0)
        node.now += REMEMBER_SECONDS
        check(server.call("GET", f"/v1/jobs/{job}/logs", key=OTHER), 403, "not-yours")
        check(server.call("GET", f"/v1/documents/{document}", key=OTHER), 403, "not-yours")

    def test_a_key_that_operates_reports_for_its_provider(self, server: NodeServer, offer: str) -> None:
        node = server.twin
        _, lease = opened(server)
        until = node.now + 1_000
        node.pending += node.model.set_delegate(PROVIDER, OTHER.address, int(Role.OPERATE), 0, until)
        document = server.call("GET", f"/v1/leases/{text(lease)}").json()["document"]
        assert server.call("GET", f"/v1/documents/{document}", key=OTHER).status_code == 200
        report = {"phase": "succeeded", "exit_code": 0, "code": "", "cause": "", "outputs": []}
        path = f"/v1/leases/{text(lease)}/reports"
        assert server.call("POST", path, report, key=OTHER).status_code == 201
        check(server.call("POST", path, report, key=BUYER), 403, "not-yours")

    def test_an_agents_key_beats_for_the_provider_that_it_operates_for(
        self, server: NodeServer, offer: str
    ) -> None:
        node = server.twin
        until = node.now + 1_000
        node.pending += node.model.set_delegate(PROVIDER, OTHER.address, int(Role.OPERATE), 0, until)
        node.now += 60
        assert server.call("GET", "/v1/offers?live=true").json()["offers"] == []
        with connect(socket_url(server, OTHER, PROVIDER), proxy=None) as socket:
            beat = {"kind": "heartbeat", "offers": [offer], "draining": False, "engine": "ok"}
            socket.send(json.dumps(beat))
            server.nudges.publish(PROVIDER, "hello")
            assert socket.recv(5) == "hello"
        with pytest.raises(InvalidStatus), connect(socket_url(server, BUYER, PROVIDER), proxy=None):
            pass


def socket_url(server: NodeServer, key: LocalKey, provider: Address) -> str:
    values = server.credentials(key, "GET", "/v1/agent") | {"provider": text(provider)}
    query = "&".join(f"{name}={value}" for name, value in values.items())
    return f"ws://{server.address}/v1/agent?{query}"
