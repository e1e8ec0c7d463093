"""Why everybody asks the chain the same way: one client turns its answers into the kernel's values.

Synchronous (an async node calls it from threads); one HTTP session, shared by threads, until `close`.
Every method may raise `Unavailable` "rpc-unreachable"; views may raise `Rejected` "no-market" where the
address holds no market of this release.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from eth_typing import BlockNumber, ChecksumAddress, HexStr
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from web3.exceptions import Web3RPCError
from web3.types import BlockData, FilterParams, LogReceipt

from ledger.chain.abi import JURY, MARKET, TOKEN, events
from ledger.chain.blooms import may_hold
from ledger.chain.calls import TO_JURY, Call, market_call
from ledger.chain.log_ranges import LogRange
from ledger.chain.logs import decode
from ledger.chain.rpc import TIMEOUT_SECONDS, error_message
from ledger.chain.typed_data import keccak
from ledger.chain.views import ChainLease as ChainLease
from ledger.chain.views import ChainState as ChainState
from ledger.chain.views import MarketRoles as MarketRoles
from ledger.chain.views import MarketViews
from ledger.market.errors import LostRace, Rejected, Unavailable
from ledger.market.events import BlockRef, Logged, MarketEvent
from ledger.market.identity import NOBODY, Address, text
from ledger.market.instructions import Instruction

Tag = Literal["latest", "safe", "finalized", "earliest"]
_REMEMBERED_BLOCKS = 4_096
_REMEMBERED_BLOOMS = 1_024
_KNOWN_ALREADY = ("already known", "alreadyknown", "already imported")
"""what the kinds of nodes say of a transaction that they have"""


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


class MarketClient(MarketViews):
    """One market on one chain: what it answers, what it and its jury logged, and what is sent to it."""

    def __init__(self, rpc_url: str, market: Address, *, timeout: float = TIMEOUT_SECONDS) -> None:
        super().__init__(rpc_url, market, timeout=timeout)
        self._block_of = lru_cache(maxsize=_REMEMBERED_BLOCKS)(self._fetch_block)
        self._range = LogRange()
        self._blooms: dict[bytes, bytes] = {}

    def block(self, which: int | Tag) -> BlockRef:
        """A canonical block; `LostRace` "not-on-chain" where there is none (yet, or any more)."""
        asked: Any = BlockNumber(which) if isinstance(which, int) else which
        block = self._rpc.ask(lambda: self._eth.get_block(asked))
        self._remember_bloom(block)
        return _block_ref(block)

    def block_by_hash(self, block_hash: bytes) -> BlockRef | None:
        """The block of that hash, None where the chain does not know it."""
        try:
            return self._block_of(block_hash)
        except LostRace:
            return None

    def logs(self, first: int, last: int) -> list[Logged]:
        """The facts that market and jury logged in the canonical blocks `first` to `last`, in order.

        A range that the endpoint finds too large is asked for in pieces. `LostRace` "not-on-chain" where
        a reorganisation came between the answers.
        """
        return self._facts(self._find_between(first, last, {"address": self._sources()}))

    def logs_at_once(self, first: int, last: int) -> list[Logged]:
        """As `logs`, in one request: `Rejected` "rpc-refused" or `Unavailable` where that is too much."""
        return self._facts(self._find(_between(first, last, {"address": self._sources()})))

    def logs_of(self, block_hash: bytes) -> list[Logged]:
        """The facts that market and jury logged in one block, in order.

        `LostRace` "not-on-chain" where the endpoint does not know the block, or not yet its logs.
        """
        found = self._find({"blockHash": HexBytes(block_hash), "address": self._sources()})
        if not found and self._withholds(block_hash):
            raise LostRace("not-on-chain", "The endpoint does not have the block's logs yet.", "Look again.")
        return self._facts(found)

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

    def call_of(self, *wishes: Instruction) -> Call:
        """One call that carries out wishes of one kind, at the market or at its jury."""
        jury = self.jury() if isinstance(wishes[0], TO_JURY) else NOBODY
        return market_call(self.market, wishes, jury=jury)

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
                if not any(phrase in error_message(exc).lower() for phrase in _KNOWN_ALREADY):
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
        found: list[LogReceipt] = []
        while first <= last:
            upto = min(first + self._range.blocks - 1, last)
            try:
                found += self._find(_between(first, upto, wanted))
            except (Rejected, Unavailable) as exc:
                if not self._range.halved(exc, upto - first + 1):
                    raise
            else:
                self._range.answered()
                first = upto + 1
        return found

    def _remember_bloom(self, block: BlockData) -> None:
        if len(self._blooms) >= _REMEMBERED_BLOOMS:
            self._blooms.clear()
        self._blooms[bytes(block["hash"])] = bytes(block.get("logsBloom", b""))

    def _withholds(self, block_hash: bytes) -> bool:
        """Whether a block for which no logs were given has some by its bloom filter and its receipts."""
        bloom = self._blooms.get(block_hash, b"")
        if not any(may_hold(bloom, source) for source in (self.market, self.jury())):
            return False
        try:
            receipts = self._rpc.ask(lambda: self._eth.get_block_receipts(HexBytes(block_hash)))
        except Rejected:  # an endpoint without this method: the filter alone is too often wrong
            return False
        return any(self._event(log) is not None for receipt in receipts for log in receipt["logs"])

    def _sources(self) -> list[ChecksumAddress]:
        return [to_checksum_address(self.market), to_checksum_address(self.jury())]

    def _event(self, log: LogReceipt) -> MarketEvent | None:
        """Each contract is believed its own events alone."""
        contract = {self.market: MARKET, self.jury(): JURY}.get(Address(bytes(HexBytes(log["address"]))))
        if contract is None:
            return None
        return decode([bytes(topic) for topic in log["topics"]], bytes(log["data"]), contract)

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


def _between(first: int, last: int, wanted: FilterParams) -> FilterParams:
    span: FilterParams = {"fromBlock": BlockNumber(first), "toBlock": BlockNumber(last)}
    return {**wanted, **span}


def _block_ref(block: BlockData) -> BlockRef:
    return BlockRef(
        number=int(block["number"]),
        hash=bytes(block["hash"]),
        parent=bytes(block["parentHash"]),
        at=int(block["timestamp"]),
    )
