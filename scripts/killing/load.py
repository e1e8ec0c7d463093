"""The witness: sends transactions to a chain that keeps dying, and writes down what was acknowledged.

It is a process of its own, so that no kill takes its notes. An acknowledgement is a receipt: "transaction
hash, block hash, block number", one line each, appended as soon as the receipt is seen. What was not
acknowledged is sent again, the same bytes, as a wallet would.
"""

import sys
import time
from pathlib import Path
from typing import Any

import httpx
from eth_account import Account

AMOUNT = 1
AT_ONCE = 24
PAUSE = 0.01
_TRANSFER = bytes.fromhex("a9059cbb")  # transfer(address,uint256)


def main() -> None:
    """load.py CHAIN_DIRECTORY NOTES: send until killed."""
    directory, notes = Path(sys.argv[1]), Path(sys.argv[2])
    with notes.open("a", encoding="ascii") as file:
        witness = Witness(directory)
        while True:
            for line in witness.acknowledged():
                file.write(line)
            file.flush()


class Witness:
    """Signs token transfers of the faucet's account one after another and follows them to their receipts."""

    def __init__(self, directory: Path) -> None:
        self._url = directory / "rpc.url"
        self._key = Account.from_key((directory / "faucet.key").read_text(encoding="ascii"))
        self._waiting: dict[str, str] = {}
        self._interrupted = False
        self._client = httpx.Client(timeout=5)
        self._status: dict[str, Any] = self._insist("bingwang_status")
        self._nonce = int(self._insist("eth_getTransactionCount", self._key.address, "latest"), 16)

    def acknowledged(self) -> list[str]:
        """Keep transactions under way; the notes of those whose receipts came meanwhile."""
        try:
            self._send_again()
            self._fill()
            answers = self._ask([("eth_getTransactionReceipt", [key]) for key in self._waiting])
        except (httpx.HTTPError, OSError, ValueError):
            self._interrupted = True
            time.sleep(PAUSE)
            return []
        notes = []
        for receipt in (answer.get("result") for answer in answers):
            if receipt is not None:
                self._waiting.pop(receipt["transactionHash"])
                notes.append(
                    f"{receipt['transactionHash']} {receipt['blockHash']} {int(receipt['blockNumber'], 16)}\n"
                )
        if not notes:
            time.sleep(PAUSE)
        return notes

    def _fill(self) -> None:
        calls: list[tuple[str, list[object]]] = []
        while len(self._waiting) < AT_ONCE:
            signed = self._key.sign_transaction(self._transfer())
            self._waiting[f"0x{signed.hash.hex()}"] = raw = f"0x{signed.raw_transaction.hex()}"
            self._nonce += 1
            calls.append(("eth_sendRawTransaction", [raw]))
        if calls:
            self._ask(calls)

    def _send_again(self) -> None:
        # What waited in the chain's memory died with it; what was sealed answers "nonce too low".
        if self._interrupted and self._waiting:
            self._ask([("eth_sendRawTransaction", [raw]) for raw in self._waiting.values()])
        self._interrupted = False

    def _transfer(self) -> dict[str, Any]:
        to = self._nonce.to_bytes(32, "big")
        return {
            "type": 2,
            "chainId": int(self._status["chainId"], 16),
            "nonce": self._nonce,
            "gas": 120_000,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 1,
            "to": bytes.fromhex(self._status["contracts"]["token"][2:]),
            "data": _TRANSFER + to + AMOUNT.to_bytes(32, "big"),
        }

    def _insist(self, method: str, *parameters: object) -> Any:  # noqa: ANN401 - JSON
        while True:
            try:
                return self._ask([(method, list(parameters))])[0]["result"]
            except (httpx.HTTPError, OSError, ValueError):
                time.sleep(PAUSE)

    def _ask(self, calls: list[tuple[str, list[object]]]) -> list[dict[str, Any]]:
        url = self._url.read_text(encoding="ascii").strip()
        questions = [
            {"jsonrpc": "2.0", "id": place, "method": method, "params": parameters}
            for place, (method, parameters) in enumerate(calls)
        ]
        answers: list[dict[str, Any]] = self._client.post(url, json=questions).raise_for_status().json()
        return answers


if __name__ == "__main__":
    main()
