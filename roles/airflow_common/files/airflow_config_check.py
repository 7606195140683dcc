# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names the options of an airflow.cfg that Airflow does not know, and would ignore without a word.

    airflow_config_check.py RELEASE FILE

RELEASE is the virtualenv of the Airflow that is to read FILE; without one, nothing is said. What Airflow
and its providers know stands in lists of their own, which are read without importing Airflow, as that takes
seconds. A section that resembles no known one is a user's own, and so are the options of Celery's
transports and of Sentry.
"""

from __future__ import annotations

import configparser
import difflib
import runpy
import sys
from pathlib import Path
from typing import Any

FREE_SECTIONS = ("celery_broker_transport_options", "celery_result_backend_transport_options", "sentry")
# Airflow runs the command, or asks the secrets backend for the name, that such an option holds.
SUFFIXES = ("_cmd", "_secret")


def known_options(airflow: Path) -> dict[str, set[str]]:
    """{section: names of its options} of an installed Airflow."""
    sys.path.insert(0, str(airflow.parent))
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (airflow / "config_templates/config.yml").read_text(encoding="utf-8")
    lists: list[dict[str, Any]] = [yaml.load(text, Loader=loader)]
    for file in airflow.glob("providers/**/get_provider_info.py"):
        lists.append(runpy.run_path(str(file))["get_provider_info"]().get("config") or {})
    known: dict[str, set[str]] = {}
    for sections in lists:
        for section, content in sections.items():
            known.setdefault(section, set()).update(content.get("options") or {})
    return known


def did_you_mean(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(names), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def hint_of(option: str, names: set[str], known: dict[str, set[str]]) -> str:
    """Options move from section to section between versions of Airflow."""
    elsewhere = [section for section, options in known.items() if option in options]
    return f" (did you mean that of [{elsewhere[0]}]?)" if elsewhere else did_you_mean(option, names)


def complaints(config: configparser.RawConfigParser, known: dict[str, set[str]]) -> list[str]:
    found = []
    for section in config.sections():
        if section not in known:
            near = difflib.get_close_matches(section, sorted(known), n=1, cutoff=0.8)
            found += [f"the section [{section}] (did you mean [{name}]?)" for name in near]
            continue
        names = known[section] | {name + suffix for name in known[section] for suffix in SUFFIXES}
        found += [
            f"[{section}] {option}{hint_of(option, names, known)}"
            for option in config.options(section)
            if option not in names and section not in FREE_SECTIONS
        ]
    return found


def main(release: str, file: str) -> int:
    airflow = next(Path(release).glob("lib/python3*/site-packages/airflow"), None)
    if airflow is None or not (airflow / "config_templates/config.yml").exists():
        return 0
    config = configparser.RawConfigParser()
    try:
        config.read_string(Path(file).read_text(encoding="utf-8"))
    except configparser.Error as error:
        # What it says quotes the line, which may hold a password.
        print(
            f"airflow_config: airflow.cfg cannot be read ({type(error).__name__}): correct it",
            file=sys.stderr,
        )
        return 1
    wrong = complaints(config, known_options(airflow))
    for words in wrong:
        print(f"airflow_config: Airflow does not know {words}: correct or remove it", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
