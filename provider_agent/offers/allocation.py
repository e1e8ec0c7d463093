"""What of the loan is free for one more lease, counted from the leases that the agent itself holds.

The contract counts capacity per offer; the agent counts it per machine, so that two offers that stand at
once (an old and a new one) never promise the same core twice.
"""

from collections.abc import Callable

from ledger.market.errors import Unavailable
from ledger.market.identity import Address, LeaseId
from ledger.market.resource import Quantities
from provider_agent.lifecycle.lease_state import LeaseState, Stage
from provider_agent.offers.lending import Loan, free_of
from provider_agent.offers.offering import promise_of
from provider_agent.offers.rules import House
from provider_agent.settings import ProviderSettings
from provider_agent.state_store import StateStore
from provider_agent.work.leases import Leases


class Allocation:
    """Answers for one lease at a time; `loan` is asked for anew each time."""

    def __init__(
        self,
        provider: Address,
        settings: ProviderSettings,
        store: StateStore,
        leases: Leases,
        loan: Callable[[], Loan | None],
    ) -> None:
        self._provider = provider
        self._settings = settings
        self._store = store
        self._leases = leases
        self._ask_loan = loan

    def state(self, lease: LeaseId) -> LeaseState:
        """The lease's state; `Broken` where the agent does not know it."""
        return self._leases.known(lease)

    def house(self, lease: LeaseId) -> House:
        """What the agent can do for this lease."""
        taken = tuple(one.terms.want for one in self._others(lease) if one.open)
        return House(
            provider=self._provider,
            document=promise_of(self._loan(), self._settings),
            free=free_of(self._capacity(lease), taken),
            devices=len(self._free_devices(lease)),
            image_budget=self._settings.images_mib << 20,
        )

    def devices(self, lease: LeaseId, count: int) -> tuple[str, ...]:
        """Free devices for the lease, by CDI name."""
        return self._free_devices(lease)[:count]

    def images(self) -> frozenset[str]:
        """Config digests of the images that leases need."""
        jobs = (self._store.job(state.id) for state in self._leases)
        return frozenset(job.image.config for job in jobs if job is not None)

    def _loan(self) -> Loan:
        loan = self._ask_loan()
        if loan is None:
            raise Unavailable("no-inventory", "The machine was not looked at yet.", "Wait a moment.")
        return loan

    def _capacity(self, lease: LeaseId) -> Quantities:
        """What the lease's own offer promised, or else what is lent now."""
        loan = self._loan()
        found = self._store.offers().get(self.state(lease).terms.offer)
        return found[0].capacity if found else loan.capacity

    def _others(self, lease: LeaseId) -> list[LeaseState]:
        return [one for one in self._leases if one.id != lease and one.stage is not Stage.SEEN]

    def _free_devices(self, lease: LeaseId) -> tuple[str, ...]:
        taken = {name for one in self._others(lease) for name in self._store.devices(one.id)}
        return tuple(one.name for one in self._loan().devices if one.name not in taken)
