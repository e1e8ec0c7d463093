"""The `eth_`, `net_` and `web3_` methods of one chain: who it is, its fees, and what other tables read."""

from collections.abc import Callable
from importlib import metadata

from eth_hash.auto import keccak

from ledger.chain.embedded import fees, formatting, parameters
from ledger.chain.embedded.block_methods import BlockMethods
from ledger.chain.embedded.block_references import BlockReferences
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.formatting import Json
from ledger.chain.embedded.pending import PendingBlock
from ledger.chain.embedded.settings import Settings
from ledger.chain.embedded.state_methods import StateMethods

_MODULES = ("bingwang", "debug", "eth", "evm", "net", "rpc", "txpool", "web3")


class EthMethods:
    """Bound to one chain. `safe` and `finalized` are the block `finality` behind the head."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain
        self.references = BlockReferences(chain)
        pending = PendingBlock(chain)
        self.settings = Settings(chain, self.references, pending)
        self.blocks = BlockMethods(chain, self.references, pending)
        self._states = StateMethods(chain, self.settings)

    def table(self) -> dict[str, Callable[..., object]]:
        """Method names and what answers them."""
        return {
            **self._identity(),
            **self._fees(),
            **self.blocks.table(),
            **self._states.table(),
            "eth_sendRawTransaction": self.send_raw_transaction,
        }

    def accounts(self) -> list[str]:
        """Nothing: this node holds no keys for its clients."""
        return []

    def fee_history(self, count: object, newest: object, percentiles: object = None) -> Json:
        """Base fees, fullness and tips of recent blocks (EIP-1559)."""
        wanted = fees.percentiles(percentiles)
        blocks = parameters.quantity(count, "count")
        with self._chain.store.reading() as query:
            last = self.references.find(query, newest)
            if last is None:
                head = query.head().number
                raise fees.beyond_head(parameters.quantity(newest, "block"), head)
            return fees.history(query, last, blocks, wanted)

    def send_raw_transaction(self, raw: object) -> str:
        """Pool a signed transaction; its hash."""
        return formatting.data(self._chain.submit(parameters.data(raw, "transaction")))

    def _identity(self) -> dict[str, Callable[..., object]]:
        identity = self._chain.genesis
        return {
            "eth_chainId": lambda: hex(identity.chain_id),
            "eth_accounts": self.accounts,
            "eth_blockNumber": lambda: hex(self._chain.head().number),
            "eth_coinbase": lambda: formatting.data(identity.faucet),
            "eth_hashrate": lambda: "0x0",
            "eth_mining": lambda: False,
            "eth_protocolVersion": lambda: "0x1",
            "eth_syncing": lambda: False,
            "net_version": lambda: str(identity.chain_id),
            "net_listening": lambda: True,
            "net_peerCount": lambda: "0x0",
            "rpc_modules": lambda: dict.fromkeys(_MODULES, "1.0"),
            "web3_clientVersion": lambda: f"bingwang-embedded/py-evm-{metadata.version('py-evm')}",
            "web3_sha3": lambda body: formatting.data(keccak(parameters.data(body, "data"))),
        }

    def _fees(self) -> dict[str, Callable[..., object]]:
        return {
            "eth_gasPrice": lambda: hex(fees.gas_price(self._chain)),
            "eth_maxPriorityFeePerGas": lambda: hex(fees.TIP),
            "eth_blobBaseFee": lambda: hex(fees.BLOB_BASE_FEE),
            "eth_feeHistory": self.fee_history,
        }
