"""What an account has at the market: money, stake, nonces and the keys that act for it.

For wallets and explorers that cannot, or need not, ask the chain themselves; what it needs to sign its
next bid, permit or withdrawal is among it.
"""

from fastapi import APIRouter

from ledger.market.delegation import Delegation
from ledger.market.errors import Rejected
from ledger.market.identity import Address, from_text, text
from ledger.market.lifecycle import JobState
from ledger.market.wire import Plain
from node.api.services import Services

_UNOPENED = (JobState.RESTING, JobState.OPENING)


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["accounts"])

    @router.get("/v1/accounts/{address}")
    def account(address: str) -> Plain:
        """Balance, what open orders reserve of it, stake, nonces, and delegates."""
        return account_view(services, Address(from_text(address, 20)))

    return router


def account_view(services: Services, account: Address) -> Plain:
    """Amounts are base units, times seconds since 1970; `next_nonce` is unused by the chain and by the
    orders that wait here, `permit_nonce` None for a token without permits."""
    chain, queries = services.chain, services.books.queries
    unstaking, unlock_at = chain.unstaking_of(account)
    return {
        "account": text(account),
        "balance": str(chain.balance_of(account)),
        "reserved": str(queries.reserved(account)),
        "token_balance": str(chain.token_balance(account)),
        "stake": str(chain.stake_of(account)),
        "locked": str(queries.stake(account).locked),
        "unstaking": str(unstaking),
        "unlock_at": unlock_at,
        "epoch": str(chain.epoch_of(account)),
        "next_nonce": str(_next_nonce(services, account)),
        "permit_nonce": _permit_nonce(services, account),
        "delegates": [_delegate(one) for one in queries.delegations(account)],
    }


def _next_nonce(services: Services, account: Address) -> int:
    waiting = {
        signed.bid.nonce for row in services.books.queries.jobs(account, _UNOPENED) for signed in row.attempts
    }
    free = services.chain.next_nonces(account, len(waiting) + 1)
    return next(nonce for nonce in free if nonce not in waiting)


def _permit_nonce(services: Services, account: Address) -> str | None:
    try:
        return str(services.chain.permit_nonce(account))
    except Rejected:
        return None


def _delegate(delegation: Delegation) -> Plain:
    return {
        "key": text(delegation.key),
        "roles": int(delegation.roles),
        "allowance": str(delegation.allowance),
        "until": delegation.until,
    }
