# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One topology in the lab for all tests of a session. The files are run in the order of their numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab
from monitoring import Monitoring
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--topology", default="multi_node", help="multi_node, single_node, small or rough")
    parser.addoption(
        "--keep", action="store_true", help="use the lab that is up, and leave it up (for work on the tests)"
    )
    parser.addoption("--also", action="append", default=[], help="one more inventory, such as of added hosts")
    parser.addoption("--long", action="store_true", help="also what the gate has no time for")
    parser.addoption("--long-of", action="append", default=[], help="the same, of this file of tests alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    topology = config.getoption("--topology")
    for item in items:
        marker = item.get_closest_marker("topology")
        if marker and topology not in marker.args:
            item.add_marker(pytest.mark.skip(reason=f"needs the topology {' or '.join(marker.args)}"))
        # Here, so that nothing is prepared for what is not run.
        elif (
            "long" in getattr(item, "fixturenames", ())
            and not config.getoption("--long")
            and item.path.name not in config.getoption("--long-of")
        ):
            item.add_marker(pytest.mark.skip(reason="takes minutes: --long"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "topology(name): runs in these topologies only")


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Lab:
    lab = Lab(pytestconfig.getoption("--topology"))
    lab.inventories += [Path(path).resolve() for path in pytestconfig.getoption("--also")]
    if lab.ca:
        # For every urlopen: only what our authority has signed is believed.
        os.environ["SSL_CERT_FILE"] = str(lab.ca)
    return lab


@pytest.fixture(scope="session")
def keep(pytestconfig: pytest.Config) -> bool:
    return pytestconfig.getoption("--keep")


@pytest.fixture(scope="session")
def monitoring(lab: Lab) -> Monitoring:
    if not lab.inventory.get("monitoring", {}).get("hosts"):
        pytest.skip("no host in the group monitoring")
    return Monitoring(lab)


@pytest.fixture
def long() -> None:
    """Of what is run with --long alone."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With what failed come the last complaints of each host: the lab is gone when it is read."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed and lab:
        report.sections += [(f"the journal of {host}", lab.complaints(host)) for host in lab.hosts]
    return report


@pytest.fixture(scope="module")
def home(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chromium believes the authorities in its user's database."""
    home = tmp_path_factory.mktemp("home")
    if lab.ca:
        database = home / ".pki/nssdb"
        database.mkdir(parents=True)
        certutil = ("certutil", "-d", f"sql:{database}")
        lab.run(*certutil, "-N", "--empty-password")
        lab.run(*certutil, "-A", "-n", "lab", "-t", "C,,", "-i", lab.ca)
    return home


@pytest.fixture(scope="module")
def browser(home: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=QUIET, env={**os.environ, "HOME": str(home)}
        )
        yield browser
        browser.close()
