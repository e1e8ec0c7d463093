"""EVM programs as text, for tests that need an opcode the contracts do not use."""

from eth.vm import opcode_values

_OPCODES = {name: value for name, value in vars(opcode_values).items() if name.isupper()}


def assembled(program: str) -> bytes:
    """Opcode names, and hexadecimal bytes as they are."""
    return b"".join(
        bytes((_OPCODES[word],)) if word in _OPCODES else bytes.fromhex(word) for word in program.split()
    )


def creation(runtime: str) -> bytes:
    """Creation code that leaves `runtime`."""
    code = assembled(runtime)
    return assembled(f"PUSH2 {len(code):04x} DUP1 PUSH1 0a PUSH0 CODECOPY PUSH0 RETURN") + code


def returning(size: int) -> str:
    """Return the first `size` bytes of memory."""
    return f"PUSH2 {size:04x} PUSH0 RETURN"


def calling(kind: str, to: bytes, *, value: int = 0, size: int = 0, gas: int = 100_000) -> str:
    """One call with the first `size` bytes of memory, its success left on the stack."""
    money = f"PUSH4 {value:08x}" if kind in ("CALL", "CALLCODE") else ""
    return f"PUSH0 PUSH0 PUSH2 {size:04x} PUSH0 {money} PUSH20 {to.hex()} PUSH3 {gas:06x} {kind}"


def creating(init: bytes, *, value: int = 0, salt: int | None = None) -> str:
    """One creation by `init` (at most 32 bytes), the new address left on the stack."""
    kind = "CREATE" if salt is None else f"PUSH1 {salt:02x} SWAP3 SWAP2 SWAP1 CREATE2"
    return f"PUSH{len(init)} {init.hex()} PUSH0 MSTORE PUSH1 {len(init):02x} PUSH1 {32 - len(init):02x} " + (
        f"PUSH4 {value:08x} {kind}"
    )
