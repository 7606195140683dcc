# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that several tests use."""

from __future__ import annotations

import pytest
from clusters import MULTI_NODE, Cluster, make_cluster


@pytest.fixture
def cluster() -> Cluster:
    return make_cluster(MULTI_NODE)
