"""`python -m node.cli` is `bingwang`, also where no console script is installed."""

from node.cli.main import main

main()
