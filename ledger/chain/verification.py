"""Why anybody can read a market's source beside its address: what the block explorers ask for, ready to send.

Each service compiles the standard JSON again and compares bytecodes. Sources: Sourcify APIv2
(`POST /v2/verify/{chainId}/{address}`), Blockscout (`vyper-standard-input`), Etherscan V2
(`verifysourcecode`, `codeformat=vyper-json`).
"""

import json
from urllib.parse import urlencode

from contracts.loader import artifact, standard_input
from ledger.chain.deployment import CreatedContract, Deployment
from ledger.market.identity import text

LICENSE = "apache_2_0"
_ETHERSCAN_LICENSE = "12"
"""Apache 2.0 in Etherscan's numbering"""


def verification_bundle(deployment: Deployment) -> dict[str, str]:
    """File name to content: for each contract its standard JSON and one request per service, and a
    `README.md` with the commands that send them."""
    files = {"README.md": _readme(deployment)}
    for created in deployment.created:
        folder = created.name
        files |= {
            f"{folder}/standard-input.json": standard_input(folder),
            f"{folder}/constructor-arguments.hex": created.arguments.hex(),
            f"{folder}/sourcify.json": _sourcify(created),
            f"{folder}/blockscout.json": _blockscout(created),
            f"{folder}/etherscan.form": _etherscan(created),
        }
    return files


def _identifier(name: str) -> str:
    return f"contracts/{name}.vy:{name}"


def _sourcify(created: CreatedContract) -> str:
    return _json(
        {
            "stdJsonInput": json.loads(standard_input(created.name)),
            "compilerVersion": artifact(created.name).compiler,
            "contractIdentifier": _identifier(created.name),
            "creationTransactionHash": text(created.transaction),
        }
    )


def _blockscout(created: CreatedContract) -> str:
    """Fields of a multipart form; `files[0]` is the file's name beside it."""
    return _json(
        {
            "compiler_version": f"v{artifact(created.name).compiler}",
            "license_type": LICENSE,
            "files[0]": "standard-input.json",
        }
    )


def _etherscan(created: CreatedContract) -> str:
    release = artifact(created.name).compiler.partition("+")[0]
    return urlencode(
        {
            "module": "contract",
            "action": "verifysourcecode",
            "codeformat": "vyper-json",
            "sourceCode": standard_input(created.name),
            "contractaddress": text(created.address),
            "contractname": _identifier(created.name),
            "compilerversion": f"vyper:{release}",
            "optimizationUsed": "1",
            "constructorArguments": created.arguments.hex(),
            "licenseType": _ETHERSCAN_LICENSE,
        }
    )


def _json(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"


def _readme(deployment: Deployment) -> str:
    parts = [
        f"# Source verification on chain {deployment.chain_id}\n\n"
        "Set `BLOCKSCOUT` to the explorer's address and `ETHERSCAN_KEY` to a key of Etherscan's API;\n"
        "run the commands of the services that know this chain, in this folder.\n"
    ]
    return "\n".join(parts + [_commands(deployment.chain_id, created) for created in deployment.created])


def _commands(chain_id: int, created: CreatedContract) -> str:
    at, name, compiler = text(created.address), created.name, artifact(created.name).compiler
    return f"""## {name} at {at}

```
curl -H 'Content-Type: application/json' --data @{name}/sourcify.json \\
  https://sourcify.dev/server/v2/verify/{chain_id}/{at}
curl -F compiler_version=v{compiler} -F license_type={LICENSE} \\
  -F 'files[0]=@{name}/standard-input.json;type=application/json' \\
  "$BLOCKSCOUT/api/v2/smart-contracts/{at}/verification/via/vyper-standard-input"
curl --data @{name}/etherscan.form "https://api.etherscan.io/v2/api?chainid={chain_id}&apikey=$ETHERSCAN_KEY"
```
"""
