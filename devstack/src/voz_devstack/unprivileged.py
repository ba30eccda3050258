"""Run a command as another user: PostgreSQL's server refuses to run as root.

`python -m voz_devstack.unprivileged USER [--reach PATH]… -- COMMAND…`, started by root, becomes the command.

A checkout may lie in a folder that only root can enter, such as root's home. Its access rights are not ours to change.
Then, and only then, the command keeps one capability of root's: to pass and read where file modes forbid it.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import pwd
import struct
import sys
from collections.abc import Sequence

ACCOUNT = "nobody"

# linux/prctl.h, linux/securebits.h and linux/capability.h
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS, _NO_SETUID_FIXUP = 28, 1 << 2
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAP_DAC_OVERRIDE, _CAP_SETPCAP = 1, 8
_CAPABILITY_VERSION_3 = 0x20080522


def as_account(command: Sequence[str], *, reach: Sequence[os.PathLike[str]] = ()) -> list[str]:
    """The command line that runs `command` as the unprivileged account when we are root; otherwise the command itself.

    `reach` are the paths that the command must get at.
    """
    if os.geteuid() != 0:
        return list(command)
    reaching = [part for path in reach for part in ("--reach", os.fspath(path))]
    return [sys.executable, "-m", "voz_devstack.unprivileged", ACCOUNT, *reaching, "--", *command]


def own(path: os.PathLike[str]) -> None:
    """Give a file or folder to the unprivileged account, if we are root."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(ACCOUNT)
        os.chown(path, account.pw_uid, account.pw_gid)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run a command as another user.")
    parser.add_argument("user")
    parser.add_argument("--reach", action="append", default=[], metavar="PATH", help="what the command must get at")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    _become(arguments.user, [arguments.command[0], *arguments.reach])
    os.execv(arguments.command[0], arguments.command)


def _become(user: str, reach: Sequence[str]) -> None:
    account = pwd.getpwnam(user)
    libc = ctypes.CDLL(None, use_errno=True)
    # The capabilities stay permitted but not effective over the change of user: what follows is seen as that user.
    _checked(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    os.environ |= {"USER": user, "LOGNAME": user}
    closed = [path for path in reach if not os.access(path, os.R_OK | os.X_OK)]
    try:
        if closed:
            _lend_right_of_way(libc)
        else:
            _keep(libc)
    except OSError as error:
        raise SystemExit(
            f"{closed[0] if closed else user}: the user {user} can't enter it, and root may not lend its right to"
            f" ({error.strerror}). Move the checkout to a folder that others may enter, or work as an ordinary user."
        ) from error


def _lend_right_of_way(libc: ctypes.CDLL) -> None:
    _keep(libc, _CAP_DAC_OVERRIDE, _CAP_SETPCAP)
    # Without this access(2), by which PostgreSQL looks for its programs, would leave the capability out of account.
    _checked(libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0))
    _keep(libc, _CAP_DAC_OVERRIDE)
    _checked(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))


def _keep(libc: ctypes.CDLL, *capabilities: int) -> None:
    """capset(2): effective, permitted and inheritable become exactly these."""
    bits = sum(1 << capability for capability in capabilities)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _checked(libc.capset(header, struct.pack("=6I", bits, bits, bits, 0, 0, 0)))


def _checked(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    main()
