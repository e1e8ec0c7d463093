"""Usage lines in a Merkle tree, so that the one root that a receipt carries stands for every line before it.

A receipt's `evidence` is the root over all lines of its lease so far. Whoever holds a line and its path can
show it to a stranger who sees nothing but the chain, and no line can be changed, left out or put in before
another once a later root is signed. The shape and the separation of leaves from nodes are those of RFC 6962,
section 2.1, with keccak-256 for SHA-256; the hash function is an argument, since it is not in the standard
library. The tree of no lines has the root `NO_DIGEST`.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.market.errors import LostRace, Rejected
from ledger.market.identity import NO_DIGEST, Digest, LeaseId, text
from ledger.market.ranges import exact_bytes, unsigned

Hash = Callable[[bytes], bytes]
"""keccak-256: 32 bytes of any bytes"""

LONGEST_PATH = 64
_LEAF, _NODE = b"\0", b"\1"
_TAG = b"bingwang/usage/2"
_LAYOUT = struct.Struct(">16s32sQQQQB")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLine:
    """One report of a lease's usage, counted from 0: milliseconds, CPU nanoseconds and peak bytes of memory
    since its start. `last` says that the container has ended and that no line follows."""

    lease: LeaseId
    sequence: int
    milliseconds: int
    cpu_ns: int
    peak_bytes: int
    last: bool

    def __post_init__(self) -> None:
        exact_bytes("lease", self.lease, 32)
        for name in ("sequence", "milliseconds", "cpu_ns", "peak_bytes"):
            unsigned(name, getattr(self, name), 63)
        if type(self.last) is not bool:
            raise Rejected("field-type", "last is neither true nor false.", "Give one of the two.")

    def encoded(self) -> bytes:
        """A 16-byte tag, the lease's 32 bytes, sequence, milliseconds, CPU nanoseconds and peak bytes as
        64-bit big-endian integers, and one byte for `last`."""
        numbers = (self.sequence, self.milliseconds, self.cpu_ns, self.peak_bytes)
        return _LAYOUT.pack(_TAG, self.lease, *numbers, self.last)


def leaf(line: UsageLine, keccak: Hash) -> bytes:
    """The hash that stands for a line."""
    return keccak(_LEAF + line.encoded())


def _node(left: bytes, right: bytes, keccak: Hash) -> bytes:
    return keccak(_NODE + left + right)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTree:
    """The lines of one lease so far, as little of them as the next root needs: how many, the newest, and
    the roots of the full subtrees from the left, a power of two of leaves each."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()
    newest: UsageLine | None = None

    def root(self, keccak: Hash) -> Digest:
        """What a receipt for these lines carries as `evidence`."""
        if not self.peaks:
            return NO_DIGEST
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = _node(peak, root, keccak)
        return Digest(root)

    def followed_by(self, line: UsageLine, keccak: Hash) -> "UsageTree":
        """The tree with one more line.

        `LostRace` "usage-lines-differ" where it is not the next one; `Rejected` where it is another lease's,
        comes after a last one, or takes time back. A last line may: a termination can cut off what was
        reported.
        """
        self._check(line)
        peaks, size = [*self.peaks, leaf(line, keccak)], self.size
        while size & 1:
            right, left = peaks.pop(), peaks.pop()
            peaks.append(_node(left, right, keccak))
            size >>= 1
        return UsageTree(size=self.size + 1, peaks=tuple(peaks), newest=line)

    def _check(self, line: UsageLine) -> None:
        before = self.newest
        if line.sequence != self.size:
            raise lines_differ(line.lease, self.size)
        if before is None:
            return
        if before.lease != line.lease:
            raise Rejected("other-lease", "The line is of another lease.", "Give each lease its own lines.")
        if before.last:
            raise Rejected("usage-ended", "A line follows the lease's last one.", "Send the last line again.")
        if line.milliseconds < before.milliseconds and not line.last:
            raise Rejected(
                "usage-falls",
                f"{line.milliseconds} ms are reported after {before.milliseconds} ms.",
                "Report the time since the lease's start, which only grows.",
            )


NO_LINES = UsageTree()
"""before the first line; its root is `NO_DIGEST`"""


def lines_differ(lease: LeaseId, held: int) -> LostRace:
    """Two sides do not have the same lines; the one that says so holds `held` of them."""
    return LostRace(
        "usage-lines-differ",
        f"Line {held} of the lease {text(lease)} comes next here, after the lines that are held.",
        "Compare the lines, and go on from the first one that is missing.",
        held=held,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageProof:
    """That `line` is among the first `lines` lines of its lease: the hashes beside its way to the root."""

    line: UsageLine
    lines: int
    path: tuple[bytes, ...]

    def __post_init__(self) -> None:
        unsigned("lines", self.lines, 63)
        if self.line.sequence >= self.lines:
            raise _bad_proof("The line comes after the lines that the root is over.")
        if len(self.path) > LONGEST_PATH:
            raise _bad_proof(f"The path has {len(self.path)} hashes.")
        for hashed in self.path:
            exact_bytes("path", hashed, 32)

    def root(self, keccak: Hash) -> Digest:
        """The root that this proof leads to; it proves nothing unless the chain shows the same one.

        `Rejected` "usage-proof-malformed" where the path is too short or too long for its tree.
        """
        index, top, root = self.line.sequence, self.lines - 1, leaf(self.line, keccak)
        path = iter(self.path)
        while top:
            if index & 1 or index < top:
                beside = next(path, None)
                if beside is None:
                    raise _bad_proof("The path is too short for its tree.")
                root = _node(beside, root, keccak) if index & 1 else _node(root, beside, keccak)
            index, top = index >> 1, top >> 1
        if next(path, None) is not None:
            raise _bad_proof("The path is too long for its tree.")
        return Digest(root)


def prove(lines: Sequence[UsageLine], sequence: int, keccak: Hash) -> UsageProof:
    """The proof of one of `lines`, which are all lines of their lease that the root is over, in order."""
    path: list[bytes] = []
    row, index = [leaf(line, keccak) for line in lines], sequence
    while len(row) > 1:
        if index ^ 1 < len(row):
            path.append(row[index ^ 1])
        pairs = [_node(row[i], row[i + 1], keccak) for i in range(0, len(row) - 1, 2)]
        # The odd one at the end goes up as it is.
        row, index = pairs + row[len(pairs) * 2 :], index >> 1
    return UsageProof(line=lines[sequence], lines=len(lines), path=tuple(path))


def _bad_proof(cause: str) -> Rejected:
    return Rejected("usage-proof-malformed", cause, "Ask for the proof again.")
