"""Why an external signer sees what it signs: messages and transactions in the words of JSON-RPC.

Numbers beyond what JSON carries exactly are decimal texts in typed data, and hexadecimal quantities in
transactions. Sources: EIP-712's JSON schema, the Ethereum execution API.
"""

import json
import re

from ledger.chain.keys import UnsignedTransaction
from ledger.chain.typed_data import DOMAIN, TypedMessage, domain_values
from ledger.market.identity import Address, text

_TYPE = re.compile(r"(\w+)\((.*)\)")


def typed_plain(message: TypedMessage) -> dict[str, object]:
    """A message as `eth_signTypedData_v4` takes it."""
    primary, members = _members(message.type)
    values = zip(members, message.values, strict=True)
    return {
        "types": {"EIP712Domain": _members(DOMAIN)[1], primary: members},
        "primaryType": primary,
        "domain": _domain(message),
        "message": {member["name"]: _value(member["type"], value) for member, value in values},
    }


def typed_text(message: TypedMessage) -> str:
    """The same as one JSON text, as `eth_signTypedData` takes it."""
    return json.dumps(typed_plain(message), separators=(",", ":"))


def transaction_plain(sender: Address, fields: UnsignedTransaction) -> dict[str, str]:
    """A transaction as `eth_signTransaction` takes it; a creation has no `to`."""
    plain = {
        "type": "0x2",
        "from": text(sender),
        "chainId": hex(fields.chain_id),
        "nonce": hex(fields.nonce),
        "gas": hex(fields.gas),
        "maxFeePerGas": hex(fields.max_fee),
        "maxPriorityFeePerGas": hex(fields.tip),
        "value": hex(fields.value),
        "data": text(fields.data),
    }
    return plain | {"to": text(fields.to)} if fields.to else plain


def _domain(message: TypedMessage) -> dict[str, object]:
    name, version, chain_id, contract = domain_values(message.domain)
    return {"name": name, "version": version, "chainId": chain_id, "verifyingContract": text(contract)}


def _members(encoded: str) -> tuple[str, list[dict[str, str]]]:
    """The struct's name and its members, from `Name(type name,…)`."""
    matched = _TYPE.fullmatch(encoded)
    assert matched is not None
    pairs = (member.split(" ") for member in matched[2].split(","))
    return matched[1], [{"name": name, "type": kind} for kind, name in pairs]


def _value(kind: str, value: int | bytes | str) -> str | bool:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return text(value)
    return bool(value) if kind == "bool" else str(value)
