# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Celery workers that take no new task: while the broker's slot changes hands, or before they are stopped.

What a worker has taken and not confirmed goes back into the queue when its connection to the broker breaks,
and is executed again. So nothing may be under way at that moment. The workers are informed through Celery's
remote control, by a process of its own under an interpreter that has Celery. That process lets them go on as
soon as its standard input ends, whatever has become of us; and if it cannot, they go on by themselves. The
commands are those of airflowops_runtime.remote_control.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple, cast

from ansible_collections.airflowops.cluster.plugins.module_utils.celery.inspect import (
    SOCKET_TIMEOUTS,
    START_GRACE,
    QueueMembershipError,
    broker_address,
    probe_environment,
    scrub,
)

# Seconds. How long a worker may take to find the broker again and take tasks from its queues.
RESUME_TIMEOUT = 60.0

# Runs under `celery_python`, Python 3.8 or later.
HELPER = r'''
import json, signal, sys, time

settings = json.loads(sys.stdin.readline())
# Whatever hangs: who waits for us hears that we ended, and paused workers go on by themselves.
signal.alarm(int(settings["longest"] + settings["resume_timeout"]))


def say(**answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


try:
    from celery import Celery
except ImportError as error:
    say(state="error", error="%s has no usable Celery: %s" % (sys.executable, error))
    sys.exit(0)

app = Celery(broker=settings["broker_url"], set_as_current=False)
app.conf.broker_transport_options = settings["transport_options"]


def ask(command, to=None, timeout=1.0, **arguments):
    """Each worker's answer. With `to`, returns as soon as these have answered."""
    with app.connection_for_write() as connection:
        replies = app.control.broadcast(
            command, arguments=arguments, destination=to, reply=True, timeout=timeout,
            limit=len(to) if to else None, connection=connection,
        )
    return {name: answer for reply in replies or [] for name, answer in reply.items()}


def served(to=None, timeout=1.0):
    return {
        name: sorted({queue["name"] for queue in queues})
        for name, queues in ask("active_queues", to, timeout).items() if isinstance(queues, list)
    }


def ask_until(command, workers, obeyed, timeout, **arguments):
    """Again and again: who has no connection at this moment does not hear it. Those that did not obey."""
    deadline = time.monotonic() + timeout
    lacking = dict(workers)
    while lacking and time.monotonic() < deadline:
        try:
            ask(command, list(lacking), 0.2, **arguments)
            now = served(list(lacking), 0.2)
        except Exception:
            time.sleep(0.05)
            continue
        lacking = {
            name: names for name, names in lacking.items() if name not in now or not obeyed(names, now[name])
        }
    return sorted(lacking)


def described(worker, task):
    """As Airflow names it; a task that is not Airflow's by its id."""
    try:
        instance = json.loads(task["args"][0])["ti"]
        name = "%(dag_id)s.%(task_id)s of %(run_id)s" % instance
    except (KeyError, IndexError, TypeError, ValueError):
        name = task["id"]
    return "%s on %s" % (name, worker)


def under_way(workers):
    """Tasks that run or wait in a worker; of one that does not answer we do not know."""
    names = list(workers)
    running, reserved = ask("active", names), ask("reserved", names)
    silent = set(names) - (set(running) & set(reserved))
    return ["what %s has, which does not answer" % name for name in sorted(silent)] + sorted(
        described(worker, task) for answer in (running, reserved) for worker, tasks in answer.items()
        if isinstance(tasks, list) for task in tasks
    )


workers = {}
try:
    # All that are meant answer at once, or are waited for.
    found = served(settings["only"], 5.0) if settings["only"] else served()
    silent = sorted(set(settings["only"] or []) - set(found))
    if silent:
        raise RuntimeError("%s did not answer" % ", ".join(silent))
    answers = ask("airflowops_pause", list(found), seconds=settings["longest"])
    # Who does not know the command, as a worker that runs with an older configuration, is left alone.
    workers = {name: names for name, names in found.items() if "ok" in (answers.get(name) or {})}
    deaf = ask_until(
        "airflowops_pause", workers, lambda names, now: not now, 5.0, seconds=settings["longest"]
    )
    if deaf:
        raise RuntimeError("%s did not stop to take tasks when asked to" % ", ".join(deaf))
    say(state="cancelled", unknown=sorted(set(found) - set(workers)))
    sys.stdin.readline()
    deadline = time.monotonic() + settings["drain_timeout"]
    quiet = 0
    tasks = []
    while workers and time.monotonic() < deadline:
        # A task may be between the queue and the worker's books: they are looked at twice, with a pause.
        tasks = under_way(workers)
        quiet = 0 if tasks else quiet + 1
        if quiet == 2:
            break
        time.sleep(settings["settle"] if quiet else 0.05)
    say(state="paused", workers=workers, running=tasks)
except Exception as error:
    say(state="error", error="%s: %s" % (type(error).__name__, error))
if sys.stdin.read().strip() == "leave":
    try:
        # If they are not stopped, they go on soon: without this, when the wait for tasks would have ended.
        if workers:
            ask("airflowops_pause", list(workers), seconds=settings["left"])
    except Exception:
        pass
    workers = {}
lacking = ask_until(
    "airflowops_resume", workers, lambda names, now: set(names) <= set(now), settings["resume_timeout"]
)
say(state="resumed", lacking=lacking)
'''

# Seconds after which a paused worker goes on by itself: beyond the wait for tasks, and when it is left.
LONGEST_PAUSE = 60.0
# Seconds between the two looks that must both find nothing under way.
SETTLE = 0.15


class PauseError(QueueMembershipError):
    """The workers could not be paused, or do not go on. The text holds no password."""


class Paused(NamedTuple):
    """What was paused."""

    workers: dict[str, list[str]]  # worker -> its queues
    running: list[str]  # tasks that had not ended when the time to wait for them was over
    unpaused: list[str]  # workers that do not know how to pause


class WorkerPause:
    """Pauses workers of a broker on entry and lets them go on at the exit, unless they are to be left so."""

    def __init__(
        self,
        celery_python: str,
        broker_url: str,
        transport_options: Mapping[str, Any],
        drain_timeout: float,
        wait_for_quiet: Callable[[], None],
        only: Sequence[str] | None = None,
    ) -> None:
        """`wait_for_quiet` returns when no worker waits at the broker for a message any more: one that did
        when it was asked to stop takes that message still. `only`: the workers meant, by their Celery names;
        all of them by default.
        """
        self._wait_for_quiet = wait_for_quiet
        self._url = broker_url
        self._address = broker_address(broker_url)
        self._drain_timeout = drain_timeout
        settings = {
            "broker_url": broker_url,
            "transport_options": {**SOCKET_TIMEOUTS, **transport_options},
            "drain_timeout": drain_timeout,
            "resume_timeout": RESUME_TIMEOUT,
            "settle": SETTLE,
            "longest": drain_timeout + LONGEST_PAUSE,
            "left": LONGEST_PAUSE,
            "only": None if only is None else list(only),
        }
        try:
            # -I: neither the working directory nor the user's site-packages can bring in another celery.
            self._process = subprocess.Popen(
                [celery_python, "-I", "-c", HELPER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=probe_environment(),
                text=True,
                # It outlives us if we are killed, and then lets the workers go on.
                start_new_session=True,
            )
        except OSError as error:
            raise PauseError(
                f"celery_python: {celery_python} cannot be run: {error.strerror or error}"
            ) from None
        self._input = cast("IO[str]", self._process.stdin)
        self._output = cast("IO[str]", self._process.stdout)
        self._say(json.dumps(settings))
        self.paused = Paused({}, [], [])

    def __enter__(self) -> WorkerPause:
        unpaused = self._hear("cancelled")["unknown"]
        self._wait_for_quiet()
        self._say("")
        answer = self._hear("paused")
        self.paused = Paused(answer["workers"], answer["running"], unpaused)
        return self

    def leave(self) -> None:
        """They are stopped next: the exit leaves them paused. After a minute they go on by themselves."""
        self._say("leave")

    def __exit__(self, *_: object) -> None:
        self._input.close()
        lacking = self._hear("resumed")["lacking"]
        self._process.wait(START_GRACE)
        if lacking:
            raise PauseError(
                f"These workers do not take tasks again within {RESUME_TIMEOUT:g} s of the failover: "
                f"{', '.join(lacking)}. Restart them: systemctl restart 'airflow-worker@*'"
            )

    def _say(self, line: str) -> None:
        self._input.write(line + "\n")
        self._input.flush()

    def _hear(self, state: str) -> dict[str, Any]:
        line = self._output.readline()
        answer = json.loads(line) if line else {"state": "error", "error": "the helper ended unasked"}
        if answer["state"] != state:
            self._input.close()
            raise PauseError(
                f"The workers could not be asked through the broker at {self._address}: "
                f"{scrub(str(answer.get('error')), self._url)}"
            )
        return answer
