# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DAGs from a git repository, also while its server is away.

    python -m airflowops_bundles

has the repositories of this host cloned before a service needs them, and what is in object stores fetched
(airflowops_s3). It looks at the store of the logs, too (airflowops_logs).

The Git provider's own bundle throws its copy of the repository away when a fetch fails, to clone it anew: a
server that is away for a minute leaves a restarted DAG processor without DAGs, and a worker without the
versions that it had. Nor does it follow a repository to another URL (both seen with 1.0.1).
"""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext

import structlog
from airflow.providers.git.bundles.git import GitDagBundle
from git import Git
from git.exc import GitCommandError

log = structlog.get_logger(__name__)


class GitBundle(GitDagBundle):
    def _fetch_bare_repo(self) -> None:
        # The provider goes on with the URL that it cloned from.
        if self.bare_repo.remotes.origin.url != self.repo_url:
            self.bare_repo.remotes.origin.set_url(self.repo_url)
        try:
            super()._fetch_bare_repo()
        except GitCommandError as error:
            if not self._whole():
                raise
            # What git says names the server and the reason, and no secret.
            log.warning(
                "The repository cannot be fetched: goes on with what is here", error=error.stderr.strip()
            )

    def _whole(self) -> bool:
        """True if the copy has all of what is tracked, so that it is the server that is at fault."""
        try:
            self.bare_repo.git.rev_list("--objects", "--quiet", self.version or self.tracking_ref)
            return True
        except GitCommandError:
            return False


# What git says when it is the server, or the way to it, that is at fault.
AWAY = re.compile(
    r"resolve host|onnection (refused|timed out|reset|closed)|connect to|no route to host|unreachable|"
    r"error: (5\d\d|429)",
    re.IGNORECASE,
)
COMMIT = re.compile(r"[0-9a-f]{7,64}")


def problem(bundle: GitDagBundle) -> str:
    """What keeps a repository from being read, in git's words; empty if nothing does."""
    try:
        with bundle.hook.configure_hook_env() if bundle.hook else nullcontext():
            environment = bundle.hook.env if bundle.hook else {}
            found = Git().ls_remote(bundle.repo_url, bundle.tracking_ref, env=environment)
    except GitCommandError as error:
        if bundle.bare_repo_path.exists() and AWAY.search(error.stderr):
            return ""
        return error.stderr
    if not found and not COMMIT.fullmatch(bundle.tracking_ref):
        return f"it has no branch or tag {bundle.tracking_ref}"
    try:
        bundle.initialize()
        return ""
    except Exception as error:
        return getattr(error.__cause__, "stderr", "") or str(error)


def main() -> int:
    """Brings the copies of all bundles from elsewhere up to date; tells what cannot be read, logs too."""
    from airflow.configuration import conf
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    problems = {}
    for bundle in DagBundlesManager().get_all_dag_bundles():
        if isinstance(bundle, GitDagBundle):
            problems[bundle.name] = problem(bundle)
        elif hasattr(bundle, "problem"):
            problems[bundle.name] = bundle.problem()
    if conf.get("logging", "logging_config_class", fallback="").startswith("airflowops_logs."):
        from airflowops_logs import REMOTE_TASK_LOG

        problems["airflow_remote_logs"] = REMOTE_TASK_LOG.problem()
    for name, text in problems.items():
        if text:
            print(f"{name}: {' '.join(text.split())}")
    return 1 if any(problems.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
