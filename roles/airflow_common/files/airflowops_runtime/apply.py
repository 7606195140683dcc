# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies patches to this process: those that are wanted and fit. Nothing here ever stops a service.

AIRFLOWOPS_PATCHES_OFF in the environment names patches, or kinds of them, that are not wanted.

What became of the patches stands in patches.json of the unit's RuntimeDirectory=, where health checks and
metrics read it.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflowops_runtime.patch import Patch, check_target, load
from airflowops_runtime.registry import KINDS, PATCHES

SWITCH = "AIRFLOWOPS_PATCHES_OFF"
STATE_FILE = "patches.json"
LONGEST_REASON = 300

log = logging.getLogger("airflowops_runtime")


@dataclass(frozen=True)
class Result:
    """state: on, off (not wanted), skipped (does not fit), absent (what it changes is not installed)."""

    state: str
    reason: str = ""


# Of this process.
results: dict[str, Result] = {}


def switched_off() -> set[str]:
    """Names of patches, also where a kind is named."""
    named = set(os.environ.get(SWITCH, "").replace(",", " ").split())
    return {name for name, patch in PATCHES.items() if named & {name, patch.kind}}


def unknown_names() -> list[str]:
    named = set(os.environ.get(SWITCH, "").replace(",", " ").split())
    return sorted(named - PATCHES.keys() - set(KINDS))


def installed(package: str) -> str:
    """Its version; empty if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def attempt(patch: Patch) -> Result:
    if patch.name in switched_off():
        return Result("off", f"named in {SWITCH}")
    if patch.program and not shutil.which(patch.program):
        return Result("absent", f"{patch.program} is not installed")
    try:
        for target in patch.targets:
            check_target(target)
        install = load(patch.install)
        # A class is used by what asks for it.
        if not isinstance(install, type):
            install()
    except Exception as error:
        if not installed(patch.packages[0]):
            return Result("absent", f"{patch.packages[0]} is not installed")
        return Result("skipped", " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON])
    return Result("on")


def apply(*names: str) -> None:
    """Applies the patches, each once."""
    new = {name: attempt(PATCHES[name]) for name in names if name not in results}
    if not new:
        return
    if not results and (unknown := unknown_names()):
        report(f"{SWITCH} names no patch: {', '.join(unknown)}")
    results.update(new)
    for name, result in new.items():
        if result.state == "skipped":
            report(f"The patch {name} is skipped, as it does not fit: {result.reason}")
    write_state()


def is_on(name: str) -> bool:
    apply(name)
    return results[name].state == "on"


def main_process() -> bool:
    """False in what a service has started; True also where systemd has not started it."""
    return os.environ.get("SYSTEMD_EXEC_PID", str(os.getpid())) == str(os.getpid())


def report(text: str) -> None:
    """Once for a service, not by each of its processes."""
    if main_process():
        log.warning(text)


def write_state() -> None:
    directory = os.environ.get("RUNTIME_DIRECTORY")
    if not directory or "SYSTEMD_EXEC_PID" not in os.environ or not main_process():
        return
    file = Path(directory, STATE_FILE)
    try:
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps({name: asdict(result) for name, result in results.items()}))
        partial.chmod(0o644)
        partial.rename(file)
    except OSError as error:
        log.warning("%s cannot be written: %s", file, error)


def choose(name: str, upstream: str) -> Any:
    """Our class if the patch is on, upstream's otherwise."""
    return load(PATCHES[name].install if is_on(name) else upstream)


def apply_for(service: str, patches: Iterable[Patch] = tuple(PATCHES.values())) -> None:
    apply(*(patch.name for patch in patches if service in patch.services.split()))
