# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that modules of the collection had are still known."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsiblePluginRemovedError
from ansible.plugins.loader import action_loader, module_loader

ROOT = Path(__file__).resolve().parents[2]
ROUTING = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))["plugin_routing"]
LOADERS = {"modules": module_loader, "action": action_loader}
NEW_NAMES = [
    (kind, old, entry["redirect"])
    for kind, names in ROUTING.items()
    for old, entry in names.items()
    if "redirect" in entry
]


@pytest.mark.parametrize(("kind", "old", "new"), NEW_NAMES)
def test_an_old_name_leads_to_the_new_one(kind: str, old: str, new: str) -> None:
    found = LOADERS[kind].find_plugin_with_context(f"airflowops.cluster.{old}")
    assert found.resolved
    assert found.resolved_fqcn == new


@pytest.mark.parametrize("kind", ["modules", "action"])
def test_a_module_that_is_redirected_takes_its_action_along(kind: str) -> None:
    for old, entry in ROUTING["modules"].items():
        name = entry.get("redirect", "").rpartition(".")[2]
        if (ROOT / f"plugins/action/{name}.py").exists():
            assert ROUTING[kind][old] == entry


def test_a_module_that_is_gone_is_refused_with_what_to_use() -> None:
    with pytest.raises(AnsiblePluginRemovedError, match=r"checksum_algorithm=sha256"):
        module_loader.find_plugin_with_context("airflowops.cluster.path_digests")


def test_no_old_name_is_in_use() -> None:
    for names in ROUTING.values():
        for old in names:
            assert not [*ROOT.glob(f"plugins/*/{old}.*")]
