"""Why everybody asks the chain the same way: one client turns its answers into the kernel's values.

Synchronous (an async node calls it from threads); one HTTP session, shared by threads, until `close`.
Every method may raise `Unavailable` "rpc-unreachable"; views may raise `Rejected` "no-market" where the
address holds no market of this release.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from eth_typing import BlockNumber, HexStr
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from web3.exceptions import Web3RPCError
from web3.types import BlockData, FilterParams, LogReceipt

from ledger.chain.abi import MARKET, TOKEN, events, functions
from ledger.chain.calls import Call, fill_words, settlement_words
from ledger.chain.logs import decode
from ledger.chain.rpc import TIMEOUT_SECONDS, Rpc, error_message
from ledger.chain.structs import offer_words
from ledger.chain.typed_data import Domain, keccak
from ledger.market.bid import SignedBid
from ledger.market.errors import LostRace, Rejected
from ledger.market.events import BlockRef, Logged, MarketEvent
from ledger.market.identity import Address, LeaseId, OfferId, from_text, text
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.policy import Policy
from ledger.market.reasons import SkipReason
from ledger.market.receipt import SignedReceipt
from ledger.market.resource import Quantities

Tag = Literal["latest", "safe", "finalized", "earliest"]
_REMEMBERED_BLOCKS = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLease:
    """An open lease as the contract stores it: `ended_after` seconds, None until it is terminated."""

    escrow: int
    paid: int
    start: int
    ended_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What to offer under EIP-1559, in wei per gas."""

    max_fee: int
    tip: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MinedReceipt:
    """What a transaction did; `gas_price` is what it paid, in wei per gas."""

    transaction: bytes
    block: BlockRef
    succeeded: bool
    gas_used: int
    gas_price: int
    events: tuple[MarketEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTransfer:
    """One ERC-20 `Transfer` that reached an account, in base units."""

    sender: Address
    amount: int
    transaction: bytes


class MarketClient:
    """One market on one chain."""

    def __init__(self, rpc_url: str, market: Address, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.market = market
        self._rpc = Rpc(rpc_url, timeout=timeout)
        self._eth = self._rpc.eth
        self._domain: Domain | None = None
        self._token: Address | None = None
        self._pinned: int | None = None
        self._block_of = lru_cache(maxsize=_REMEMBERED_BLOCKS)(self._fetch_block)

    def close(self) -> None:
        """Give the connections back."""
        self._rpc.close()

    def pinned(self, number: int) -> "MarketClient":
        """The same client whose views answer for block `number`; it shares the connections."""
        other = copy(self)
        other._pinned = number
        return other

    def chain_id(self) -> int:
        return self._rpc.ask(lambda: int(self._eth.chain_id))

    def check_chain(self, expected: int) -> None:
        """`Rejected` "wrong-chain" where the endpoint serves another chain than the one meant."""
        found = self.chain_id()
        if found != expected:
            raise Rejected(
                "wrong-chain",
                f"{self._rpc.url} serves chain {found}, not {expected}.",
                "Give the URL of the market's own chain.",
                expected=expected,
                found=found,
            )

    def domain(self) -> Domain:
        """Where this market's signatures count; asked once."""
        if self._domain is None:
            self._domain = Domain(chain_id=self.chain_id(), market=self.market)
        return self._domain

    def block(self, which: int | Tag) -> BlockRef:
        """A canonical block; `LostRace` "not-on-chain" where there is none (yet, or any more)."""
        asked: Any = BlockNumber(which) if isinstance(which, int) else which
        return _block_ref(self._rpc.ask(lambda: self._eth.get_block(asked)))

    def block_by_hash(self, block_hash: bytes) -> BlockRef | None:
        """The block of that hash, None where the chain does not know it."""
        try:
            return self._block_of(block_hash)
        except LostRace:
            return None

    def logs(self, first: int, last: int) -> list[Logged]:
        """The market's facts in the canonical blocks `first` to `last`, in the chain's order.

        A range that the endpoint finds too large is asked for in halves. `LostRace` "not-on-chain" where
        a reorganisation came between the answers.
        """
        return self._facts(self._find_between(first, last, {"address": to_checksum_address(self.market)}))

    def logs_of(self, block_hash: bytes) -> list[Logged]:
        """The market's facts in one block."""
        return self._facts(
            self._find({"blockHash": HexBytes(block_hash), "address": to_checksum_address(self.market)})
        )

    def transfers_in(self, first: int, last: int) -> list[TokenTransfer]:
        """The token's `Transfer` events into the market in the canonical blocks `first` to `last`."""
        event = next(topic for topic, one in events(TOKEN).items() if one.name == "Transfer")
        topics = [HexStr(text(event)), None, HexStr(text(self.market.rjust(32, b"\0")))]
        wanted: FilterParams = {"address": to_checksum_address(self.token()), "topics": topics}
        return [
            TokenTransfer(
                sender=Address(bytes(log["topics"][1])[12:]),
                amount=int.from_bytes(bytes(log["data"]), "big"),
                transaction=bytes(log["transactionHash"]),
            )
            for log in self._find_between(first, last, wanted)
        ]

    def balance_of(self, account: Address) -> int:
        """What the account may withdraw or spend on leases, in base units."""
        return int(self._market("balanceOf", account)[0])

    def token_balance(self, account: Address) -> int:
        """Base units of the market's token that the account itself holds."""
        return int(self._on_token("balanceOf", account)[0])

    def allowance(self, owner: Address) -> int:
        """Base units that the market may still take from the owner."""
        return int(self._on_token("allowance", owner, self.market)[0])

    def decimals(self) -> int:
        """Decimal places of the token, for people."""
        return int(self._on_token("decimals")[0])

    def coin_balance(self, account: Address) -> int:
        """Wei that the account holds for gas."""
        return self._rpc.ask(lambda: int(self._eth.get_balance(to_checksum_address(account))))

    def policy(self) -> Policy:
        """The market's immutable windows."""
        interval, grace = self._market("receiptInterval")[0], self._market("grace")[0]
        return Policy(receipt_interval=int(interval), grace=int(grace))

    def token(self) -> Address:
        """The market's ERC-20; immutable, asked once."""
        if self._token is None:
            self._token = Address(from_text(self._market("token")[0], 20))
        return self._token

    def epoch_of(self, account: Address) -> int:
        """The epoch that the account's offers and bids must carry."""
        return int(self._market("epochOf", account)[0])

    def nonce_used(self, account: Address, nonce: int) -> bool:
        """Whether a bid with this nonce can no longer open."""
        return bool(self._market("nonceUsed", account, nonce)[0])

    def lease_of(self, lease: LeaseId) -> ChainLease | None:
        """An open lease; None before it opens and after it closed."""
        escrow, paid, start, end, state = map(int, self._market("leaseOf", lease))
        if state == 0:
            return None
        return ChainLease(escrow=escrow, paid=paid, start=start, ended_after=end or None)

    def used_of(self, offer: OfferId) -> Quantities:
        """How much of the offer's capacity is in open leases."""
        return Quantities.unpack(int(self._market("usedOf", offer)[0]))

    def offer_is_open(self, offer: OfferId) -> bool:
        """Whether the offer is registered and was not cancelled."""
        return int(self._market("offerFlags", offer)[0]) == 1

    def check_fill(self, matcher: Address, offer: Offer, signed: SignedBid, rate: int) -> SkipReason:
        """Why the bid would be skipped in the next block, were `matcher` to match it; NONE: it opens."""
        words = (offer_words(offer), fill_words(signed, rate))
        return SkipReason(int(self._market("checkFill", matcher, *words)[0]))

    def check_settlement(self, terms: LeaseTerms, signed: SignedReceipt) -> SkipReason:
        """Why the receipt would be skipped in the next block; NONE: it pays."""
        return SkipReason(int(self._market("checkSettlement", settlement_words(terms, signed))[0]))

    def simulate(self, call: Call, sender: Address) -> None:
        """Run a call without sending it; `Rejected` "reverted" with the contract's reason."""
        self._rpc.view(call.to, call.data, sender)

    def transaction_count(
        self, account: Address, which: int | Literal["latest", "pending"] = "latest"
    ) -> int:
        """How many transactions of the account are in the chain up to block `which`; "pending" counts
        those that wait too."""
        asked: Any = BlockNumber(which) if isinstance(which, int) else which
        return self._rpc.ask(
            lambda: int(self._eth.get_transaction_count(to_checksum_address(account), asked))
        )

    def fees(self) -> Fees:
        """Enough for a base fee that doubles, and the tip that the endpoint suggests."""
        head = self._rpc.ask(lambda: self._eth.get_block("latest"))
        tip = self._rpc.ask(lambda: int(self._eth.max_priority_fee))
        return Fees(max_fee=2 * int(head.get("baseFeePerGas", 0)) + tip, tip=tip)

    def send_raw(self, raw: bytes) -> bytes:
        """Hand a signed transaction to the chain; its hash. The same bytes twice are one transaction.

        `Rejected` "no-coin-for-gas"; `LostRace` "nonce-too-low" or "underpriced".
        """
        with self._rpc.door():
            try:
                return bytes(self._eth.send_raw_transaction(raw))
            except Web3RPCError as exc:
                if "already known" not in error_message(exc).lower():
                    raise
        return keccak(raw)

    def receipt(self, transaction: bytes) -> MinedReceipt | None:
        """What the transaction did; None while no canonical block holds it."""
        try:
            found = self._rpc.ask(lambda: self._eth.get_transaction_receipt(HexBytes(transaction)))
        except LostRace:
            return None
        block = self.block_by_hash(bytes(found["blockHash"]))
        if block is None:
            return None
        return MinedReceipt(
            transaction=transaction,
            block=block,
            succeeded=found["status"] == 1,
            gas_used=int(found["gasUsed"]),
            gas_price=int(found["effectiveGasPrice"]),
            events=tuple(event for log in found["logs"] if (event := self._event(log)) is not None),
        )

    def faucet(self, account: Address) -> list[bytes]:
        """Ask an embedded grid for coin and test token; the hashes of the transactions that bring them.

        `Rejected` "faucet-limit", or "rpc-refused" where the chain has no faucet.
        """
        answer = self._rpc.raw("bingwang_faucet", text(account))
        return [bytes(HexBytes(one)) for one in answer["transactions"]]

    def _fetch_block(self, block_hash: bytes) -> BlockRef:
        return _block_ref(self._rpc.ask(lambda: self._eth.get_block(HexBytes(block_hash))))

    def _find(self, wanted: FilterParams) -> Sequence[LogReceipt]:
        return self._rpc.ask(lambda: self._eth.get_logs(wanted))

    def _find_between(self, first: int, last: int, wanted: FilterParams) -> list[LogReceipt]:
        span: FilterParams = {"fromBlock": BlockNumber(first), "toBlock": BlockNumber(last)}
        try:
            return list(self._find({**wanted, **span}))
        except Rejected as exc:
            if exc.code != "rpc-refused" or first >= last:
                raise
        middle = (first + last) // 2
        return self._find_between(first, middle, wanted) + self._find_between(middle + 1, last, wanted)

    def _event(self, log: LogReceipt) -> MarketEvent | None:
        if bytes(HexBytes(log["address"])) != self.market:
            return None
        return decode([bytes(topic) for topic in log["topics"]], bytes(log["data"]))

    def _facts(self, found: Iterable[LogReceipt]) -> list[Logged]:
        return [
            Logged(
                event=event,
                block=self._block_of(bytes(log["blockHash"])),
                log_index=log["logIndex"],
                transaction=bytes(log["transactionHash"]),
            )
            for log in found
            if (event := self._event(log)) is not None
        ]

    def _market(self, name: str, *arguments: object) -> tuple[Any, ...]:
        return self._view(MARKET, self.market, name, *arguments)

    def _on_token(self, name: str, *arguments: object) -> tuple[Any, ...]:
        return self._view(TOKEN, self.token(), name, *arguments)

    def _view(self, contract: str, to: Address, name: str, *arguments: object) -> tuple[Any, ...]:
        function = functions(contract)[name]
        try:
            return function.results(self._rpc.view(to, function.call(*arguments), block=self._pinned))
        except ValueError as exc:
            raise Rejected(
                "no-market",
                f"There is no market of this release at {text(self.market)}.",
                "Check the address and the chain.",
            ) from exc


def _block_ref(block: BlockData) -> BlockRef:
    return BlockRef(
        number=int(block["number"]),
        hash=bytes(block["hash"]),
        parent=bytes(block["parentHash"]),
        at=int(block["timestamp"]),
    )
