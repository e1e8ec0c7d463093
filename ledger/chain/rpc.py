"""Why no web3 exception leaves this package: the node's JSON-RPC has one door, and it translates.

web3 without middleware and without its own repeats: what to try again, and when, is decided by the
outbox, the follower and the callers, who know what is safe. Every request has a time limit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
from eth_typing import BlockNumber, HexStr
from eth_utils.address import to_checksum_address
from requests.adapters import HTTPAdapter
from web3 import HTTPProvider, Web3
from web3.exceptions import (
    BadResponseFormat,
    BlockNotFound,
    ContractLogicError,
    TransactionNotFound,
    Web3Exception,
    Web3RPCError,
)
from web3.types import RPCEndpoint

from ledger.market.errors import LostRace, MarketError, Rejected, Unavailable
from ledger.market.identity import Address

TIMEOUT_SECONDS = 10
_POOLED = 16
T = TypeVar("T")


class Rpc:
    """One chain's JSON-RPC endpoint over one HTTP session; threads may share it."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=_POOLED))
        self._session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=_POOLED))
        provider = HTTPProvider(
            url,
            request_kwargs={"timeout": timeout},
            session=self._session,
            exception_retry_configuration=None,
        )
        self._web3 = Web3(provider, middleware=[])
        self.eth = self._web3.eth

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    @contextmanager
    def door(self) -> Iterator[None]:
        """Whatever fails inside leaves as a `MarketError`."""
        try:
            yield
        except (requests.RequestException, BadResponseFormat) as exc:
            raise self._unreachable(exc) from exc
        except (BlockNotFound, TransactionNotFound) as exc:
            raise _gone() from exc
        except ContractLogicError as exc:
            raise reverted(exc) from exc
        except Web3RPCError as exc:
            raise _refused(exc) from exc
        except (Web3Exception, ValueError, KeyError, TypeError) as exc:
            raise self._unreachable(exc) from exc

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to one question."""
        with self.door():
            return question()

    def view(
        self, to: Address, data: bytes, sender: Address | None = None, block: int | None = None
    ) -> bytes:
        """The output of a call that changes nothing, on `block` or the head; `Rejected` "reverted" with
        the contract's reason."""
        call: dict[str, Any] = {"to": to_checksum_address(to), "data": HexStr("0x" + data.hex())}
        if sender is not None:
            call["from"] = to_checksum_address(sender)
        at = "latest" if block is None else BlockNumber(block)
        return self.ask(lambda: bytes(self.eth.call(call, at)))  # type: ignore[arg-type]  # built from the TxParams keys

    def raw(self, method: str, *params: object) -> Any:  # noqa: ANN401 - what a method outside the standard returns
        """A method that web3 has no name for."""
        return self.ask(lambda: self._web3.manager.request_blocking(RPCEndpoint(method), list(params)))

    def _unreachable(self, exc: Exception) -> Unavailable:
        return Unavailable(
            "rpc-unreachable",
            f"The chain at {self.url} does not answer ({type(exc).__name__}).",
            "Check that it runs and that the URL is right; nothing is lost meanwhile.",
            url=self.url,
            timed_out=isinstance(exc, requests.ReadTimeout),
        )


def _gone() -> LostRace:
    return LostRace("not-on-chain", "The chain does not know it (any more).", "Look again.")


def _hurried(message: str) -> Unavailable:
    return Unavailable("rpc-rate-limited", f"The chain's endpoint asks for patience: {message}.", "Wait.")


def reverted(exc: ContractLogicError) -> Rejected:
    """A call that the contract refused, with the reason that it gave."""
    reason = (exc.message or "no reason given").removeprefix("execution reverted").lstrip(": ")
    return Rejected(
        "reverted",
        f"The contract refused the call: {reason or 'no reason given'}.",
        "Look at the state that the reason names.",
        reason=reason,
    )


_KNOWN: tuple[tuple[str, Callable[[str], MarketError]], ...] = (
    (
        "insufficient funds",
        lambda _: Rejected(
            "no-coin-for-gas",
            "The account has not enough of the chain's coin to pay for gas.",
            "Run bingwang wallet faucet.",
        ),
    ),
    (
        "nonce too low",
        lambda _: LostRace("nonce-too-low", "The transaction's nonce is used.", "Look for its receipt."),
    ),
    ("unknown block", lambda _: _gone()),
    ("header not found", lambda _: _gone()),
    (
        "underpriced",
        lambda _: LostRace("underpriced", "The transaction's fee is too low by now.", "Offer a higher fee."),
    ),
    (
        "less than block base fee",
        lambda _: LostRace("underpriced", "The transaction's fee is too low by now.", "Offer a higher fee."),
    ),
    ("rate limit", _hurried),
    ("too many requests", _hurried),
    (
        "faucet limit",
        lambda message: Rejected("faucet-limit", f"The faucet refused: {message}.", "Try again later."),
    ),
)


def _refused(exc: Web3RPCError) -> MarketError:
    message = error_message(exc)
    for phrase, error in _KNOWN:
        if phrase in message.lower():
            return error(message)
    return Rejected(
        "rpc-refused", f"The chain refused the request: {message}.", "Check the request and the chain."
    )


def error_message(exc: Web3RPCError) -> str:
    """The `message` of the JSON-RPC error object."""
    error = (exc.rpc_response or {}).get("error")
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or exc.message).rstrip(".")
