import pytest

from tests.fakes.in_process_market import InProcessMarket
from tests.fakes.market_twin import MarketTwin, a_funded_market


@pytest.fixture(scope="session")
def chain() -> InProcessMarket:
    """Deployed and funded once; what a test or a hypothesis example does to it is reverted after it."""
    return a_funded_market()


@pytest.fixture
def twin(chain: InProcessMarket) -> MarketTwin:
    """A market and its model; two buyers have deposited, nothing is registered."""
    return MarketTwin(chain)
