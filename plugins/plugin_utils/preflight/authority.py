# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the controller has the CA that the hosts trust, and may use its folder.

A second controller without the folder would make a CA of its own, and certificates that no running service
accepts.
"""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.host.authorities import authorities
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems

REPLACE = "replace the CA with playbooks/rotate_certificates.yml -e certificates_replace_ca=true"


def authority_facts(folder: Any, needed: bool = True) -> dict[str, Any]:
    """Of certificates_ca_directory on the controller: what it holds, and what is wrong with it."""
    facts: dict[str, Any] = {"folder": str(folder), "needed": needed, "problem": "", "held": []}
    if not needed:
        return facts
    if not isinstance(folder, str) or not Path(folder).is_absolute():
        return {**facts, "problem": "is no absolute path: write it out from / on"}
    facts["problem"] = access_problem(Path(folder))
    if not facts["problem"]:
        held = authorities(folder, "ca*.crt")
        facts["held"] = sorted({one for prints in held.values() for one in prints})
    return facts


def access_problem(folder: Path) -> str:
    user = user_name()
    there = folder
    try:
        while not there.exists():
            there = there.parent
        if there != folder:
            return "" if os.access(there, os.W_OK | os.X_OK) else (
                f"does not exist, and {user} may not make it in {there}: make it, or choose another folder"
            )  # fmt: skip
        if not folder.is_dir():
            return "is no folder: choose another path, or remove that file"
        barred = [] if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else [folder]
        if not barred:
            barred = [path for path in sorted(folder.iterdir()) if not os.access(path, os.R_OK)]
    except PermissionError as error:
        barred = [Path(error.filename)]
    return (
        f"cannot be used by {user}, who may not read or write {barred[0]}: "
        f"give the folder to that user with `sudo chown -R {user} {folder}`, or run as the user who made it"
        if barred
        else ""
    )


def user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"the user {os.getuid()}"


def check_authority(cluster: dict[str, Any], problems: Problems) -> None:
    """One folder of one controller: what the first host says of it holds for all."""
    facts = next((entry["authority"] for entry in cluster["hosts"].values() if entry.get("authority")), None)
    if not facts or not facts["needed"]:
        return
    if facts["problem"]:
        problems.add(
            f"certificates_ca_directory, {facts['folder']} on the controller, {facts['problem']}",
            *cluster["hosts"],
        )
        return
    trusted = {
        host: {one for prints in (entry.get("probe") or {}).get("authorities", {}).values() for one in prints}
        for host, entry in cluster["hosts"].items()
    }
    holding = [host for host, prints in trusted.items() if prints]
    # A host that was off while the CA was replaced has the old one; those around it have the new one.
    if not holding or any(prints.intersection(facts["held"]) for prints in trusted.values()):
        return
    have = "holds another CA than the one" if facts["held"] else "has no CA, but there is one"
    problems.add(
        f"certificates_ca_directory, {facts['folder']} on the controller, {have} that {{hosts}} trusts "
        "(/etc/airflowops/*-ca.crt): copy that folder from the controller that made it, or from your backup; "
        f"if it is lost, {REPLACE}",
        *holding,
    )
