"""Where a call runs: the block that its request names, under the overrides that came with it.

One answer for all that read a state or execute without committing, so that a trace runs as `eth_call` does.
"""

from eth.abc import StateAPI

from ledger.chain.embedded import calls
from ledger.chain.embedded.accounts import Accounts
from ledger.chain.embedded.block_references import BlockReferences, is_pending
from ledger.chain.embedded.calls import Call, Setting
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.evm import SharedSecondVM
from ledger.chain.embedded.overrides import override_block, override_state
from ledger.chain.embedded.pending import PendingBlock


class Settings:
    """Of one chain. What each method is given as `block` is a reference, as JSON-RPC has it."""

    def __init__(self, chain: EmbeddedChain, references: BlockReferences, pending: PendingBlock) -> None:
        self._chain = chain
        self._references = references
        self._pending = pending

    def at(self, block: object) -> Setting:
        """The pending block, the head as late as it is now, or an older block as it was.

        `RpcError` where there is none, `Rejected` where its state is not kept any more.
        """
        if is_pending(block):
            return calls.on_pending(self._pending.current())
        row = self._references.read(block)
        if block in (None, "latest"):
            return calls.on_head(self._chain, row)
        return calls.on_block(self._chain, row)

    def accounts(self, block: object) -> Accounts:
        """What accounts hold there."""
        setting = self.at(block)
        return Accounts(setting.database, setting.header)

    def state(
        self,
        request: Call,
        block: object,
        *,
        header: object = None,
        accounts: object = None,
        vm: type[SharedSecondVM] = SharedSecondVM,
    ) -> StateAPI:
        """The state that `request` runs in, under overrides of header fields and of accounts."""
        setting = override_block(self.at(block), header)
        state = calls.state_in(self._chain, setting, request, vm)
        override_state(state, accounts)
        return state
