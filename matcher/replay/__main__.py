"""`python -m matcher.replay`: see `matcher.replay.command`."""

from matcher.replay.command import main

if __name__ == "__main__":
    raise SystemExit(main())
