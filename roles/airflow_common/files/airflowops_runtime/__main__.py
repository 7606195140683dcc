# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m airflowops_runtime check"""

from __future__ import annotations

import sys

from airflowops_runtime.check import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
