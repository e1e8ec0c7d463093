"""Cutting a clearing into parts that cannot touch each other: each is smaller, and most need no search.

Bids belong together when they list a common offer, are alternatives of one group, or draw on one purse that
might not be enough for all of them.
"""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from matcher.compiled import Numbers
from matcher.welfare import kernels
from matcher.welfare.tables import Canon, lay_out, spans


def parts(canon: Canon) -> list[Canon]:
    """The parts that have a bid, in the order of their first one; bids without candidates are in none."""
    bids, _, candidates, offers = canon.tables
    first = bids[:, kernels.CANDIDATE].tolist()
    hosts = candidates[:, kernels.OFFER].tolist()
    links = list(range(len(offers) - 1))
    for bid in range(canon.bids):
        _join(links, hosts[first[bid] : first[bid + 1]])
    for together in (*_alternatives(canon, first, hosts), *_short_purses(canon)):
        _join(links, together)
    members: dict[int, list[int]] = defaultdict(list)
    for bid in range(canon.bids):
        if first[bid] < first[bid + 1]:
            members[_root(links, hosts[first[bid]])].append(bid)
    sites: dict[int, list[int]] = defaultdict(list)
    for offer in range(len(links)):
        sites[_root(links, offer)].append(offer)
    if len(members) == 1 and len(next(iter(members.values()))) == canon.bids:
        return [canon]
    return [_part(canon, np.array(rows), np.array(sites[root])) for root, rows in members.items()]


def servable(canon: Canon) -> Canon:
    """The same without the candidates of bids that could not be served even if nobody else were there: a
    search would try each of them again and again, and a gang that must be together is dear to try."""
    (room, held), words = canon.state(), canon.words()
    hopeless = np.zeros(canon.bids, np.bool_)
    for bid in range(canon.bids):
        if kernels.serve(canon.tables, room, held, bid, 0, words):
            kernels.dismiss(canon.tables, room, held, bid)
        else:
            hopeless[bid] = True
    if not hopeless.any():
        return canon
    return only(canon, np.flatnonzero(~hopeless[canon.owners()]))[0]


def only(canon: Canon, kept: Numbers) -> tuple[Canon, Numbers]:
    """The same part with the candidates of these rows alone."""
    bids, want, candidates, offers = canon.tables
    lasting = np.zeros(len(candidates) + 1, np.int64)
    lasting[kept + 1] = 1
    bids = bids.copy()
    bids[:, kernels.CANDIDATE] = np.cumsum(lasting)[bids[:, kernels.CANDIDATE]]
    return replace(canon, tables=(bids, want, np.ascontiguousarray(candidates[kept]), offers)), kept


def _root(links: list[int], node: int) -> int:
    while links[node] != node:
        links[node] = links[links[node]]
        node = links[node]
    return node


def _join(links: list[int], nodes: list[int]) -> None:
    for node in nodes[1:]:
        links[_root(links, node)] = _root(links, nodes[0])


def _alternatives(canon: Canon, first: list[int], hosts: list[int]) -> list[list[int]]:
    """For each group, one offer of each of its bids."""
    found: dict[int, list[int]] = defaultdict(list)
    for bid, group in enumerate(canon.tables[0][:-1, kernels.GROUP].tolist()):
        if group >= 0 and first[bid] < first[bid + 1]:
            found[group].append(hosts[first[bid]])
    return list(found.values())


def _short_purses(canon: Canon) -> list[list[int]]:
    """The offers of each pool whose purse all listed members together could exceed."""
    bids, _, candidates, offers = canon.tables
    members = bids[canon.owners(), kernels.MEMBERS]
    drawn = np.zeros(len(canon.purse))
    np.add.at(
        drawn, offers[candidates[:, kernels.OFFER], kernels.POOL], candidates[:, kernels.LOCK] * 1.0 * members
    )
    pools = offers[:-1, kernels.POOL]
    return [np.flatnonzero(pools == pool).tolist() for pool in np.flatnonzero(drawn > canon.purse * 0.999)]


def _part(canon: Canon, rows: Numbers, sites: Numbers) -> Canon:
    bids, want, candidates, offers = canon.tables
    place = np.zeros(len(offers), np.int64)
    place[sites] = np.arange(len(sites))
    taken, first = spans(bids[:, kernels.CANDIDATE], rows)
    listed = candidates[taken]
    listed[:, kernels.OFFER] = place[listed[:, kernels.OFFER]]
    devices, begins = spans(offers[:, kernels.FIRST], sites)
    here = np.append(bids[rows], bids[-1:], axis=0)
    here[:, kernels.CANDIDATE] = first
    lay_out(here)
    lent = np.append(offers[sites], offers[-1:], axis=0)
    lent[:, kernels.FIRST] = begins
    return replace(
        canon,
        tables=(here, want[rows], listed, lent),
        room=(canon.room[0][sites], canon.room[1][devices]),
        bid_rows=canon.bid_rows[rows],
        offer_rows=canon.offer_rows[sites],
    )
