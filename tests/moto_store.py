# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S3 as moto plays it on this machine: it checks who asks."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError

# In the environment of who is not to reach it: it forgets all when it ends.
AWAY = {"HTTP_PROXY": "http://127.0.0.1:9"}
# What is done before it checks: the key is made, and may do everything in S3.
STEPS_BEFORE = 3
ALLOWED = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'


class Store:
    def __init__(self, address: str = "127.0.0.1") -> None:
        with socket.socket() as free:
            free.bind((address, 0))
            port = free.getsockname()[1]
        self.url = f"http://{address}:{port}"
        self.server = subprocess.Popen(
            [Path(sys.executable).with_name("moto_server"), "-H", address, "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true",
                "INITIAL_NO_AUTH_ACTION_COUNT": str(STEPS_BEFORE),
            },
        )
        iam = self.client("iam", "first", "first")
        deadline = time.monotonic() + 60
        while True:
            try:
                iam.create_user(UserName="airflow")
                break
            except BotoCoreError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        key = iam.create_access_key(UserName="airflow")["AccessKey"]
        self.access_key, self.secret_key = key["AccessKeyId"], key["SecretAccessKey"]
        iam.put_user_policy(UserName="airflow", PolicyName="all", PolicyDocument=ALLOWED)
        self.s3 = self.client("s3", self.access_key, self.secret_key)

    def client(self, service: str, access_key: str, secret_key: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
        )

    def place(self, url: str, **others: str) -> dict[str, str]:
        """As an input of the roles names it."""
        keys = {"access_key": self.access_key, "secret_key": self.secret_key}
        return {"s3": url, "endpoint": self.url, **keys, **others}

    def put(self, bucket: str, key: str, text: str) -> None:
        self.s3.put_object(Bucket=bucket, Key=key, Body=text.encode())

    def end(self) -> None:
        self.server.kill()
        self.server.wait()


@cache
def shared_store() -> Store:
    """One for all modules: it takes seconds to start."""
    # Not 127.0.0.1, which is asked without the dead proxy of AWAY.
    store = Store("127.0.0.2")
    atexit.register(store.end)
    return store
