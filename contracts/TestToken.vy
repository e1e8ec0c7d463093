# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Plain ERC-20 with a fixed supply and permits (ERC-2612), for embedded grids and tests
@license Apache-2.0
@notice The deployer holds the whole supply; nobody can mint or burn.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

implements: IERC20
implements: IERC20Detailed

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    value: uint256

event Approval:
    owner: indexed(address)
    spender: indexed(address)
    value: uint256

VERSION: constant(String[1]) = "1"
DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
PERMIT_TYPE: constant(bytes32) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)
# Half of secp256k1's order; a 64-digit hex literal would be bytes32.
HALF_ORDER: constant(uint256) = (
    57896044618658097711785492504343953926418782139537452191302581570759080747168
)

name: public(String[32])
symbol: public(String[8])
decimals: public(uint8)
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
nonces: public(HashMap[address, uint256])


@deploy
def __init__(name: String[32], symbol: String[8], decimals: uint8, supply: uint256):
    """
    @notice Fixes the token's names and supply for good; the deployer holds it all.
    @param name For people, and of the EIP-712 domain.
    @param symbol For people.
    @param decimals How many digits of the base unit a wallet shows behind the point.
    @param supply Base units.
    """
    self.name = name
    self.symbol = symbol
    self.decimals = decimals
    self.totalSupply = supply
    self.balanceOf[msg.sender] = supply
    log Transfer(sender=empty(address), receiver=msg.sender, value=supply)


@internal
def _move(sender: address, receiver: address, amount: uint256):
    assert receiver != empty(address), "token: no receiver"
    assert self.balanceOf[sender] >= amount, "token: balance too small"
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=sender, receiver=receiver, value=amount)


@external
def transfer(receiver: address, amount: uint256) -> bool:
    """
    @notice Sends the caller's tokens.
    @param receiver Who gets them; not the zero address.
    @param amount Base units.
    @return Always true; refusals revert.
    """
    self._move(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    """
    @notice Sends another's tokens within the allowance given to the caller.
    @param owner Whose tokens.
    @param receiver Who gets them; not the zero address.
    @param amount Base units. An allowance of 2^256 - 1 is not used up.
    @return Always true; refusals revert.
    """
    allowed: uint256 = self.allowance[owner][msg.sender]
    assert allowed >= amount, "token: allowance too small"
    if allowed != max_value(uint256):
        self.allowance[owner][msg.sender] = allowed - amount
    self._move(owner, receiver, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Lets another spend up to an amount of the caller's tokens, replacing what it might before.
    @param spender Who may spend.
    @param amount Base units.
    @return Always true.
    """
    self._approve(msg.sender, spender, amount)
    return True


@internal
def _approve(owner: address, spender: address, amount: uint256):
    self.allowance[owner][spender] = amount
    log Approval(owner=owner, spender=spender, value=amount)


@internal
@view
def _domain_separator() -> bytes32:
    # Not kept: a fork with another chain id must not share permits with this chain.
    return keccak256(
        abi_encode(DOMAIN_TYPE, keccak256(self.name), keccak256(VERSION), chain.id, self)
    )


@external
def permit(
    owner: address,
    spender: address,
    amount: uint256,
    deadline: uint256,
    v: uint8,
    r: bytes32,
    s: bytes32,
):
    """
    @notice Sets an allowance that the owner signed (ERC-2612); anybody may deliver it, once.
    @param owner Who signed.
    @param spender Who may spend the owner's tokens.
    @param amount Base units, replacing what the spender might spend before.
    @param deadline The last second at which the permit counts.
    @param v Recovery id of the signature, 27 or 28.
    @param r Of the signature.
    @param s Of the signature, not above half the curve's order.
    """
    assert block.timestamp <= deadline, "token: permit expired"
    assert owner != empty(address), "token: permit signature"
    assert convert(s, uint256) <= HALF_ORDER, "token: permit signature"
    nonce: uint256 = self.nonces[owner]
    permitted: bytes32 = keccak256(
        abi_encode(PERMIT_TYPE, owner, spender, amount, nonce, deadline)
    )
    digest: bytes32 = keccak256(concat(x"1901", self._domain_separator(), permitted))
    assert ecrecover(digest, v, r, s) == owner, "token: permit signature"
    self.nonces[owner] = nonce + 1
    self._approve(owner, spender, amount)


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice The EIP-712 domain separator of this token on this chain.
    @return The separator.
    """
    return self._domain_separator()


@external
@view
def eip712Domain() -> (
    bytes1, String[32], String[1], uint256, address, bytes32, DynArray[uint256, 1]
):
    """
    @notice The EIP-712 domain (EIP-5267): name, version, chain id and this contract.
    @return Fields 0x0f, name, version, chain id, contract, no salt, no extensions.
    """
    return (
        0x0f,
        self.name,
        VERSION,
        chain.id,
        self,
        empty(bytes32),
        empty(DynArray[uint256, 1]),
    )
