"""What a task finds in its environment, and a module that is shared by a folder of its own."""

import os

import shared_mod
from airflow.sdk import dag, task


@task(queue="lab%n$HOME")
def seen() -> dict[str, str | None]:
    names = ("PEM", "OWN_PEM", "MALLOC_ARENA_MAX", "LC_ALL", "TZ", "no_proxy")
    return {"shared": shared_mod.WORD, "encoding": shared_mod.ENCODING} | {
        name: os.environ.get(name) for name in names
    }


@dag(schedule=None)
def lab_environment():
    seen()


lab_environment()
