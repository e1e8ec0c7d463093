"""The same signed transactions for every chain that is measured: a founded market, then matches.

The market is founded once on an EVM in memory. Accounts, nonces and the chain's id are fixed, so another
chain that mines the same bytes in order gets the same addresses, and a lease that does not open shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from eth.abc import SignedTransactionAPI
from eth_account.signers.local import LocalAccount

from ledger.chain.abi import MARKET, functions
from ledger.chain.calls import fill_words
from ledger.chain.structs import offer_words
from ledger.market.bid import SignedBid
from ledger.market.identity import Address
from ledger.market.money import rate_of
from ledger.market.offer import Offer
from scripts.gas.evm import MAX_GAS, NOW, Evm, Mined, key_of
from scripts.gas.market import PARTIES, Market

FAUCET_KEY = bytes(key_of("purse").key)
START = NOW
"""second at which the market is founded and every match is made"""
BATCH = 32
SINGLE_GAS = 220_000


@dataclass(slots=True)
class RecordedEvm(Evm):
    """An EVM in memory that keeps the bytes of every transaction."""

    raws: list[bytes] = field(default_factory=list)

    def signed(self, key: LocalAccount, to: Address, data: bytes, gas: int) -> bytes:
        """The account's next transaction, which is not mined here."""
        return bytes(self._signed(key, to, data, gas).encode())

    def _mine(self, transaction: SignedTransactionAPI, data: bytes) -> Mined:
        self.raws.append(bytes(transaction.encode()))
        return Evm._mine(self, transaction, data)


@dataclass(slots=True)
class Workload:
    """A founded market, and matches without end, in the node's order."""

    market: Market
    evm: RecordedEvm
    turn: int = 0

    @property
    def founding(self) -> Sequence[bytes]:
        """The transactions that found it, each for a block of its own."""
        return self.evm.raws

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
        data = functions(MARKET)[name].call(*arguments)
        return self.evm.signed(self.market.node, self.market.market, data, gas)


def workload() -> Workload:
    """A market with its parties, founded anew."""
    evm = RecordedEvm()
    return Workload(market=Market(evm=evm), evm=evm)
