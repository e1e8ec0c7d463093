"""What anybody may read of the epochs over HTTP, and what a stranger makes of it."""

from contextlib import closing
from typing import Any

import pytest

from ledger.market.errors import Rejected
from ledger.market.identity import Digest, from_text, text
from matcher.bundle.epoch import open_bundle
from matcher.bundle.verdict import check
from node.replaying.sources import Node
from tests.factories import a_digest
from tests.fakes.node_server import NodeServer
from tests.fakes.node_twin import DOMAIN, NodeTwin


def asked(server: NodeServer, target: str) -> tuple[int, Any]:
    """Status and body of a GET that nobody signed."""
    answer = server.call("GET", target)
    return answer.status_code, answer.json()


@pytest.fixture
def root(node: NodeTwin) -> Digest:
    """The root of an epoch that matched one job."""
    offer = node.lend()
    node.seal()
    node.beat(offer)
    node.submit()
    (row,) = node.books.bundles.bundles(9)
    return row.root


def test_epochs_are_listed_and_shown(server: NodeServer, root: Digest) -> None:
    status, listed = asked(server, "/v1/epochs")
    assert status == 200
    assert [(one["root"], one["matches"], one["kept"]) for one in listed["epochs"]] == [(text(root), 1, True)]
    status, shown = asked(server, f"/v1/epochs/{text(root)}")
    assert (status, shown["root"], shown["rules"]) == (200, text(root), 1)
    status, page = asked(server, "/v1/epochs?limit=1&before=1")
    assert (status, page["epochs"]) == (200, [])


def test_a_whole_epoch_is_fetched_and_agrees(server: NodeServer, root: Digest) -> None:
    with closing(Node(f"http://{server.address}")) as source:
        bundle = open_bundle(root, source.pages(root).fetch)
        assert source.header(root) == bundle.header
        assert source.market() == bundle.header.ground.market == DOMAIN.market
    assert len(check(bundle).matches) == 1
    assert all(one.signature for one in bundle.bids.values())


def test_single_pages_are_fetched_by_their_hash(server: NodeServer, root: Digest) -> None:
    _, shown = asked(server, f"/v1/epochs/{text(root)}")
    for name in shown["pages"].values():
        with closing(Node(f"http://{server.address}")) as source:
            assert source.page(Digest(from_text(name, 32)))


def test_what_the_node_never_published_is_not_found(server: NodeServer) -> None:
    unknown = text(a_digest("unknown"))
    for path in (f"/v1/epochs/{unknown}", f"/v1/epochs/{unknown}/bundle", f"/v1/epochs/pages/{unknown}"):
        assert asked(server, path)[0] == 404
    assert asked(server, "/v1/epochs/0x12")[0] == 422


def test_an_epoch_whose_pages_were_dropped_is_gone_and_its_header_stays(
    server: NodeServer, node: NodeTwin, root: Digest
) -> None:
    node.submit()
    with node.books.transaction() as unit:
        assert unit.bundles.retire(1 << 39, 0) == 1
    status, problem = asked(server, f"/v1/epochs/{text(root)}/bundle")
    assert (status, problem["code"]) == (410, "epoch-gone")
    status, shown = asked(server, f"/v1/epochs/{text(root)}")
    assert (status, shown["kept"]) == (200, False)
    with closing(Node(f"http://{server.address}")) as source, pytest.raises(Rejected, match="kept no more"):
        source.pages(root)
