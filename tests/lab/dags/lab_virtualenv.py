"""Tasks that run in virtualenvs of their own, or with another Python, in all their forms."""

import sys

from airflow.providers.standard.operators.python import PythonVirtualenvOperator
from airflow.sdk import dag, task

# Small, without dependencies, and not among Airflow's own packages.
REQUIREMENTS = ["cowsay==6.1"]


def where() -> str:
    import cowsay

    return cowsay.__file__


@dag(schedule=None)
def lab_virtualenv():
    operator = PythonVirtualenvOperator(task_id="operator", python_callable=where, requirements=REQUIREMENTS)
    decorator = task.virtualenv(task_id="decorator", requirements=REQUIREMENTS)(where)()

    @task.branch_virtualenv(requirements=REQUIREMENTS)
    def branch() -> str:
        import cowsay  # noqa: F401

        return "taken"

    @task.external_python(python="/usr/bin/python3", expect_airflow=False)
    def external() -> str:
        import sys

        return sys.executable

    @task.branch_external_python(python=sys.executable)
    def branch_external() -> str:
        return "taken_too"

    @task
    def taken() -> None:
        print("taken")

    @task
    def not_taken() -> None:
        raise AssertionError

    never = not_taken()
    [operator, decorator, external()] >> branch() >> [taken(), never]
    branch_external() >> [taken.override(task_id="taken_too")(), never]


lab_virtualenv()
