# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS at nginx and the floating address, in a lab whose airflow_base_url begins with https://."""

from __future__ import annotations

import base64
import http.client
import json
import re
import shlex
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from lab import Lab, changed, wait_until

HAPROXY = "/run/haproxy/admin.sock"


@pytest.fixture(autouse=True)
def https(lab: Lab) -> None:
    if not lab.ca:
        pytest.skip("airflow_base_url does not begin with https://")


@pytest.fixture
def floating(lab: Lab) -> str:
    address = lab.variables(lab.group("nginx_lb")[0]).get("nginx_lb_floating_address", "")
    if not address or len(lab.group("nginx_lb")) < 2:
        pytest.skip("needs a floating address and two hosts of nginx")
    return address.split("/")[0]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str


def ask(
    lab: Lab, path: str, method: str = "GET", address: str = "", scheme: str = "https", **headers: str
) -> Answer:
    """One request, of the host with the address, or of whom airflow_base_url names."""
    base = urlsplit(lab.url)
    if scheme == "http":
        connection = http.client.HTTPConnection(address or base.hostname, 80, timeout=10)
    else:
        context = ssl.create_default_context(cafile=lab.ca)
        connection = http.client.HTTPSConnection(
            address or base.hostname, base.port or 443, timeout=10, context=context
        )
    with connection_closed(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        # Python joins what is there twice with a comma.
        return Answer(answer.status, dict(answer.headers.items()), answer.read().decode())


@contextmanager
def connection_closed(connection: http.client.HTTPConnection) -> Iterator[None]:
    try:
        yield
    finally:
        connection.close()


def shake_hands(lab: Lab, **options: ssl.TLSVersion) -> tuple[str | None, str | None]:
    base = urlsplit(lab.url)
    context = ssl.create_default_context(cafile=lab.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    for name, value in options.items():
        setattr(context, name, value)
    if options:
        # Else it would be this side that refuses what is old.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    raw = socket.create_connection((base.hostname, base.port or 443), timeout=10)
    with context.wrap_socket(raw, server_hostname=base.hostname) as wrapped:
        return wrapped.version(), wrapped.selected_alpn_protocol()


# --- HTTPS


def test_http_leads_to_https(lab: Lab) -> None:
    for host in lab.group("nginx_lb"):
        answer = ask(lab, "/dags?tags=a%20b", scheme="http", address=lab.address(host))
        assert (answer.status, answer.headers["Location"]) == (308, f"{lab.url}/dags?tags=a%20b")
        # Not for those who look whether nginx is there.
        assert ask(lab, "/nginx-health", scheme="http", address=lab.address(host)).body == "ok\n"


def test_what_is_spoken(lab: Lab) -> None:
    assert shake_hands(lab) == ("TLSv1.3", "h2")
    assert shake_hands(lab, maximum_version=ssl.TLSVersion.TLSv1_2) == ("TLSv1.2", "h2")
    with pytest.raises(ssl.SSLError):
        shake_hands(lab, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)


def test_every_front_host_shows_a_certificate_that_is_good_for_it(lab: Lab) -> None:
    for host in lab.group("nginx_lb"):
        assert ask(lab, "/api/v2/version", address=lab.address(host)).status == 200


@pytest.mark.parametrize(
    "path", ["/auth/login/", "/api/v2/version", "/execution/health", "/static/none", "/flower/"]
)
def test_security_headers(lab: Lab, path: str) -> None:
    headers = ask(lab, path).headers
    assert headers["Strict-Transport-Security"] == "max-age=63072000"
    # Once, whatever Airflow and Flower say themselves.
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert "nginx/" not in headers["Server"]


def test_cookies_are_for_https_alone(lab: Lab) -> None:
    assert "; secure" in ask(lab, "/auth/login/").headers["set-cookie"].lower()


def test_pages_are_not_compressed(lab: Lab) -> None:
    for path in ("/", "/auth/login/"):
        headers = ask(lab, path, **{"Accept-Encoding": "gzip"}).headers
        assert "content-encoding" not in {name.lower() for name in headers}


@pytest.mark.parametrize(
    "path",
    [
        "/execution/health",
        "//execution/health",
        "/x/../execution/health",
        "/execution%2Fhealth",
        "/%65xecution/",
    ],
)
def test_the_execution_api_is_not_to_be_reached(lab: Lab, path: str) -> None:
    answer = ask(lab, path)
    assert answer.status == 404
    assert "healthy" not in answer.body


def test_flower_asks_for_a_login_and_hides_the_rest(lab: Lab) -> None:
    assert ask(lab, "/flower/").status == 401
    for path in ("/flower/healthcheck", "/flower/metrics", "/flower//metrics", "/flower/%6Detrics"):
        assert ask(lab, path).status == 404, path


def test_who_asks_what_was_revoked_is_answered(lab: Lab, tmp_path: Path) -> None:
    """As Windows does before it believes a certificate."""
    revoked = tmp_path / "revoked.pem"
    for front in lab.group("nginx_lb"):
        address = lab.address(front)
        named = lab.host(front).check_output(
            "openssl x509 -in /etc/airflowops/front/tls/tls.crt -noout -ext crlDistributionPoints"
        )
        url = re.search(r"URI:(http://\S+)", named)
        assert url, named
        assert urlsplit(url[1]).hostname == urlsplit(lab.url).hostname
        answer = urlopen(url[1].replace(str(urlsplit(lab.url).hostname), address), timeout=10)
        assert answer.headers["Content-Type"] == "application/pkix-crl"
        text = base64.encodebytes(answer.read()).decode()
        revoked.write_text(f"-----BEGIN X509 CRL-----\n{text}-----END X509 CRL-----\n")

        here = f"https://{address}:{urlsplit(lab.url).port or 443}/nginx-health"
        context = ssl.create_default_context(cafile=lab.ca)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        with pytest.raises(URLError, match="unable to get certificate CRL"):
            urlopen(here, timeout=10, context=context)
        context.load_verify_locations(cafile=revoked)
        assert urlopen(here, timeout=10, context=context).read() == b"ok\n"


def test_root_alone_reads_the_key(lab: Lab) -> None:
    for host in lab.group("nginx_lb"):
        name = lab.host(host).check_output(
            "sed -n 's/^ *ssl_certificate_key \\(.*\\);$/\\1/p' /etc/nginx/nginx.conf"
        )
        key = lab.host(host).file(name)
        assert (key.user, oct(key.mode)) == ("root", "0o600")


# --- What users of a busy or broken Airflow meet


def test_logins_are_limited_and_nothing_else_is(lab: Lab) -> None:
    """From the host itself, so that the tests keep their own share."""
    base = urlsplit(lab.url)
    host = lab.host(lab.group("nginx_lb")[0])
    curl = f"curl -sS --cacert /etc/airflowops/front-ca.crt --connect-to ::127.0.0.1:{base.port or 443}"
    # All at once: half a login is granted again each second.
    reported = host.check_output(f"{curl} -Z -i -X POST '{lab.url}/auth/{{token,login/}}?n=[1-30]'")
    refused = reported.count("HTTP/2 429")
    assert 20 <= reported.count("HTTP/2 4") - refused < 60, reported
    assert refused >= 1
    assert reported.lower().count("retry-after: 10") == reported.count("Too many logins") == refused
    # Who only looks at the login, and what is none, is let through; so is another address.
    seen = host.check_output(
        f"{curl} -o /dev/null -w '%{{http_code}}\\n' {lab.url}/auth/login/ {lab.url}/api/v2/version"
    )
    assert seen.startswith("200")
    assert ask(lab, "/auth/token", "POST").status in (400, 422)


def haproxy(lab: Lab, host: str, *commands: str) -> None:
    for command in commands:
        script = (
            "import socket; s = socket.socket(socket.AF_UNIX); "
            f"s.connect({HAPROXY!r}); s.sendall(({command!r} + chr(10)).encode()); "
            "print(s.recv(4096).decode())"
        )
        assert lab.host(host).check_output(f"python3 -c {shlex.quote(script)}").strip() == ""


def test_a_page_tells_that_no_master_answers(lab: Lab) -> None:
    """One host of nginx is reported that they are gone; the other, and who comes by it, does not notice."""
    front = lab.group("nginx_lb")[-1]
    address = lab.address(front)
    servers = [f"api/{master}" for master in lab.group("airflow_master")]
    haproxy(lab, front, *(f"set server {server} state maint" for server in servers))
    try:
        page = ask(lab, "/dags", address=address)
        assert page.status == 503
        assert page.headers["Retry-After"] == "10"
        assert page.headers["Content-Type"].startswith("text/html")
        assert page.headers["Strict-Transport-Security"]
        assert "Airflow is not available" in page.body
        # Whole in itself: what it would load would not be there either.
        assert "src=" not in page.body and "href=" not in page.body
        for method, path in (("GET", "/api/v2/dags"), ("POST", "/auth/token"), ("DELETE", "/api/v2/dags/x")):
            answer = ask(lab, path, method, address=address)
            assert (answer.status, answer.headers["Content-Type"]) == (503, "application/json")
            assert "cannot answer" in json.loads(answer.body)["detail"]
        assert ask(lab, "/nginx-health", address=address).status == 200
        assert ask(lab, "/.airflowops/unavailable.html", address=address).status == 404
    finally:
        haproxy(lab, front, *(f"set server {server} state ready" for server in servers))
    wait_until("the masters are back", lambda: ask(lab, "/api/v2/version", address=address).status == 200, 10)


def test_haproxy_restarts_and_nobody_notices(lab: Lab) -> None:
    """As it does when a secret is rotated; so often, too, that systemd by itself would start it no more."""
    front = lab.group("nginx_lb")[0]
    answers: Counter[int | str] = Counter()
    ended = threading.Event()
    # Megabytes: its answer is mostly under way when HAProxy ends.
    script = re.search(r'src="\.(/static/assets/[^"]+)"', ask(lab, "/", address=lab.address(front)).body)
    assert script

    def look(path: str) -> None:
        while not ended.is_set():
            try:
                answers[ask(lab, path, address=lab.address(front)).status] += 1
            except (OSError, http.client.HTTPException) as error:
                answers[repr(error)] += 1

    lookers = [threading.Thread(target=look, args=[path]) for path in ("/api/v2/version",) * 3 + (script[1],)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(8):
            lab.host(front).check_output("systemctl restart haproxy")
    finally:
        ended.set()
        for looker in lookers:
            looker.join()
    restarted = datetime.now(timezone.utc)
    assert answers[200] > 40
    assert {*answers} == {200}, answers
    # Airflow's own parts may ask the metastore through it: one that ended is back before the next test.
    wait_until("Airflow's parts are well again", lambda: beat_since(lab, restarted), timeout=120)


def beat_since(lab: Lab, moment: datetime) -> bool:
    """Whether each kind of Airflow's parts has shown since then that it lives, and none is starting."""
    health = lab.airflow.get("monitor/health")
    beats = [health[part][f"latest_{part}_heartbeat"] for part in ("scheduler", "triggerer", "dag_processor")]
    starting = "systemctl list-units --plain --no-legend --state=activating,failed 'airflow-*'"
    return all(beat and datetime.fromisoformat(beat) > moment for beat in beats) and not any(
        lab.host(host).check_output(starting) for host in lab.group("airflow_master")
    )


def test_airflow_sees_its_users_addresses(lab: Lab) -> None:
    """And not what they say in a header."""
    mark = f"mark{time.time_ns()}"
    front = lab.address(lab.group("nginx_lb")[0])
    ask(lab, f"/api/v2/version?{mark}", address=front, **{"X-Forwarded-For": "203.0.113.9"})
    seen = logged(lab, mark)
    assert own_address(front) in seen and "203.0.113.9" not in seen, seen


def own_address(other: str) -> str:
    """This machine's, as the other sees it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((other, 443))
        return way.getsockname()[0]


def logged(lab: Lab, mark: str) -> str:
    """The line in which a master has logged a request."""

    def line() -> str:
        for master in lab.group("airflow_master"):
            found = (
                lab.host(master)
                .run(f"journalctl -u airflow-api-server --since -1min -o cat | grep {mark}")
                .stdout
            )
            if found:
                return found
        return ""

    return wait_until("Airflow has logged it", line, 10)


# --- Bad input and changes


def test_what_is_wrong_in_front_is_told_before_anything_changes(lab: Lab) -> None:
    own = lab.address(lab.group("airflow_master")[0])
    wrong = {
        "airflow_base_url": "https://airflow.invalid",
        "nginx_lb_floating_address": own,
        "nginx_lb_certificate": "no certificate",
        "nginx_lb_private_key": "no key",
        "nginx_lb_https_port": 80,
        "nginx_lb_vrrp_id": 300,
    }
    reported = " ".join(lab.playbook("playbooks/preflight.yml", "-e", json.dumps(wrong), check=False).split())
    for problem in (
        "airflow.invalid does not resolve, neither on the controller nor on",
        f"nginx_lb_floating_address is {own} on",
        "nginx_lb_certificate holds no certificate in PEM",
        "Port 80 is used twice",
        "nginx_lb_vrrp_id is not from 1 to 255",
    ):
        assert problem in reported, reported


@pytest.mark.usefixtures("long")
def test_a_new_certificate_reloads_nginx_alone(lab: Lab) -> None:
    front = lab.group("nginx_lb")[0]
    host = lab.host(front)
    units = ("nginx", "haproxy", "keepalived")
    before = {unit: host.run(f"systemctl show -P MainPID {unit}").stdout for unit in units}
    shown = certificate(lab, front)
    host.check_output("rm /etc/airflowops/front/tls/tls.crt")
    output = lab.playbook("site.yml", "--tags", "nginx_lb")
    # It is signed, written and loaded.
    assert changed(output) == 3, output[-3000:]
    assert {unit: host.run(f"systemctl show -P MainPID {unit}").stdout for unit in units} == before
    assert certificate(lab, front) != shown
    assert changed(lab.playbook("site.yml", "--tags", "nginx_lb")) == 0


def certificate(lab: Lab, front: str) -> str:
    return ssl.get_server_certificate(
        (lab.address(front), urlsplit(lab.url).port or 443), ca_certs=str(lab.ca)
    )


@pytest.mark.usefixtures("long")
def test_testssl_finds_nothing_above_low(lab: Lab) -> None:
    """That of Debian, on the host itself. By default it asks nobody else on the internet."""
    host = lab.host(lab.group("nginx_lb")[0])
    host.check_output(
        "command -v testssl || { apt-get update -qq;"
        " DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends testssl.sh; }"
    )
    base, report = urlsplit(lab.url), "/tmp/testssl.json"
    done = host.run(
        f"rm -f {report}; cd /tmp; timeout 900 testssl --quiet --color 0 --warnings off --ip one"
        f" --add-ca /etc/airflowops/front-ca.crt --jsonfile {report} {base.hostname}:{base.port or 443}"
    )
    findings = {found["id"]: found for found in json.loads(host.file(report).content_string)}
    assert len(findings) > 100 and "scanTime" in findings, done.stdout[-3000:]
    assert findings["cert_chain_of_trust"]["severity"] == "OK"
    above = ("MEDIUM", "HIGH", "CRITICAL", "FATAL")
    assert [found for found in findings.values() if found["severity"] in above] == []


# --- The floating address


def holders(lab: Lab, floating: str) -> list[str]:
    return [
        host
        for host in lab.group("nginx_lb")
        if f" {floating}/32 " in lab.host(host).run("ip -4 -o address").stdout
    ]


@dataclass
class Probe:
    """Asks through the floating address twenty times a second, by a connection of its own each."""

    lab: Lab
    address: str
    timeout: float = 0.5
    gaps: list[float] = field(default_factory=list)
    asked: int = 0
    failed: int = 0

    def __enter__(self) -> Probe:
        self._stop = threading.Event()
        self._context = ssl.create_default_context(cafile=self.lab.ca)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.is_set():
            begun = time.monotonic()
            self.asked += 1
            if self._answers():
                self.gaps.append(time.monotonic() - last)
                last = time.monotonic()
            else:
                self.failed += 1
            self._stop.wait(max(0.0, 0.05 - (time.monotonic() - begun)))

    def _answers(self) -> bool:
        base = urlsplit(self.lab.url)
        connection = http.client.HTTPSConnection(
            self.address, base.port or 443, timeout=self.timeout, context=self._context
        )
        with suppress(OSError, http.client.HTTPException), connection_closed(connection):
            connection.request("GET", "/nginx-health")
            return connection.getresponse().status == 200
        return False


def test_one_host_has_the_floating_address(lab: Lab, floating: str) -> None:
    assert len(holders(lab, floating)) == 1
    assert ask(lab, "/api/v2/version", address=floating).status == 200


def test_nginx_lost_moves_the_address_and_its_return_does_not(lab: Lab, floating: str) -> None:
    (first,) = holders(lab, floating)
    with Probe(lab, floating) as probe:
        lab.host(first).check_output("systemctl stop nginx")
        try:
            (second,) = wait_until("another host has it", lambda: set(holders(lab, floating)) - {first}, 15)
            wait_until("it answers", lambda: ask(lab, "/api/v2/version", address=floating).status == 200, 5)
        finally:
            lab.host(first).check_output("systemctl start nginx")
        time.sleep(4)
        assert holders(lab, floating) == [second]
    assert max(probe.gaps) < 4, probe.gaps


def runs(lab: Lab, host: str) -> bool:
    return lab.host(host).service("keepalived").is_running


@pytest.mark.usefixtures("long")
def test_power_off(lab: Lab, floating: str) -> None:
    for _ in range(3):
        (first,) = holders(lab, floating)
        with Probe(lab, floating) as probe:
            time.sleep(1)
            lab.podman("kill", [first], "--signal=KILL")
            time.sleep(6)
            lab.podman("start", [first])
            wait_until("its keepalived runs", partial(runs, lab, first), 60)
            time.sleep(3)
        print(f"{first} off: {probe.failed} of {probe.asked} failed, longest gap {max(probe.gaps):.2f} s")
        assert max(probe.gaps) < 3
        assert holders(lab, floating) != [first]
