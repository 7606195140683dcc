# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of the lab leaves nothing behind but the image."""

from __future__ import annotations

import pytest
from lab import PODMAN, Lab


def test_destroy_leaves_nothing_behind(lab: Lab, keep: bool) -> None:
    if keep:
        pytest.skip("--keep leaves the lab up")
    name, directory = lab.name, lab.directory
    lab.molecule("destroy")
    assert not directory.exists()
    assert f"{name}-" not in lab.run(PODMAN, "ps", "--all", "--format", "{{.Names}}")
    assert name not in lab.run(PODMAN, "network", "ls", "--format", "{{.Name}}").split()
