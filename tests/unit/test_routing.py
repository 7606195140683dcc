# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that modules of the collection had are refused with what to use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsiblePluginRemovedError
from ansible.plugins.loader import module_loader

ROOT = Path(__file__).resolve().parents[2]
FORMER = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))["plugin_routing"]["modules"]


@pytest.mark.parametrize("name", sorted(FORMER))
def test_a_former_module_is_refused_with_one_that_is_there(name: str) -> None:
    with pytest.raises(AnsiblePluginRemovedError) as refusal:
        module_loader.find_plugin_with_context(f"airflowops.cluster.{name}")
    named = re.findall(
        r"(?:airflowops\.cluster|ansible\.builtin)\.\w+", FORMER[name]["tombstone"]["warning_text"]
    )
    assert named
    for module in named:
        assert module in str(refusal.value)
        assert module_loader.find_plugin_with_context(module).resolved


@pytest.mark.parametrize("name", sorted(FORMER))
def test_a_former_name_is_not_in_use(name: str) -> None:
    assert not [*ROOT.glob(f"plugins/*/{name}.*")]
