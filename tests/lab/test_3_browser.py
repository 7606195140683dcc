# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees through nginx, in a real browser.

With AIRFLOWOPS_SCREENSHOTS=1 the pictures of the docs are made again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import ROOT, Lab, wait_until
from playwright.sync_api import Browser, Page, expect

SECONDS = 1000
PATIENCE = 30 * SECONDS


@pytest.fixture(scope="module")
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, base_url=lab.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()


def picture(page: Page, name: str, tmp_path: Path) -> None:
    directory = ROOT / "docs/images" if os.environ.get("AIRFLOWOPS_SCREENSHOTS") == "1" else tmp_path
    directory.mkdir(exist_ok=True)
    page.screenshot(path=directory / f"{name}.png")


def test_log_in_and_list_the_dags(page: Page, lab: Lab, tmp_path: Path) -> None:
    page.goto("/")
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(lab.secret("admin"))
    page.locator("[type=submit]").first.click()
    page.goto("/dags")
    expect(page.get_by_text("hello_world2").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("test_ha_celery_workers").first).to_be_visible()
    picture(page, "ui", tmp_path)


def test_unpause_trigger_and_watch_the_grid(page: Page, lab: Lab, tmp_path: Path) -> None:
    lab.airflow.patch("dags/hello_world2", {"is_paused": True})
    page.goto("/dags/hello_world2")
    pause = page.get_by_test_id("toggle-pause").first
    pause.click()
    expect(pause.locator("input")).to_be_checked(timeout=PATIENCE)
    # The switch moves before the server has answered.
    wait_until("the DAG runs", lambda: not lab.airflow.get("dags/hello_world2")["is_paused"], timeout=30)
    page.get_by_test_id("trigger-dag-button").click()
    page.get_by_test_id("trigger-dag-submit").click()
    # It leads to the run, whose states are drawn again until it has ended.
    expect(page).to_have_url(re.compile("/dags/hello_world2/runs/manual__"), timeout=PATIENCE)
    expect(page.get_by_test_id("header-card").get_by_text("Success")).to_be_visible(timeout=PATIENCE)
    for task in ("task_for_q1", "task_for_q2"):
        cell = page.locator(f"[data-testid^=grid-manual__][data-testid$={task}]").first
        expect(cell.get_by_test_id("task-state-badge")).to_be_visible(timeout=PATIENCE)
    picture(page, "grid", tmp_path)


def test_read_the_log_of_a_task_from_its_worker(page: Page, lab: Lab, tmp_path: Path) -> None:
    """Of the run that the browser has triggered."""
    run = re.search(r"/runs/([^/?]+)", page.url)
    assert run
    tasks = lab.airflow.get(f"dags/hello_world2/dagRuns/{run[1]}/taskInstances")["task_instances"]
    (task,) = (task for task in tasks if task["queue"] == "cloudwalker_q2")
    page.get_by_role("link", name=task["task_id"]).last.click()
    served = page.get_by_text(f"cloudwalker_q2 served by {task['hostname'].partition('.')[0]}").first
    expect(served).to_be_visible(timeout=PATIENCE)
    picture(page, "task-log", tmp_path)


def test_the_rest_api_answers(page: Page, tmp_path: Path) -> None:
    # The browser's own session is good for the API too.
    page.goto("/api/v2/dags/hello_world2/dagRuns?limit=3&order_by=-id")
    expect(page.locator("body")).to_contain_text(re.compile(r'"dag_id":\s*"hello_world2"'))
    picture(page, "rest-api", tmp_path)


def test_flower_shows_every_worker(browser: Browser, lab: Lab, tmp_path: Path) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 640},
        base_url=lab.url,
        http_credentials={"username": "flower", "password": lab.secret("flower")},
    )
    page = context.new_page()
    page.goto("/flower/workers")
    for host in lab.group("airflow_worker"):
        for worker in lab.variables(host)["airflow_workers"]:
            expect(page.get_by_text(f"{worker['name']}@{host}").first).to_be_visible(timeout=PATIENCE)
    picture(page, "flower", tmp_path)
    context.close()
