"""The chain's refusals keep their words; a state that is gone gets go-ethereum's."""

from ledger.chain.embedded.rpc_error import SERVER_ERROR, refused
from ledger.market.errors import Rejected


def test_a_refusal_keeps_its_cause_without_the_full_stop() -> None:
    error = refused(Rejected("fee-too-low", "max fee per gas less than block base fee.", "Raise it."))
    assert error.as_object() == {"code": SERVER_ERROR, "message": "max fee per gas less than block base fee"}


def test_a_pruned_state_is_a_missing_trie_node() -> None:
    error = refused(Rejected("state-pruned", "The state of block 1 is gone.", "Ask for a later block."))
    assert error.message == "missing trie node: The state of block 1 is gone"
