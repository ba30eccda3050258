"""`voz-keys`: make an API key. The key itself is printed once; the keys file holds only its hash."""

from __future__ import annotations

import argparse
import sys

import yaml

from voz_streamkit.http.auth import SCOPES, hash_key, new_key


def main(arguments: list[str] | None = None) -> int:
    """Print a new key and the entry for the keys file."""
    parser = argparse.ArgumentParser(prog="voz-keys", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="make a key: the key on standard error, its YAML entry on standard output")
    new.add_argument("--id", required=True, help="a name for the key, seen in logs")
    new.add_argument("--tenant", required=True, help="the tenant that it belongs to")
    new.add_argument("--scope", action="append", choices=SCOPES, required=True, help="what it may do; can be repeated")
    chosen = parser.parse_args(arguments)
    key = new_key()
    print(f"the key, shown once: {key}", file=sys.stderr)
    entry = {"id": chosen.id, "tenant": chosen.tenant, "sha256": hash_key(key), "scopes": chosen.scope}
    print(yaml.safe_dump([entry], sort_keys=False), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
