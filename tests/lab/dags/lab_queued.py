"""For tasks that wait: more than there are slots for, and some for a queue whose worker is off."""

import time

from airflow.sdk import dag, task


@task(queue="cloudwalker_q1", retries=0)
def busy(number: int) -> None:
    time.sleep(15)
    print(number)


@task(queue="cloudwalker_q2", retries=0)
def lonely(number: int) -> None:
    print(number, "runs at last")


@dag(schedule=None)
def lab_queued():
    busy.expand(number=list(range(12)))
    lonely.expand(number=[1, 2, 3])


lab_queued()
