"""The `txpool_` methods: what waits, told apart as go-ethereum does into `pending` and `queued`."""

from collections.abc import Callable, Mapping

from eth_utils.address import to_checksum_address

from ledger.chain.embedded import formatting, parameters
from ledger.chain.embedded.chain import EmbeddedChain, decode_header
from ledger.chain.embedded.formatting import Json
from ledger.chain.embedded.mempool import after_run
from ledger.chain.embedded.transactions import PooledTransaction

Waiting = Mapping[bytes, Mapping[int, PooledTransaction]]


class PoolMethods:
    """Bound to one chain. `pending` can go into the next blocks, `queued` has a gap before its nonce."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain

    def table(self) -> dict[str, Callable[..., object]]:
        """Method names and what answers them."""
        return {
            "txpool_status": self.status,
            "txpool_content": self.content,
            "txpool_contentFrom": self.content_from,
            "txpool_inspect": self.inspect,
        }

    def status(self) -> Json:
        """How many wait."""
        counts = {kind: sum(map(len, accounts.values())) for kind, accounts in self._split().items()}
        return {kind: hex(count) for kind, count in counts.items()}

    def content(self) -> Json:
        """All of them whole: kind, sender, nonce."""
        return {kind: _shown(accounts, _whole) for kind, accounts in self._split().items()}

    def content_from(self, address: object) -> Json:
        """Those of one sender: kind, nonce."""
        sender = parameters.address(address)
        mine = {kind: accounts.get(sender, {}) for kind, accounts in self._split().items()}
        return {kind: {str(nonce): _whole(tx) for nonce, tx in txs.items()} for kind, txs in mine.items()}

    def inspect(self) -> Json:
        """All of them, a line each."""
        return {kind: _shown(accounts, _line) for kind, accounts in self._split().items()}

    def _split(self) -> Mapping[str, Waiting]:
        accounts = self._chain.accounts(decode_header(self._chain.head()))
        with self._chain.changed:
            waiting = self._chain.mempool.by_account()
        split: dict[str, dict[bytes, dict[int, PooledTransaction]]] = {"pending": {}, "queued": {}}
        for sender, transactions in waiting.items():
            first = accounts.nonce(sender)
            run = range(first, after_run(transactions, first))
            for nonce, transaction in transactions.items():
                kind = "pending" if nonce in run else "queued"
                split[kind].setdefault(sender, {})[nonce] = transaction
        return split


def _shown(accounts: Waiting, show: Callable[[PooledTransaction], object]) -> Json:
    return {
        to_checksum_address(sender): {str(nonce): show(tx) for nonce, tx in transactions.items()}
        for sender, transactions in accounts.items()
    }


def _whole(transaction: PooledTransaction) -> Json:
    return formatting.waiting(transaction.signed, transaction.hash, transaction.sender)


def _line(transaction: PooledTransaction) -> str:
    signed = transaction.signed
    whom = to_checksum_address(signed.to) if signed.to else "contract creation"
    return f"{whom}: {signed.value} wei + {transaction.gas} gas × {transaction.max_fee} wei"
