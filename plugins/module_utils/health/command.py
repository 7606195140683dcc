# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands whose output is collected."""

from __future__ import annotations

import subprocess
from typing import Any, Sequence


class CollectError(Exception):
    """Why something cannot be collected, for people."""


def run(command: Sequence[str], timeout: float, **options: Any) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=timeout,
            cwd="/",
            check=False,
            **options,
        )
    except subprocess.TimeoutExpired:
        raise CollectError(f"{command[0]} did not end within {timeout:g} s") from None
    except OSError as error:
        raise CollectError(f"{command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise CollectError(lines[-1] if lines else f"{command[0]} ended with {done.returncode}")
    return done.stdout.decode(errors="replace")
