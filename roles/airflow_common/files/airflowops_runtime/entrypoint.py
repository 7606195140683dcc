# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Airflow's command line, with the patches of the service that it starts.

python -m airflowops_runtime.entrypoint scheduler
python -m airflowops_runtime.entrypoint api-server ...
python -m airflowops_runtime.entrypoint triggerer
"""

from __future__ import annotations

import sys

from airflowops_runtime.apply import apply_for


def main() -> int:
    from airflow.__main__ import main as airflow

    # How Airflow names its processes, and the commands in its log.
    sys.argv[0] = "airflow"
    return airflow()


# An API server of several processes imports this module in each of them, under another name.
apply_for(sys.argv[1] if len(sys.argv) > 1 else "")

if __name__ == "__main__":
    sys.exit(main())
