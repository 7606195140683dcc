# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers for a test, ended after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_servers import Flavor, Servers, flavor_or_skip

# The longest files, longest first: what is begun last must not be waited for alone.
LONG_FILES = (
    "test_queued_tasks.py",
    "test_worker_pause.py",
    "test_redis_cluster_life.py",
    "test_upstream.py",
    "test_airflow_objects.py",
    "test_redis_cluster.py",
    "test_runtime_patches.py",
    "test_certificate_rotation.py",
    "test_renamed_symbols.py",
    "test_other_brokers.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: number for number, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    started = Servers(tmp_path)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def system() -> Flavor:
    return flavor_or_skip("system")
