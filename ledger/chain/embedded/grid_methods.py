"""Methods that only an embedded grid has: its faucet, its state, and blocks on demand for tests."""

from collections.abc import Callable

from ledger.chain.embedded import formatting, parameters
from ledger.chain.embedded.chain import EmbeddedChain, Sealed
from ledger.chain.embedded.faucet import Faucet
from ledger.chain.embedded.formatting import Json


class GridMethods:
    """Bound to one chain; `bingwang_reorg` exists only where `allow_reorg` (test grids)."""

    def __init__(self, chain: EmbeddedChain, faucet: Faucet, *, allow_reorg: bool) -> None:
        self._chain = chain
        self._faucet = faucet
        self._allow_reorg = allow_reorg

    def table(self) -> dict[str, Callable[..., object]]:
        """Method names and what answers them."""
        methods: dict[str, Callable[..., object]] = {
            "evm_mine": self.mine,
            "bingwang_seal": self.seal,
            "bingwang_faucet": self.faucet,
            "bingwang_status": self.status,
        }
        if self._allow_reorg:
            methods["bingwang_reorg"] = self.reorg
        return methods

    def mine(self, *_: object) -> str:
        """Seal a block now, empty if nothing waits; what the argument asks (a timestamp) is ignored."""
        self._chain.seal(empty=True)
        return "0x0"

    def seal(self) -> Json:
        """Seal a block now and say what it holds."""
        sealed = self._chain.seal(empty=True)
        assert sealed is not None, "an empty block is always possible"
        return _sealed(sealed)

    def faucet(self, address: object) -> Json:
        """Give the address a grant; the hashes of the transactions that carry it."""
        sent = self._faucet.grant(parameters.address(address))
        return {"transactions": [formatting.data(one) for one in sent]}

    def status(self) -> Json:
        """Who this chain is and where it stands."""
        head = self._chain.head()
        identity = self._chain.genesis
        with self._chain.changed:
            waiting = len(self._chain.mempool)
        return {
            "chainId": hex(identity.chain_id),
            "head": {"number": hex(head.number), "hash": formatting.data(head.hash)},
            "finality": self._chain.finality,
            "waiting": waiting,
            "faucet": formatting.data(identity.faucet),
            "contracts": {role: formatting.data(at) for role, at in identity.contracts.items()},
        }

    def reorg(self, depth: object) -> Json:
        """Replace the last `depth` blocks; their transactions wait again."""
        return _sealed(self._chain.reorg(parameters.quantity(depth, "depth")))


def _sealed(sealed: Sealed) -> Json:
    return {
        "number": hex(sealed.number),
        "hash": formatting.data(sealed.hash),
        "transactions": [formatting.data(one) for one in sealed.included],
        "invalid": [formatting.data(one) for one in sealed.invalid],
    }
