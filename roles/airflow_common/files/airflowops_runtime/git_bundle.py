# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DAGs from a git repository, also while its server is away.

The Git provider's own bundle throws its copy of the repository away when a fetch fails, to clone it again: a
server that is away for a minute leaves a restarted DAG processor without DAGs, and a worker without the
versions that it had. Nor does it follow a repository to another URL (both seen with 1.0.1). And it waits for
a server that never answers without end, while whoever needs a bundle on this host waits for it.
"""

from __future__ import annotations

import os
import re
from contextlib import nullcontext

import structlog
from airflow.providers.git.bundles.git import GitDagBundle
from git import Git
from git.exc import GitCommandError

log = structlog.get_logger(__name__)

# What git says when it is the server, or the way to it, that is at fault.
AWAY = re.compile(
    r"resolve host|onnection (refused|timed out|reset|closed)|connect to|no route to host|unreachable|"
    r"error: (5\d\d|429)",
    re.IGNORECASE,
)
REFERENCES = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
# Seconds. A fetch that takes longer is given up: what is here is gone on with.
FETCH_SECONDS = 300
# Until a server has to name its branches.
ANSWER_SECONDS = 30
# HTTPS: seconds without a byte, git-config(1) `http.lowSpeedTime`.
os.environ.setdefault("GIT_HTTP_LOW_SPEED_LIMIT", "1")
os.environ.setdefault("GIT_HTTP_LOW_SPEED_TIME", "30")
COMMIT = re.compile(r"[0-9a-f]{7,64}")


class GitBundle(GitDagBundle):
    def _fetch_bare_repo(self) -> None:
        # The provider goes on with the URL that it cloned from.
        if self.bare_repo.remotes.origin.url != self.repo_url:
            self.bare_repo.remotes.origin.set_url(self.repo_url)
        try:
            self._fetch()
        except GitCommandError as error:
            if not self._whole():
                raise
            # What git says names the server and the reason, and no secret.
            log.warning(
                "The repository cannot be fetched: goes on with what is here", error=error.stderr.strip()
            )

    def _fetch(self) -> None:
        """As the provider does, in bounded time."""
        command = self.hook.env.get("GIT_SSH_COMMAND") if self.hook else None
        with self.bare_repo.git.custom_environment(**({"GIT_SSH_COMMAND": command} if command else {})):
            self.bare_repo.remotes.origin.fetch(REFERENCES, kill_after_timeout=FETCH_SECONDS)
        self.bare_repo.close()

    def _whole(self) -> bool:
        """True if the copy has all of what is tracked, so that it is the server that is at fault."""
        try:
            self.bare_repo.git.rev_list("--objects", "--quiet", self.version or self.tracking_ref)
            return True
        except GitCommandError:
            return False

    def problem(self) -> str:
        """What keeps the repository from being read, in git's words; empty if nothing does."""
        try:
            with self.hook.configure_hook_env() if self.hook else nullcontext():
                environment = self.hook.env if self.hook else {}
                found = Git().ls_remote(
                    self.repo_url, self.tracking_ref, env=environment, kill_after_timeout=ANSWER_SECONDS
                )
        except GitCommandError as error:
            if "did not complete in" in error.stderr:
                # What GitPython says quotes the URL, which may hold a token.
                return "" if self.bare_repo_path.exists() else f"no answer within {ANSWER_SECONDS} s"
            if self.bare_repo_path.exists() and AWAY.search(error.stderr):
                return ""
            return error.stderr
        if not found and not COMMIT.fullmatch(self.tracking_ref):
            return f"it has no branch or tag {self.tracking_ref}"
        try:
            self.initialize()
            return ""
        except Exception as error:
            return getattr(error.__cause__, "stderr", "") or str(error)
