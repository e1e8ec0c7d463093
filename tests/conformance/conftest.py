"""One embedded chain and one anvil for each module of this suite."""

from collections.abc import Iterator

import pytest

from tests.fakes.two_nodes import Pair, two_nodes


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_nodes(tmp_path_factory.mktemp("nodes")) as both:
        yield both
