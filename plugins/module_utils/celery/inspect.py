# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Celery worker serves which queue: asked of Celery, compared with a demand.

Celery is asked in a process of its own, by an interpreter that has Celery: Ansible's interpreter on the host
has not. That process gets the connection settings on standard input, so that no password stands in a command
line.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

# Seconds given to the interpreter, beyond the module's timeout, to start and to import Celery. The first
# import on a small host without bytecode takes long, and the grace costs nothing when all is well.
START_GRACE = 30.0

# Seconds; none of them is the wait for a worker, which the timeout of the module bounds.
SOCKET_TIMEOUTS = {"socket_connect_timeout": 5, "socket_timeout": 5}

DEFAULT_PORTS = {
    "redis": 6379,
    "rediss": 6379,
    "sentinel": 26379,
    "amqp": 5672,
    "amqps": 5671,
    "pyamqp": 5672,
}

# Seconds. Before it ends, kombu waits for the answer to its last BRPOP: a second, by default.
REDIS_OPTIONS = {"polling_interval": 0.1}

# Runs under `celery_python`, Python 3.8 or later. It does not import Airflow, which takes seconds.
PROBE = r'''
import json, signal, socket, sys, time

settings = json.load(sys.stdin)
demand = settings["demand"]


class Overdue(BaseException):
    """Not an Exception: kombu tries again, without end, after whatever looks like a connection error."""


def overdue(signum, frame):
    raise Overdue()


def finish(**answer):
    json.dump(answer, sys.stdout)
    sys.stdout.flush()
    sys.exit(0)


try:
    from celery import Celery
except ImportError as error:
    finish(kind="celery", error="%s has no usable Celery: %s" % (sys.executable, error))


def chain(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


REFUSALS = {
    "AccessRefused", "AuthenticationError", "AuthenticationWrongNumberOfArgsError", "NoPermissionError"
}


def kind_of(error):
    names = {cls.__name__ for link in chain(error) for cls in type(link).__mro__}
    if names & REFUSALS:
        return "refused"
    if isinstance(error, (AttributeError, ImportError, KeyError, TypeError, ValueError)):
        return "settings"
    return "broker"


def ask(window):
    """One round. `window` is how long the line must be silent before we believe that all have spoken."""
    heard = []
    app = Celery(broker=settings["broker_url"], set_as_current=False)
    app.conf.broker_transport_options = settings["transport_options"]
    with app.connection_for_write() as connection:
        if len(connection.alt) < 2:
            # Reports at once and plainly what redis-py reports after some tries of its own.
            address = (connection.hostname, connection.port or connection.transport.default_port)
            socket.create_connection(address, settings["transport_options"]["socket_connect_timeout"]).close()
        connection.connect()  # ends with an error; what follows would try for ever
        app.control.inspect(timeout=window, connection=connection, callback=heard.append).active_queues()
    workers, twice = {}, set()
    for reply in heard:
        for name, queues in reply.items():
            if name in workers:
                twice.add(name)
            # A worker that failed to answer sends {"error": ...} instead of a list.
            names = [queue["name"] for queue in queues] if isinstance(queues, list) else []
            workers[name] = sorted(set(workers.get(name, []) + names))
    return {"kind": "ok", "workers": workers, "twice": sorted(twice)}


def satisfied(workers):
    return all(sum(name in queues for queues in workers.values()) >= least for name, least in demand.items())


deadline = time.monotonic() + settings["timeout"]
answer = {"kind": "broker", "error": "it did not answer within %g s" % settings["timeout"]}
signal.signal(signal.SIGALRM, overdue)
signal.setitimer(signal.ITIMER_REAL, settings["timeout"] + 1)
# Living workers answer within milliseconds, so the first windows are short. They grow for those under load.
# Who asks without a demand has no second round, and gets a longer window at once.
window = 0.25 if demand else 1.0
# A last round that is cut off takes nothing from what the one before it has heard.
LONGEST_ROUND = 5.0
heard_at = None
try:
    while True:
        remaining = deadline - time.monotonic()
        try:
            answer = ask(max(0.1, min(window, remaining)))
        except Exception as error:
            answer = {"kind": kind_of(error), "error": "%s: %s" % (type(error).__name__, error)}
            if answer["kind"] != "broker":
                break
            time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))
        else:
            heard_at = time.monotonic()
            if satisfied(answer["workers"]):
                break
        if time.monotonic() >= deadline:
            break
        window = min(2 * window, 2.0)
except Overdue:
    if heard_at is None or time.monotonic() - heard_at > LONGEST_ROUND:
        answer = {"kind": "broker", "error": "it did not answer within %g s" % settings["timeout"]}
signal.setitimer(signal.ITIMER_REAL, 0)
finish(**answer)
'''


class QueueMembershipError(Exception):
    """Celery could not be asked. The text holds no password."""


class Answer(NamedTuple):
    """What Celery said."""

    workers: dict[str, list[str]]  # worker name -> its queues
    duplicates: list[str]  # worker names that more than one worker answered to


def parse_demand(queues: Mapping[str, Any]) -> dict[str, int]:
    """Queue -> minimum number of workers, checked. Numbers that a template made into text are accepted."""
    demand = {}
    for name, least in queues.items():
        try:
            if isinstance(least, (bool, float)):
                raise ValueError
            demand[str(name)] = int(least)
            if demand[str(name)] < 0:
                raise ValueError
        except (TypeError, ValueError):
            raise QueueMembershipError(
                f"queues: the minimum number of workers of {name!r} is {least!r}; "
                f"it must be a whole number, 0 or more"
            ) from None
    return demand


def parse_expected(expected: Mapping[str, Any]) -> dict[str, list[str]]:
    """Queue -> inventory host names, checked."""
    hosts = {}
    for name, names in expected.items():
        if isinstance(names, (str, bytes)) or not isinstance(names, Sequence):
            raise QueueMembershipError(
                f"expected: the value of {name!r} must be a list of inventory host names"
            )
        hosts[str(name)] = [str(host) for host in names]
    return hosts


def by_queue(workers: Mapping[str, Sequence[str]], demanded: Sequence[str] = ()) -> dict[str, list[str]]:
    """Turns worker -> queues into queue -> workers. A demanded queue is there even when nobody serves it."""
    queues: dict[str, list[str]] = {name: [] for name in demanded}
    for worker, served in workers.items():
        for queue in served:
            queues.setdefault(queue, []).append(worker)
    return {queue: sorted(queues[queue]) for queue in sorted(queues)}


def host_of(worker: str) -> str:
    """The host part of a Celery node name such as `general@worker1.example.com`."""
    return worker.split("@", 1)[-1]


def same_host(one: str, other: str) -> bool:
    """Whether two names mean one host. A short name matches a long one; two long names must be equal."""
    one, other = one.lower().rstrip("."), other.lower().rstrip(".")
    if one == other:
        return True
    if "." in one and "." in other:
        return False
    return one.split(".")[0] == other.split(".")[0]


def drain_plan(
    workers: Mapping[str, Sequence[str]], hosts: Sequence[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """The workers of these hosts with their queues, and the queues that no other worker serves."""
    chosen = {
        name: list(queues)
        for name, queues in workers.items()
        if any(same_host(host_of(name), host) for host in hosts)
    }
    elsewhere = {queue for name, queues in workers.items() if name not in chosen for queue in queues}
    return chosen, sorted({queue for queues in chosen.values() for queue in queues} - elsewhere)


def find_missing(
    demand: Mapping[str, int],
    workers: Mapping[str, Sequence[str]],
    expected: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, Any]]:
    """The queues that have fewer workers than demanded. Of `absent_hosts` no worker serves the queue."""
    missing = {}
    for queue, least in sorted(demand.items()):
        serving = [worker for worker, served in workers.items() if queue in served]
        if len(serving) >= least:
            continue
        hosts = list(expected.get(queue, ()))
        missing[queue] = {
            "required": least,
            "found": len(serving),
            "expected_hosts": hosts,
            "absent_hosts": [
                host for host in hosts if not any(same_host(host_of(worker), host) for worker in serving)
            ],
        }
    return missing


def describe_missing(missing: Mapping[str, Mapping[str, Any]], workers: Mapping[str, Sequence[str]]) -> str:
    """One sentence a queue, then what to do about it."""
    sentences = []
    silent: list[str] = []
    for queue, lack in missing.items():
        short = lack["required"] - lack["found"]
        text = f"queue {queue} is {short} short: {lack['found']} of {lack['required']} workers serve it"
        if lack["expected_hosts"]:
            text += f"; expected on {', '.join(lack['expected_hosts'])}"
            for host in lack["absent_hosts"]:
                theirs = [served for worker, served in workers.items() if same_host(host_of(worker), host)]
                others = sorted({name for served in theirs for name in served})
                if others:
                    text += f"; {host} answered, but serves {', '.join(others)} instead"
                else:
                    text += f"; {host} did not answer"
                    silent.append(host)
            if not lack["absent_hosts"]:
                text += "; all of them serve it, so the inventory gives this queue to too few workers"
        else:
            text += "; no host of the inventory was named for it"
        sentences.append(text)
    fix = []
    if silent:
        hosts = ", ".join(dict.fromkeys(silent))
        fix.append(
            f"On {hosts}: systemctl status 'airflow-worker@*' ; journalctl -u 'airflow-worker@*' -n 50"
        )
    if not workers:
        fix.append(
            "No worker answered at all: if some are running, compare their broker URL and global_keyprefix "
            "with the ones given here, and see that [celery] worker_enable_remote_control is on"
        )
    sentences[0] = sentences[0][:1].upper() + sentences[0][1:]
    return ". ".join(["; and ".join(sentences), *fix])


def broker_address(broker_url: str) -> str:
    """host:port of a broker URL, for messages. Never the user, the password or the query.

    A URL that is cut in the wrong place, as by a password with a bare slash, is refused: what a library says
    about it may quote a part of the password, which nobody could recognize and remove.
    """
    addresses = []
    for url in broker_url.split(";"):
        try:
            parts = urlsplit(url)
            port = parts.port or DEFAULT_PORTS.get(parts.scheme)
            host = parts.hostname
        except ValueError:
            parts, host = urlsplit(""), None
        if not host or "@" in f"{parts.path}{parts.query}{parts.fragment}":
            raise QueueMembershipError(
                "broker_url must be of the form redis://user:password@host:port/0, with special characters "
                "of user and password percent-encoded (urlencode | replace('/', '%2F'))"
            )
        if ":" in host:
            host = f"[{host}]"
        addresses.append(f"{host}:{port}" if port else host)
    return ", ".join(addresses)


def scrub(text: str, broker_url: str) -> str:
    """Removes the broker's password, in every spelling in which a library may quote it."""
    secrets = {broker_url}
    for url in broker_url.split(";"):
        password = urlsplit(url).password
        if password:
            plain = unquote(password)
            secrets |= {password, plain, quote(plain, safe=""), repr(plain)[1:-1], json.dumps(plain)[1:-1]}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "********")
    return text


def probe_environment() -> dict[str, str]:
    """Celery prefers CELERY_BROKER_URL and the like to its options, so none of ours reaches it."""
    kept = ("HOME", "LANG", "LC_ALL", "PATH", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ}


def ask_celery(
    celery_python: str,
    broker_url: str,
    transport_options: Mapping[str, Any],
    demand: Mapping[str, int],
    timeout: float,
) -> Answer:
    """Asks every worker for its queues, until the demand is met or the timeout, in seconds, is over."""
    address = broker_address(broker_url)
    redis_options = REDIS_OPTIONS if broker_url.startswith(("redis", "sentinel")) else {}
    settings = {
        "broker_url": broker_url,
        # The bounds of the caller, if he has any, win.
        "transport_options": {**SOCKET_TIMEOUTS, **redis_options, **transport_options},
        "demand": dict(demand),
        "timeout": timeout,
    }
    try:
        # -I: neither the working directory nor the user's site-packages can put another celery in the way.
        process = subprocess.Popen(
            [celery_python, "-I", "-c", PROBE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=probe_environment(),
        )
    except OSError as error:
        raise QueueMembershipError(
            f"celery_python: {celery_python} cannot be started ({error.strerror}). It must be the Python "
            f"of a virtualenv that has Celery, on an Airflow host"
        ) from None
    try:
        out, err = process.communicate(json.dumps(settings).encode(), timeout=timeout + START_GRACE)
    except subprocess.TimeoutExpired:
        raise QueueMembershipError(
            f"{celery_python} did not finish asking Celery within {timeout + START_GRACE:g} s"
        ) from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    try:
        answer = json.loads(out)
        kind = answer["kind"]
    except (KeyError, TypeError, ValueError):
        lines = scrub(err.decode(errors="replace"), broker_url).strip().splitlines()
        raise QueueMembershipError(
            f"{celery_python} ended with {process.returncode} and without an answer"
            + (f": {lines[-1]}" if lines else "")
        ) from None
    if kind == "ok":
        return Answer(answer["workers"], answer["twice"])
    raise QueueMembershipError(_explain(kind, scrub(answer["error"], broker_url), address))


def _explain(kind: str, reason: str, address: str) -> str:
    if kind == "celery":
        return f"celery_python: {reason}"
    if kind == "settings":
        return f"Celery cannot use broker_url or broker_transport_options (broker {address}): {reason}"
    if kind == "refused":
        return f"the broker {address} refuses the user or the password of broker_url: {reason}"
    text = f"the broker {address} cannot be used: {reason}"
    if "MOVED" in reason or "Moved" in reason:
        text += (
            ". This node of a Redis Cluster does not own the broker's slot: name the local HAProxy, which "
            "finds the owner, in broker_url, and set global_keyprefix to one with a hash tag: {airflow}:"
        )
    return text
