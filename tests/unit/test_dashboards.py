# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboards ask for metrics that are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_data import ROLE

DASHBOARDS = sorted((ROLE / "files/dashboards").glob("*.json"))


# --- Dashboards


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    assert board["uid"] == f"airflowops-{path.stem}"
    assert board["title"]
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"] and panel["datasource"]["uid"] == "${datasource}"
        assert all(target["expr"] for target in panel["targets"])
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_the_dashboards_are_there() -> None:
    assert [path.stem for path in DASHBOARDS] == ["airflow", "broker", "hosts", "metastore", "overview"]
