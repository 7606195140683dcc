# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Task logs in an object store that speaks S3, also while it is away.

Of Amazon's provider (9.39.0) was seen: while the store is away, tasks go on and leave their logs on their
hosts, but the API server answers 500 to who wants to read one. And with `delete_local_logs` the upload of a
log removes the whole folder, with those of earlier tries that the store has not got.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow.providers.amazon.aws.log.s3_task_handler import S3RemoteLogIO
from botocore.exceptions import BotoCoreError, ClientError

from airflowops_runtime.s3_bundle import away


class RemoteLogs(S3RemoteLogIO):
    removes = False

    @classmethod
    def from_config(cls) -> RemoteLogs:
        logs = super().from_config()
        logs.removes, logs.delete_local_copy = logs.delete_local_copy, False
        return logs

    def upload(self, path: Any, ti: Any = None) -> None:
        super().upload(path, ti)
        file = Path(self.base_log_folder, path)
        # Emptied by the upload: the next part of the log begins there.
        if self.removes and file.is_file() and not file.stat().st_size:
            file.unlink()
            with suppress(OSError):
                file.parent.rmdir()

    def read(self, relative_path: str, ti: Any) -> Any:
        try:
            return super().read(relative_path, ti)
        except (BotoCoreError, ClientError) as error:
            # What is on the host of the task is looked at then.
            return [f"The store of the logs cannot be read: {error}"], None

    def problem(self) -> str:
        """What keeps the store from being read, in its words; empty if nothing does or it is away."""
        bucket, prefix = self.hook.parse_s3_url(self.remote_base)
        try:
            self.hook.get_conn().list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        except (BotoCoreError, ClientError) as error:
            return "" if away(error) else str(error)
        return ""
