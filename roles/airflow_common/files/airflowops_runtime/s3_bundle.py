# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DAGs from an object store that speaks S3, also while it is away.

Each task looks into the store when it starts, and so does the DAG processor. Of the Amazon provider's own
bundle was seen (9.39.0):

- While the store is away, tasks fail and a restarted DAG processor has no DAGs, whatever lies on the disk.
- A file that was overwritten by one of the same size is not fetched where the host's clock is ahead.
- Each look removes the bytecode that Python has left (`__pycache__`), also while others write it.
- Of several DAG processors one looks, and the others go on with old files: Airflow takes the look of one for
  that of all, where a bundle has no versions.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from pathlib import Path, PurePosixPath
from typing import Any

from airflow.providers.amazon.aws.bundles.s3 import S3DagBundle
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, SSLError
from botocore.exceptions import ConnectionError as NotConnected

# After a look at a store that is away, tasks begin without one: each would wait until it gives up.
AWAY_SECONDS = 30


class StoreError(Exception):
    """What the store holds is not fit to be taken."""


def away(error: BaseException) -> bool:
    """True if it is the store, or the way to it, that is at fault."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429
    return isinstance(error, (NotConnected, HTTPClientError)) and not isinstance(error, SSLError)


class S3Bundle(S3DagBundle):
    def __init__(self, **kwargs: Any) -> None:
        self._looked = -math.inf
        super().__init__(**kwargs)
        self.s3_dags_dir = self.base_dir / "dags"
        # Written when the copy is whole, with where it is from and the store's tag of each file.
        self.state_file = self.base_dir / "whole.json"
        self.away_file = self.base_dir / "away"

    @property
    def refresh_interval(self) -> int:
        """Seconds to be gone since any DAG processor's look: none, where one of this process is due."""
        return self._refresh_interval if time.monotonic() - self._looked < self._refresh_interval else 0

    @refresh_interval.setter
    def refresh_interval(self, seconds: int) -> None:
        self._refresh_interval = seconds

    def _initialize(self) -> None:
        with self.lock():
            if not (self._away_lately() and self.copy()):
                self.refresh()

    def refresh(self) -> None:
        with self.lock():
            self._looked = time.monotonic()
            try:
                self.fetch()
            except (BotoCoreError, ClientError, StoreError) as error:
                if not self.copy():
                    raise
                self.away_file.touch()
                self._log.warning("The store cannot be read: goes on with what is here", error=str(error))

    def problem(self) -> str:
        """What keeps the store from being read, in its words; empty if nothing does."""
        try:
            with self.lock():
                self.fetch()
        except Exception as error:
            return "" if away(error) and self.copy() else str(error)
        return ""

    def fetch(self) -> None:
        """What differs takes its place at the end, within a moment: nobody meets half of what he imports."""
        there = self._listing()
        here = self.copy()
        changed = [
            path for path, tag in there.items() if here.get(path) != tag or not (self.path / path).is_file()
        ]
        bucket = self.s3_hook.get_bucket(self.bucket_name)
        new = self.base_dir / "new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for number, path in enumerate(changed):
            bucket.download_file(self._prefix + path, str(new / str(number)))
        if changed or here.keys() != there.keys() or not self.state_file.exists():
            self.state_file.unlink(missing_ok=True)
            self._remove_all_but(there)
            for number, path in enumerate(changed):
                target = self.path / path
                target.parent.mkdir(parents=True, exist_ok=True)
                (new / str(number)).replace(target)
            self.state_file.write_text(json.dumps({"source": self._source, "tags": there}))
        self.away_file.unlink(missing_ok=True)

    def copy(self) -> dict[str, str]:
        """The store's tags of the files here; none where they are not all here, or are from elsewhere."""
        try:
            state = json.loads(self.state_file.read_text())
        except (OSError, ValueError):
            return {}
        return state["tags"] if state["source"] == self._source else {}

    @property
    def _prefix(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def _source(self) -> str:
        return f"{self.s3_hook.conn_config.endpoint_url or ''} {self.bucket_name} {self.prefix}"

    def _listing(self) -> dict[str, str]:
        tags = {
            entry.key.removeprefix(self._prefix): entry.e_tag
            for entry in self.s3_hook.get_bucket(self.bucket_name).objects.filter(Prefix=self._prefix)
            if not entry.key.endswith("/")
        }
        if not tags:
            # Somebody's mistake rather than the wish to have no DAGs.
            raise StoreError(f"there is nothing in s3://{self.bucket_name}/{self._prefix}")
        for path in tags:
            if path.startswith("/") or ".." in PurePosixPath(path).parts:
                raise StoreError(f"the key {self._prefix}{path} leads out of the folder of the DAGs")
        return tags

    def _away_lately(self) -> bool:
        try:
            return time.time() - self.away_file.stat().st_mtime < AWAY_SECONDS
        except FileNotFoundError:
            return False

    def _remove_all_but(self, kept: dict[str, str]) -> None:
        for name, _, files in os.walk(self.path, topdown=False):
            folder = Path(name)
            if folder.name == "__pycache__":
                continue
            for file in map(folder.joinpath, files):
                if file.relative_to(self.path).as_posix() not in kept:
                    file.unlink()
            if all(entry.name == "__pycache__" for entry in folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)
        self.path.mkdir(parents=True, exist_ok=True)
