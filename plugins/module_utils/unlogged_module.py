# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For modules that are given secrets within lists."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule


class QuietModule(AnsibleModule):
    """Notes nothing of how it was called in the host's journal.

    Ansible hides secrets there, but looks for them as they are, in the text that Python makes of a list: one
    with line breaks or quotes is written in another way there, and not found.
    """

    def _log_invocation(self) -> None:
        pass
