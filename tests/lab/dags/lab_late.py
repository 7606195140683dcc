"""For a worker that was added late: a task that nobody else serves."""

import socket

from airflow.sdk import dag, task


@task(queue="late")
def where() -> list[str]:
    print("this ran late")
    return [socket.gethostname()]


@dag(schedule=None)
def lab_late():
    where()


lab_late()
