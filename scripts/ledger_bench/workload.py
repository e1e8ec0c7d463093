"""The same signed transactions for every chain that is measured: a founded market, then matches.

The market is founded once on an EVM in memory. Accounts, nonces and the chain's id are fixed, so another
chain that mines the same bytes in order gets the same addresses, and a lease that does not open shows.
"""

from dataclasses import dataclass, field
from typing import Any

from eth.abc import SignedTransactionAPI
from eth_utils.address import to_checksum_address

from ledger.chain.abi import MARKET, functions
from ledger.chain.calls import fill_words
from ledger.chain.structs import offer_words
from ledger.market.bid import SignedBid
from ledger.market.money import rate_of
from ledger.market.offer import Offer
from scripts.gas.evm import CHAIN_ID, MAX_GAS, NOW, Evm, Mined, key_of
from scripts.gas.market import PARTIES, Market

FAUCET_KEY = bytes(key_of("purse").key)
START = NOW
"""second at which the market is founded and every match is made"""
BATCH = 32
SINGLE_GAS = 220_000
_FEE = 2 * 10**9


@dataclass(slots=True)
class RecordedEvm(Evm):
    """An EVM in memory that keeps the bytes of every transaction."""

    raws: list[bytes] = field(default_factory=list)

    def _mine(self, transaction: SignedTransactionAPI, data: bytes) -> Mined:
        self.raws.append(bytes(transaction.encode()))
        return Evm._mine(self, transaction, data)


@dataclass(slots=True)
class Workload:
    """`founding` transactions, each for a block of its own, and matches without end, in the node's order."""

    market: Market
    founding: list[bytes]
    turn: int = 0

    @property
    def counter(self) -> tuple[str, int]:
        """Whose transactions the matches are: the node's address, and its next nonce."""
        name = str(self.market.node.address)
        return name, self.market.evm.nonces[name]

    def singles(self, count: int) -> list[bytes]:
        """That many transactions with a match each."""
        calls = []
        for _ in range(count):
            offer, signed = self._pair()
            fill = fill_words(signed, rate_of(offer.ask, signed.bid.want))
            calls.append(self._signed("matchBid", SINGLE_GAS, offer_words(offer), fill))
        return calls

    def batches(self, count: int) -> list[bytes]:
        """That many transactions with `BATCH` matches each."""
        calls = []
        for _ in range(count):
            pairs = [self._pair() for _ in range(BATCH)]
            offers = list({offer.salt: offer for offer, _ in pairs}.values())
            fills = [
                fill_words(signed, rate_of(offer.ask, signed.bid.want), offers.index(offer))
                for offer, signed in pairs
            ]
            words = [offer_words(offer) for offer in offers]
            calls.append(self._signed("matchBids", MAX_GAS, words, fills, bytes(range(32))))
        return calls

    def _pair(self) -> tuple[Offer, SignedBid]:
        market, turn = self.market, self.turn
        self.turn += 1
        buyer = market.buyers[(turn + turn // PARTIES) % PARTIES]
        return market.offers[turn % PARTIES], market.signed(market.bid(buyer), buyer)

    def _signed(self, name: str, gas: int, *arguments: object) -> bytes:
        sender, nonce = self.counter
        self.market.evm.nonces[sender] = nonce + 1
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": _FEE,
            "maxPriorityFeePerGas": 1,
            "to": to_checksum_address(self.market.market),
            "data": functions(MARKET)[name].call(*arguments),
        }
        return bytes(self.market.node.sign_transaction(fields).raw_transaction)


def workload() -> Workload:
    """A market with its parties, founded anew."""
    evm = RecordedEvm()
    market = Market(evm=evm)
    return Workload(market=market, founding=evm.raws)
