# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other ways that nginx can be set up, each taken and left again: certificates, names, a path."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from lab import Lab, changed, wait_until
from test_2_verify import run_dag
from test_4_front import ask, certificate, https, logged, own_address
from test_4_health import health, problems

__all__ = ["https"]
pytestmark = [pytest.mark.topology("single_node"), pytest.mark.usefixtures("long")]
NAME, FLOWER = "airflow.front.test", "flower.front.test"
OWN_CA = "airflowops.cluster CA"


def set_up(lab: Lab, **variables: Any) -> str:
    return lab.playbook("site.yml", "--tags", "nginx_lb", "-e", json.dumps(variables))


def front(lab: Lab) -> Any:
    return lab.host(lab.group("nginx_lb")[0])


@pytest.fixture
def names(lab: Lab) -> Iterator[None]:
    """They lead to the host of nginx, there."""
    address = lab.address(lab.group("nginx_lb")[0])
    front(lab).check_output(f"echo '{address} {NAME} {FLOWER}' >>/etc/hosts")
    yield
    # In place: a container's file cannot be replaced.
    front(lab).check_output(f"sed '/ {NAME} /d' /etc/hosts >/tmp/hosts && cat /tmp/hosts >/etc/hosts")


@pytest.fixture
def set_back(lab: Lab) -> Iterator[None]:
    yield
    set_up(lab)
    assert ask(lab, "/api/v2/version").status == 200


def curl(lab: Lab, *arguments: str) -> str:
    """On the host of nginx, where the names are known."""
    options = ("--noproxy", "*", "--max-time", "10", "--cacert", "/etc/airflowops/front-ca.crt")
    command = shlex.join(["curl", "-sS", *options, *arguments])
    done = front(lab).run(command)
    assert done.rc == 0, done.stderr
    return done.stdout


STATUS = ("-o", "/dev/null", "-w", "%{http_code} %{redirect_url}")


def shown(lab: Lab) -> dict[str, str]:
    """What the certificate says that nginx shows."""
    base = urlsplit(lab.url)
    reported = front(lab).check_output(
        f"openssl s_client -connect 127.0.0.1:{base.port or 443} </dev/null 2>/dev/null"
        " | openssl x509 -noout -issuer -serial -ext subjectAltName"
    )
    lines = reported.splitlines()
    return {
        "issuer": lines[0].split("=", 1)[1].strip(),
        "serial": lines[1].split("=")[1],
        "names": lines[-1].strip(),
    }


def process(lab: Lab) -> str:
    return front(lab).check_output("systemctl show -P MainPID nginx")


# --- A client of ACME

PEBBLE = "/root/pebble"


@pytest.fixture
def authority(lab: Lab) -> Iterator[str]:
    """Pebble, an ACME authority for tests, on the host of nginx, and certbot. What it is known by."""
    host = front(lab)
    host.check_output(
        "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends"
        " pebble certbot"
    )
    configuration = {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": f"{PEBBLE}/tls.crt",
        "privateKey": f"{PEBBLE}/tls.key",
        "httpPort": 80,
        "tlsPort": 443,
    }
    text = shlex.quote(json.dumps({"pebble": configuration}))
    host.check_output(
        f"mkdir -p {PEBBLE} && cd {PEBBLE} && echo {text} >pebble.json"
        " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        " -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout tls.key -out tls.crt 2>&1"
        " && systemd-run --quiet --unit=pebble --setenv=PEBBLE_VA_NOSLEEP=1"
        f" --setenv=PEBBLE_WFE_NONCEREJECT=0 pebble -config {PEBBLE}/pebble.json"
    )
    try:
        root = f"curl -sS --noproxy '*' --cacert {PEBBLE}/tls.crt https://localhost:15000/roots/0"
        yield wait_until("Pebble answers", lambda: host.check_output(root), 20)
    finally:
        host.run(
            "systemctl stop pebble; DEBIAN_FRONTEND=noninteractive apt-get purge -qq -y pebble certbot;"
            f" rm -rf /etc/letsencrypt /var/lib/letsencrypt /var/log/letsencrypt /var/www/acme {PEBBLE}"
        )


def certbot(lab: Lab, arguments: str) -> None:
    front(lab).check_output(
        f"REQUESTS_CA_BUNDLE={PEBBLE}/tls.crt no_proxy='*' certbot --non-interactive {arguments}"
        " --server https://localhost:14000/dir"
    )


# Set back first, as nginx would be without its files.
@pytest.mark.usefixtures("names", "authority", "set_back")
def test_certificates_of_an_acme_client(lab: Lab, authority: str, tmp_path: Path) -> None:
    url = f"https://{NAME}"
    variables = {
        "airflow_base_url": url,
        "nginx_lb_acme_webroot": "/var/www/acme",
        "nginx_lb_ca": authority,
    }
    # Lent, until the client has one; the end of the run has checked it.
    set_up(lab, **variables)
    assert OWN_CA in shown(lab)["issuer"]
    assert NAME in shown(lab)["names"]
    assert curl(lab, f"{url}/nginx-health") == "ok\n"

    # The authority asks over port 80 for what the client has put there.
    certbot(
        lab,
        f"certonly --webroot -w /var/www/acme -d {NAME} --agree-tos --register-unsafely-without-email"
        " --deploy-hook 'systemctl reload nginx'",
    )
    answered = front(lab).check_output("grep -c 'acme-challenge.* 200 ' /var/log/nginx/access.log")
    assert int(answered) >= 1
    assert OWN_CA in shown(lab)["issuer"]
    set_up(lab, **variables)
    first = shown(lab)
    assert "Pebble" in first["issuer"] and NAME in first["names"]
    assert curl(lab, f"{url}/nginx-health") == "ok\n"
    assert changed(set_up(lab, **variables)) == 0

    # It renews by itself, which site.yml has no part in.
    before = process(lab)
    certbot(lab, "renew --force-renewal --no-random-sleep-on-renew")
    wait_until("nginx shows the new one", lambda: shown(lab)["serial"] != first["serial"], 10)
    assert "Pebble" in shown(lab)["issuer"]
    assert changed(set_up(lab, **variables)) == 0
    assert process(lab) == before

    # Everything ends within so many days: what health.yml looks at is named.
    soon = ("-e", "health_certificate_days=99999", "-e", "health_certificate_warn_days=99999")
    report = health(lab, tmp_path, *soon, "-e", json.dumps(variables))
    assert f"/etc/letsencrypt/live/{NAME}/fullchain.pem" in json.dumps(report)


# --- A certificate that is given


def signed(folder: Path, host: str) -> dict[str, str]:
    """An authority, and a certificate of it for the host."""
    name = "IP" if host.replace(".", "").isdigit() else "DNS"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    for command in (
        ["-subj", "/CN=house CA", "-keyout", "ca.key", "-out", "ca.crt"],
        ["-subj", "/CN=front", "-keyout", "tls.key", "-out", "tls.crt", "-CA", "ca.crt", "-CAkey", "ca.key",
         "-addext", f"subjectAltName={name}:{host}", "-addext", "basicConstraints=critical,CA:FALSE"],
    ):  # fmt: skip
        subprocess.run(
            ["openssl", "req", "-x509", *key, *command], cwd=folder, check=True, capture_output=True
        )
    texts = {name: (folder / name).read_text() for name in ("ca.crt", "tls.crt", "tls.key")}
    return {
        "nginx_lb_certificate": texts["tls.crt"],
        "nginx_lb_private_key": texts["tls.key"],
        "nginx_lb_ca": texts["ca.crt"],
    }


def test_a_certificate_that_is_given(lab: Lab, tmp_path: Path) -> None:
    given = signed(tmp_path, str(urlsplit(lab.url).hostname))
    before = process(lab)
    set_up(lab, **given)
    try:
        assert "house CA" in shown(lab)["issuer"]
        assert curl(lab, f"{lab.url}/nginx-health") == "ok\n"
        key = front(lab).file("/etc/airflowops/front/given/tls.key")
        assert (key.user, oct(key.mode)) == ("root", "0o600")
        assert changed(set_up(lab, **given)) == 0
        other = {**given, **signed(tmp_path, str(urlsplit(lab.url).hostname))}
        serial = shown(lab)["serial"]
        set_up(lab, **other)
        assert shown(lab)["serial"] != serial
    finally:
        set_up(lab)
    assert certificate(lab, lab.group("nginx_lb")[0])
    assert not front(lab).file("/etc/airflowops/front/given/tls.key").exists
    assert process(lab) == before
    assert changed(set_up(lab)) == 0


# --- Balancers in front


@pytest.mark.usefixtures("set_back")
def test_a_balancer_in_front_is_believed_and_nobody_else(lab: Lab) -> None:
    address = lab.address(lab.group("nginx_lb")[0])
    set_up(lab, nginx_lb_trusted_proxies=[own_address(address)])
    claimed = "203.0.113.9"
    mark = f"believed{time.time_ns()}"
    # What the client has reported the balancer before it is not believed either.
    ask(lab, f"/api/v2/version?{mark}", **{"X-Forwarded-For": f"198.51.100.7, {claimed}"})
    seen = logged(lab, mark)
    assert claimed in seen and "198.51.100.7" not in seen, seen
    mark = f"nobody{time.time_ns()}"
    curl(lab, "-H", f"X-Forwarded-For: {claimed}", f"{lab.url}/api/v2/version?{mark}")
    seen = logged(lab, mark)
    assert claimed not in seen and address in seen, seen


# --- Flower under a name of its own


@pytest.mark.usefixtures("names", "set_back")
def test_flower_has_a_name_of_its_own(lab: Lab) -> None:
    set_up(lab, nginx_lb_flower_host=FLOWER)
    at = f"https://{FLOWER}"
    assert FLOWER in shown(lab)["names"]
    assert curl(lab, *STATUS, f"{at}/") == f"302 {at}/flower/"
    assert curl(lab, *STATUS, f"{at}/flower/").startswith("401 ")
    login = f"flower:{lab.secret('flower')}"
    assert curl(lab, *STATUS, "-u", login, f"{at}/flower/workers").startswith("200 ")
    for path in ("healthcheck", "metrics"):
        assert curl(lab, *STATUS, "-u", login, f"{at}/flower/{path}").startswith("404 "), path
    # And nothing else.
    assert curl(lab, *STATUS, f"{at}/api/v2/version").startswith("404 ")
    assert curl(lab, *STATUS, f"http://{FLOWER}/flower/x?a=b") == f"308 {at}/flower/x?a=b"
    assert curl(lab, *STATUS, f"{lab.url}/flower/x?a=b") == f"308 {at}/flower/x?a=b"
    assert ask(lab, "/api/v2/version").status == 200


# --- Airflow below a path


def test_airflow_below_a_path(lab: Lab, tmp_path: Path) -> None:
    below = Lab(lab.topology)
    below.inventories, below.url = lab.inventories, f"{lab.url}/airflow"
    variables = ("-e", json.dumps({"airflow_base_url": below.url}))
    lab.playbook("site.yml", *variables)
    try:
        run = run_dag(below, "hello_world2")
        assert run["state"] == "success"
        task = run["tasks"][0]
        path = f"dags/hello_world2/dagRuns/{run['run_id']}/taskInstances/{task['task_id']}/logs/1"
        reported = f"served by {task['host']}"
        wait_until("its log is read", lambda: reported in json.dumps(below.airflow.get(path)), 10)

        led = ask(lab, "/")
        assert (led.status, led.headers["Location"]) == (302, f"{below.url}/")
        assert ask(lab, "/airflow").status == 301
        page = ask(lab, "/airflow/")
        assert page.status == 200
        loaded = [word for word in page.body.split('"') if word.endswith((".js", ".css"))]
        assert loaded
        for word in loaded:
            script = ask(lab, urlsplit(urljoin(f"{below.url}/", word)).path)
            assert script.status == 200 and "text/html" not in script.headers["Content-Type"], word
        assert ask(lab, "/airflow/auth/login/").status == 200
        assert ask(lab, "/airflow/execution/health").status == 404
        for outside in ("/api/v2/version", "/auth/login/"):
            assert ask(lab, outside).status == 404
        assert ask(lab, "/flower/").status == 401
        assert problems(health(lab, tmp_path, *variables)) == []
        assert changed(lab.playbook("site.yml", *variables)) == 0
    finally:
        lab.playbook("site.yml")
    assert run_dag(lab, "hello_world2")["state"] == "success"


# --- The floating address


def test_a_floating_address_is_taken_away_again(lab: Lab) -> None:
    host, address = front(lab), lab.variables(lab.group("nginx_lb")[0])["lab_subnet"].replace(".0/24", ".200")
    set_up(lab, nginx_lb_floating_address=address)
    try:
        assert f" {address}/32 " in host.check_output("ip -4 -o address")
        assert ask(lab, "/nginx-health", address=address).status == 200
    finally:
        set_up(lab)
    assert f" {address}/32 " not in host.check_output("ip -4 -o address")
    keepalived = host.service("keepalived")
    assert not keepalived.is_running and not keepalived.is_enabled
    assert not host.file("/etc/keepalived/keepalived.conf").exists
    assert host.check_output("systemctl --failed --plain --no-legend") == ""
    assert changed(set_up(lab)) == 0
