# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""install_uv.py REQUIREMENTS TARGET: installs uv with the pip that the distribution keeps for venv.

A virtualenv with a pip of its own would do the same in three times the CPU time.
"""

from __future__ import annotations

import runpy
import sys
import sysconfig
from pathlib import Path

requirements, target = sys.argv[1:]
wheels = sorted(Path(str(sysconfig.get_config_var("WHEEL_PKG_DIR"))).glob("pip-*.whl"))
if not wheels:
    sys.exit("The distribution's pip for virtual environments is missing: install python3-venv or its like.")
sys.path.insert(0, str(wheels[0]))
sys.argv = ["pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-compile"]
sys.argv += ["--require-hashes", "--upgrade", "--target", target, "--requirement", requirements]
runpy.run_module("pip", run_name="__main__")
