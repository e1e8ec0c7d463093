"""Why a deployment that was cut off is taken up again instead of paid twice: every transaction is written
down before it is sent, and a contract's address follows from its sender and nonce.

The journal is a JSON file. It holds signed transactions, no key; who has it can only do what was meant.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import rlp
from eth_abi.abi import encode
from eth_typing import HexStr
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes

from contracts.loader import artifact
from ledger.chain.abi import JURY, MARKET, TOKEN
from ledger.chain.constructor import market_constructor
from ledger.chain.keys import Signer, UnsignedTransaction
from ledger.chain.rpc import Rpc
from ledger.chain.typed_data import keccak
from ledger.chain.wallet import Patience
from ledger.market.errors import Broken, LostRace, Rejected, Unavailable
from ledger.market.identity import Address, text
from ledger.market.policy import Policy

TEST_TOKEN = ("Bingwang Test Credit", "BWC", 6, 10**15 * 10**6)
"""name, symbol, decimals and supply (base units) of a token that the deployer holds whole"""
GAS_CAP = 16_777_216
"""what one transaction may use (EIP-7825)"""
_SPARE_GAS_PERCENT = 10
_RESEND_SECONDS = 5.0
_DEARER_PERCENT = 115
"""a replacement must offer at least 10 % more than what it replaces"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPlan:
    """What a new market fixes for good. Without a `token` a test token is created, all of it the
    deployer's; a zero `guardian` means that nobody may pause; `arbiter` is a key or a contract."""

    guardian: Address
    arbiter: Address
    policy: Policy
    token: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedContract:
    """One contract that is on the chain: by which transaction, in which block, with which encoded
    constructor arguments."""

    name: str
    address: Address
    transaction: bytes
    block: int
    arguments: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A market on its chain; `created` in the order of creation, the market last."""

    chain_id: int
    deployer: Address
    token: Address
    jury: Address
    market: Address
    block: int
    """the market's: what is to be read of the chain begins here"""
    created: tuple[CreatedContract, ...]


def deploy(rpc: Rpc, key: Signer, plan: DeploymentPlan, journal: Path, patience: Patience) -> Deployment:
    """Create the jury and the market (and a test token where the plan names none), each in a transaction
    of `key`'s account, and wait for them. Called again with the same journal it goes on where it was.

    `Rejected` "no-coin-for-gas", "reverted", "deployment-differs" (the journal is another plan's, key's or
    chain's), "journal-unreadable"; `Unavailable` "not-mined" or "rpc-unreachable": call again; `Broken`
    "deployment-failed" where a creation was mined and left no such code.
    """
    chain_id = rpc.ask(lambda: int(rpc.eth.chain_id))
    work = _Work(rpc, key, patience, _Journal(journal, _header(chain_id, key.address, plan)))
    created: list[CreatedContract] = []
    token = plan.token
    if token is None:
        created.append(work.create(TOKEN, encode(["string", "string", "uint8", "uint256"], TEST_TOKEN)))
        token = created[-1].address
    jury = work.create(JURY, b"")
    arguments = market_constructor(token, plan.guardian, plan.arbiter, jury.address, plan.policy)
    market = work.create(MARKET, arguments)
    return Deployment(
        chain_id=chain_id,
        deployer=key.address,
        token=token,
        jury=jury.address,
        market=market.address,
        block=market.block,
        created=(*created, jury, market),
    )


def _header(chain_id: int, deployer: Address, plan: DeploymentPlan) -> dict[str, Any]:
    return {
        "chain_id": chain_id,
        "deployer": text(deployer),
        "token": text(plan.token) if plan.token else None,
        "guardian": text(plan.guardian),
        "arbiter": text(plan.arbiter),
        "policy": asdict(plan.policy),
    }


class _Journal:
    """What was signed so far: contract name to nonce and the transactions that carry it, newest last."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self._path = path
        self._header = header
        self._signed: dict[str, tuple[int, list[bytes]]] = {}
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            document = json.loads(self._path.read_text("utf-8"))
            header, contracts = document["plan"], document["contracts"]
            self._signed = {
                name: (entry["nonce"], [bytes.fromhex(raw[2:]) for raw in entry["transactions"]])
                for name, entry in contracts.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise Rejected(
                "journal-unreadable",
                f"{self._path} is not the journal of a deployment.",
                "Name another file, or the one that a deployment wrote.",
            ) from exc
        if header != self._header:
            raise Rejected(
                "deployment-differs",
                f"{self._path} records the deployment of another plan, account or chain.",
                "Repeat exactly what it records, or name another file to deploy anew.",
                recorded=header,
            )

    def signed(self, name: str) -> tuple[int, list[bytes]] | None:
        return self._signed.get(name)

    def keep(self, name: str, nonce: int, transactions: list[bytes]) -> None:
        """Whole or not at all, and on the disk before it returns."""
        self._signed[name] = (nonce, transactions)
        contracts = {
            name: {"nonce": nonce, "transactions": [text(raw) for raw in raws]}
            for name, (nonce, raws) in self._signed.items()
        }
        partial_path = self._path.with_name(f".{self._path.name}.partial")
        with partial_path.open("w", encoding="utf-8") as file:
            json.dump({"plan": self._header, "contracts": contracts}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial_path.replace(self._path)


class _Work:
    """One deployment under way."""

    def __init__(self, rpc: Rpc, key: Signer, patience: Patience, journal: _Journal) -> None:
        self._rpc = rpc
        self._key = key
        self._patience = patience
        self._journal = journal

    def create(self, name: str, arguments: bytes) -> CreatedContract:
        code = artifact(name).bytecode + arguments
        known = self._journal.signed(name)
        nonce, transactions = known or (self._next_nonce(), [])
        if not transactions:
            self._sign(name, nonce, transactions, code)
        mined = self._mined(name, nonce, transactions, code)
        if mined is None:  # another transaction of the account took the nonce, so these are void
            self._journal.keep(name, self._next_nonce(), [])
            return self.create(name, arguments)
        address = _address_of(self._key.address, nonce)
        self._check(name, mined, address)
        return CreatedContract(
            name=name,
            address=address,
            transaction=bytes(mined["transactionHash"]),
            block=int(mined["blockNumber"]),
            arguments=arguments,
        )

    def _next_nonce(self) -> int:
        account = to_checksum_address(self._key.address)
        return self._rpc.ask(lambda: int(self._rpc.eth.get_transaction_count(account, "pending")))

    def _sign(self, name: str, nonce: int, transactions: list[bytes], code: bytes) -> None:
        raw = self._signed(nonce, code, dearer=bool(transactions))
        transactions.append(raw)
        self._journal.keep(name, nonce, transactions)

    def _signed(self, nonce: int, code: bytes, *, dearer: bool) -> bytes:
        """By EIP-1559 where the chain has a base fee, else by gas price (EIP-155)."""
        gas, chain_id = self._gas(code), self._rpc.ask(lambda: int(self._rpc.eth.chain_id))
        head = self._rpc.ask(lambda: self._rpc.eth.get_block("latest"))
        percent = _DEARER_PERCENT if dearer else 100
        if "baseFeePerGas" not in head:
            price = self._rpc.ask(lambda: int(self._rpc.eth.gas_price)) * percent // 100
            return _legacy(self._key, [nonce, price, gas, b"", 0, code], chain_id)
        tip = self._rpc.ask(lambda: int(self._rpc.eth.max_priority_fee)) * percent // 100
        unsigned = UnsignedTransaction(
            chain_id=chain_id,
            nonce=nonce,
            to=Address(b""),
            data=code,
            gas=gas,
            max_fee=2 * int(head["baseFeePerGas"]) * percent // 100 + tip,
            tip=tip,
        )
        return self._key.sign_transaction(unsigned).raw

    def _gas(self, code: bytes) -> int:
        call: Any = {"from": to_checksum_address(self._key.address), "data": HexStr(text(code))}
        needed = self._rpc.ask(lambda: int(self._rpc.eth.estimate_gas(call)))
        return min(needed + needed * _SPARE_GAS_PERCENT // 100, GAS_CAP)

    def _mined(self, name: str, nonce: int, transactions: list[bytes], code: bytes) -> Any | None:  # noqa: ANN401 - web3's receipt
        """The receipt of whichever of the transactions was mined; None where their nonce is lost."""
        clock, patience = self._patience.clock, self._patience
        began, send_at = clock(), clock()
        while (now := clock()) - began < patience.seconds:
            if found := self._receipt(transactions):
                return found
            if now >= send_at:
                send_at = now + _RESEND_SECONDS
                lost = self._send(transactions[-1])
                if lost == "underpriced":
                    self._sign(name, nonce, transactions, code)
                    send_at = now
                elif lost == "nonce-too-low" and not self._exists(nonce):
                    return None
            patience.sleep(patience.pause)
        raise Unavailable(
            "not-mined",
            f"The creation of {name} is not in a block after {patience.seconds:g} seconds.",
            "Call again with the same journal; it goes on with the same transaction.",
            transaction=text(keccak(transactions[-1])),
        )

    def _receipt(self, transactions: list[bytes]) -> Any | None:  # noqa: ANN401 - web3's receipt
        for raw in transactions:
            ask: Callable[[], Any] = partial(self._rpc.eth.get_transaction_receipt, HexBytes(keccak(raw)))
            try:
                return self._rpc.ask(ask)
            except LostRace:
                continue
        return None

    def _send(self, raw: bytes) -> str:
        """The code of the race that it lost, "" otherwise; the same bytes twice are one transaction."""
        try:
            self._rpc.ask(lambda: self._rpc.eth.send_raw_transaction(HexBytes(raw)))
        except LostRace as lost:
            if lost.code not in ("underpriced", "nonce-too-low"):
                raise
            return lost.code
        except Rejected as refused:
            if "already known" not in str(refused).lower():
                raise
        return ""

    def _exists(self, nonce: int) -> bool:
        return bool(self._code(_address_of(self._key.address, nonce)))

    def _code(self, address: Address) -> bytes:
        return self._rpc.ask(lambda: bytes(self._rpc.eth.get_code(to_checksum_address(address))))

    def _check(self, name: str, mined: Any, address: Address) -> None:  # noqa: ANN401 - web3's receipt
        expected = artifact(name).runtime_bytecode
        code = self._code(address)
        # Behind the runtime code stand the immutable values.
        if mined["status"] != 1 or code[: len(expected)] != expected:
            raise Broken(
                "deployment-failed",
                f"Transaction {text(bytes(mined['transactionHash']))} did not create {name}.",
                "Look at the transaction; deploy anew with another journal.",
                address=text(address),
            )


def _address_of(sender: Address, nonce: int) -> Address:
    """Where a creation by this account ends up (Ethereum yellow paper, §7)."""
    return Address(keccak(rlp.encode([sender, nonce]))[12:])


def _legacy(key: Signer, fields: list[Any], chain_id: int) -> bytes:
    """A transaction with a gas price, bound to its chain (EIP-155)."""
    signature = key.sign(keccak(rlp.encode([*fields, chain_id, 0, 0])))
    r, parity_and_s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    v = 35 + 2 * chain_id + (parity_and_s >> 255)
    return bytes(rlp.encode([*fields, v, r, parity_and_s & (2**255 - 1)]))
