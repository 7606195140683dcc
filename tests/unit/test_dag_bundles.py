# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Airflow's configuration says of airflow_dag_bundles, what of it is secret, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils import dag_bundles
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.bundles import check_bundles
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nbase64\n-----END OPENSSH PRIVATE KEY-----"
SSH = {
    "name": "etl-dags",
    "git": "git@git.example.org:data/etl.git",
    "ssh_key": KEY,
    "known_hosts": "git.example.org ssh-ed25519 AAAA",
}
HTTPS = {"name": "web", "git": "https://git.example.org/data/web.git", "token": "glpat-x", "refresh": "15"}
S3 = {
    "name": "pond",
    "s3": "s3://dags/team/etl/",
    "endpoint": "https://s3.example.org:9000/",
    "access_key": "an-access-key",
    "secret_key": "s3cr3t/Key+of*some-length",
    "ca_file": "/etc/ssl/store.pem",
    "refresh": 30,
}
OTHER = {
    "name": "lake",
    "classpath": "airflow.providers.amazon.aws.bundles.s3.S3DagBundle",
    "kwargs": {"a": 1},
}


def test_what_airflow_is_told() -> None:
    config = dag_bundles.bundle_config([{**SSH, "subdir": "dags"}, HTTPS, OTHER], folder=True)
    assert [bundle["name"] for bundle in config] == ["dags-folder", "etl-dags", "web", "lake"]
    assert config[1] == {
        "name": "etl-dags",
        "classpath": "airflowops_runtime.dag_bundles.GitBundle",
        "kwargs": {
            "refresh_interval": 60,
            "git_conn_id": "airflowops_etl_dags",
            "tracking_ref": "main",
            "subdir": "dags",
        },
    }
    assert config[2]["kwargs"]["refresh_interval"] == 15
    assert config[3]["kwargs"] == {"refresh_interval": 60, "a": 1}
    assert dag_bundles.bundle_config([HTTPS], folder=False)[0]["name"] == "web"


def test_secrets_are_apart() -> None:
    secrets = dag_bundles.bundle_secrets([SSH, HTTPS, OTHER], "/etc/bundles")
    assert sorted(secrets) == [
        "AIRFLOWOPS_KEY_ETL_DAGS",
        "AIRFLOW_CONN_AIRFLOWOPS_ETL_DAGS",
        "AIRFLOW_CONN_AIRFLOWOPS_WEB",
    ]
    assert secrets["AIRFLOWOPS_KEY_ETL_DAGS"] == KEY + "\n"
    connection = json.loads(secrets["AIRFLOW_CONN_AIRFLOWOPS_ETL_DAGS"])
    assert connection["extra"] == {
        "key_file": "${CREDENTIALS_DIRECTORY}/AIRFLOWOPS_KEY_ETL_DAGS",
        "strict_host_key_checking": "yes",
        "known_hosts_file": "/etc/bundles/etl-dags.known_hosts",
    }
    assert json.loads(secrets["AIRFLOW_CONN_AIRFLOWOPS_WEB"])["password"] == "glpat-x"
    reported = json.dumps(
        [
            dag_bundles.bundle_config([SSH, HTTPS], folder=True),
            dag_bundles.bundle_files([SSH, HTTPS], "/etc/bundles"),
        ]
    )
    assert "base64" not in reported
    assert "glpat-x" not in reported


def test_a_place_in_an_object_store() -> None:
    (reported,) = dag_bundles.bundle_config([S3], folder=False)
    assert reported == {
        "name": "pond",
        "classpath": "airflowops_runtime.dag_bundles.S3Bundle",
        "kwargs": {
            "refresh_interval": 30,
            "aws_conn_id": "airflowops_pond",
            "bucket_name": "dags",
            "prefix": "team/etl",
            "view_url_template": "https://s3.example.org:9000/dags/team/etl",
        },
    }
    secrets = dag_bundles.bundle_secrets([S3], "/etc/bundles")
    assert list(secrets) == ["AIRFLOW_CONN_AIRFLOWOPS_POND"]
    connection = json.loads(secrets["AIRFLOW_CONN_AIRFLOWOPS_POND"])
    assert (connection["login"], connection["password"]) == (S3["access_key"], S3["secret_key"])
    assert connection["extra"]["endpoint_url"] == "https://s3.example.org:9000/"
    assert connection["extra"]["verify"] == "/etc/ssl/store.pem"
    assert connection["extra"]["config_kwargs"]["connect_timeout"] == 5
    assert connection["extra"]["config_kwargs"]["request_checksum_calculation"] == "when_required"


def test_a_place_at_amazon_by_the_role_of_the_machine() -> None:
    place = {"name": "pond", "s3": "s3://dags", "region": "eu-central-1"}
    kwargs = dag_bundles.bundle_config([place], folder=False)[0]["kwargs"]
    assert (kwargs["bucket_name"], kwargs["prefix"]) == ("dags", "")
    assert "view_url_template" not in kwargs
    connection = json.loads(dag_bundles.bundle_secrets([place], "")["AIRFLOW_CONN_AIRFLOWOPS_POND"])
    assert sorted(connection) == ["conn_type", "extra"]
    assert connection["extra"]["region_name"] == "eu-central-1"
    assert "request_checksum_calculation" not in connection["extra"]["config_kwargs"]


def test_keys_of_servers() -> None:
    assert dag_bundles.bundle_files([HTTPS], "/etc/bundles") == []
    assert [file["path"] for file in dag_bundles.bundle_files([SSH], "/etc/bundles")] == [
        "/etc/bundles",
        "/etc/bundles/etl-dags.known_hosts",
    ]


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("git@git.example.org:data/etl.git", ("ssh", "git.example.org", 22)),
        ("git.example.org:etl.git", ("ssh", "git.example.org", 22)),
        ("ssh://git@git.example.org:2222/etl.git", ("ssh", "git.example.org", 2222)),
        ("ssh://git@[2001:db8::1]/etl.git", ("ssh", "2001:db8::1", 22)),
        ("https://git.example.org/etl.git", ("https", "git.example.org", 443)),
        ("http://10.0.0.1:3000/etl.git", ("http", "10.0.0.1", 3000)),
        ("/srv/git/etl.git", None),
        ("https://git.example.org:port/etl.git", None),
        ("ftp://git.example.org/etl.git", None),
    ],
)
def test_servers(url: str, server: Any) -> None:
    assert dag_bundles.server_of(url) == server


def test_servers_and_copies() -> None:
    at_amazon = {"name": "pond", "s3": "s3://dags"}
    assert dag_bundles.bundle_servers([SSH, HTTPS, OTHER, S3, at_amazon, "no bundle"], "/bundles") == [
        {"server": "git.example.org:22", "copy": "/bundles/etl-dags/bare/HEAD"},
        {"server": "git.example.org:443", "copy": "/bundles/web/bare/HEAD"},
        {"server": "s3.example.org:9000", "copy": "/bundles/pond/whole.json"},
    ]
    assert dag_bundles.bundle_servers("no list", "/bundles") == []


@pytest.mark.parametrize(
    ("environment", "left"),
    [
        ({"HTTPS_PROXY": "http://proxy:3128"}, [SSH]),
        ({"all_proxy": "http://proxy:3128"}, [SSH]),
        ({"http_proxy": "http://proxy:3128", "https_proxy": ""}, [SSH, HTTPS, S3]),
        ("no dictionary", [SSH, HTTPS, S3]),
    ],
)
def test_what_goes_by_a_proxy_is_not_looked_for(environment: Any, left: list[dict[str, Any]]) -> None:
    found = dag_bundles.bundle_servers([SSH, HTTPS, S3], "/bundles", environment)
    assert found == dag_bundles.bundle_servers(left, "/bundles")


@pytest.mark.parametrize(
    "bundles",
    [
        [],
        [SSH],
        [HTTPS, OTHER, S3],
        [{"name": "here", "git": "/srv/git/etl.git"}],
        [{"name": "pond", "s3": "s3://my.bucket-1/a/b", "region": "eu-central-1"}],
    ],
)
def test_good_ones(bundles: list[dict[str, Any]]) -> None:
    assert dag_bundles.bundle_problems(bundles) == []


@pytest.mark.parametrize(
    ("bundles", "words"),
    [
        ({"name": "etl"}, "is no list"),
        ("etl", "is no list"),
        (["etl"], "Bundle 1 of airflow_dag_bundles is no dictionary"),
        ([{**HTTPS, "name": "Web"}], "Bundle Web of airflow_dag_bundles has no fit name"),
        ([{**HTTPS, "name": "dags-folder"}], "has no fit name"),
        ([{**HTTPS, "name": 5}], "Bundle 1 of airflow_dag_bundles has no fit name"),
        ([HTTPS, HTTPS], "names web 2 times"),
        ([{**HTTPS, "name": "a-b"}, {**HTTPS, "name": "a_b"}], "names a_b 2 times"),
        ([{**HTTPS, "tokens": "x"}], "has an option tokens that there is none of (did you mean token?)"),
        ([{**HTTPS, "refresh": "soon"}], "refresh that is no number of seconds from 5"),
        ([{**HTTPS, "refresh": 1}], "refresh that is no number of seconds from 5"),
        ([{"name": "etl"}], "needs one of git"),
        ([{**HTTPS, **OTHER}], "needs one of git"),
        ([{**S3, "git": "/srv/git"}], "needs one of git"),
        (
            [{**S3, "ref": "main"}],
            "Bundle pond of airflow_dag_bundles has ref, which goes with no s3: remove it",
        ),
        ([{**HTTPS, "region": "x", "kwargs": {}}], "has region and kwargs, which goes with no git"),
        ([{**S3, "s3": "dags/team"}], "has an s3 that names no place: write s3://BUCKET"),
        ([{**S3, "s3": "s3://My_Bucket"}], "has an s3 that names no place"),
        ([{**S3, "endpoint": "s3.example.org", "ca_file": ""}], "has an endpoint that is no URL"),
        ([{**S3, "endpoint": "https://me:x@s3.example.org"}], "has a login in its endpoint"),
        ([{**S3, "access_key": ""}], "has one of access_key and secret_key"),
        ([{**S3, "ca_file": "store.pem"}], "has a ca_file that is no path on the hosts"),
        ([{**S3, "endpoint": "http://s3.example.org"}], "which only an endpoint with https uses"),
        ([{**HTTPS, "git": "example"}], "has a git that is no URL"),
        ([{**SSH, "ssh_key": ""}], "needs ssh_key"),
        ([{**SSH, "ssh_key": "~/.ssh/id_ed25519"}], "is no private key"),
        ([{**SSH, "known_hosts": ""}], "`ssh-keyscan git.example.org` prints"),
        (
            [{**SSH, "git": "ssh://git@git.example.org:2222/x", "known_hosts": ""}],
            "`ssh-keyscan -p 2222 git.example.org` prints",
        ),
        ([{**SSH, "token": "x"}], "has token, which ssh does not use"),
        ([{**HTTPS, "ssh_key": KEY}], "has ssh_key, which https does not use"),
        ([{**HTTPS, "git": "https://me:x@git.example.org/web.git"}], "has a password in its URL"),
        ([{**HTTPS, "ref": 1.1}], "has a ref that is no text: set it in quotes"),
        ([{**HTTPS, "subdir": 2024}], "has a subdir that is no text"),
        ([{**OTHER, "classpath": None}], "has a classpath that names no class"),
        ([{**OTHER, "kwargs": ["a"]}], "has kwargs that are no dictionary"),
    ],
)
def test_bad_ones(bundles: Any, words: str) -> None:
    problems = dag_bundles.bundle_problems(bundles)
    assert len(problems) == 1
    assert words in problems[0]


def test_a_folder_that_is_not_there() -> None:
    problems = Problems()
    check_bundles({"hosts": {"master1": {"dags_path": "/srv/dagz"}, "worker1": {"dags_path": ""}}}, problems)
    assert problems.sentences() == [
        "airflow_dags_path names /srv/dagz, which is no folder on the controller: correct it, or set it to "
        '"" where DAGs come from airflow_dag_bundles alone'
    ]


def test_sentences() -> None:
    problems = Problems()
    cluster = {
        "hosts": {
            "master1": {"bundles": ["Bundle a has b: fix it"], "bundle_servers": {"git:22": ""}},
            "worker1": {"bundles": ["Bundle a has b: fix it"], "bundle_servers": {"git:22": "timeout"}},
        }
    }
    check_bundles(cluster, problems)
    assert problems.sentences() == [
        "Bundle a has b on master1, worker1: fix it",
        "git:22, which airflow_dag_bundles names, cannot be reached from worker1: correct its URL, or let "
        "these hosts connect to it",
    ]
