"""A run as its templates see it."""

from types import SimpleNamespace
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.execution_time import macros

TRAINED = {"version": "karma-7", "space_id": "s", "figures": '{"HR@50": 0.3}'}


def context_of(dag: DAG, task_id: str, *, run_type: str = "scheduled", partition_key: str | None = None, **params: Any) -> dict[str, Any]:
    """The context of a task of a run that has neither a logical date nor, by default, a partition key. ``ds`` is then undefined."""
    ti = SimpleNamespace(try_number=2, xcom_pull=lambda **_: {"states": [{"details": TRAINED}]})
    return {
        "dag": dag,
        "task": dag.get_task(task_id),
        "ti": ti,
        "dag_run": SimpleNamespace(run_type=run_type),
        "run_id": f"{run_type}__2026-11-21T02:00:00+00:00",
        "partition_key": partition_key,
        "params": {**{name: param.value for name, param in dag.params.items()}, **params},
        "macros": macros,
    }


def rendered(dag: DAG, task_id: str, field: str, **run: Any) -> Any:
    """One templated field of a task, in a run."""
    task: Any = dag.get_task(task_id)
    return task.render_template(getattr(task, field), context_of(dag, task_id, **run), dag.get_template_env())
