"""Which rules an epoch was cleared by: a version that people compare, and a hash of the code that decides.

The version is raised with every change after which the same book gives another result. The sources' hash
tells also what nobody meant to change; two installations of one release have the same.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from ledger.market.identity import Digest
from matcher.bundle.bencode import Item, encode

RULES_VERSION: Final = 1


def sources_hash(sources: Mapping[str, bytes]) -> Digest:
    """SHA-256 over the files that decide, by their names in order: line ends count as they stand in git."""
    listed: list[Item] = []
    for name in sorted(sources):
        listed += [name.encode(), sources[name].replace(b"\r\n", b"\n")]
    return Digest(sha256(encode(listed)).digest())
