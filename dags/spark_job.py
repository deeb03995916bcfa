"""One job of the project as a task: spark-submit, judged by the verdict that the job leaves."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException

from dags.days import DAY_ARGS, OfADay
from dags.outcomes import forget_verdict, in_words, read_verdict, settle
from dags.process_group import end_group, end_with_parent
from dags.settings import SETTINGS

# One invocation: a retry is another one, so that a killed try can never be taken for it.
RUN_ID = "{{ (run_id ~ '.' ~ task.task_id ~ '.' ~ ti.try_number) | replace(':', '') | replace('+', '.') }}"


class SparkJob(OfADay, SparkSubmitOperator):
    """Runs ``jobs/<job>.py``; the task's id is the job's name.

    Done: the task's XCom is the verdict, and each outlet gets a partition a day that settled. Gate blocked, input missing, wrong
    usage, superseded: the task fails at once. Anything else: it is retried.

    Args:
        job: its name (schemas.names).
        args: arguments beyond those that every job takes; default: the day of the run.
    """

    template_fields = (*SparkSubmitOperator.template_fields, "verdict")

    def __init__(self, *, job: str, args: Sequence[str] = DAY_ARGS, **kwargs: Any) -> None:
        self.verdict = f"{SETTINGS.verdicts}/{{{{ dag.dag_id }}}}/{RUN_ID}.json"
        places = ("--root", SETTINGS.root, "--warehouse", SETTINGS.warehouse, "--landing", SETTINGS.landing)
        super().__init__(
            task_id=job,
            name=f"karma-{job}",
            application=f"{SETTINGS.home}/jobs/{job.replace('-', '_')}.py",
            application_args=[*places, "--run-id", RUN_ID, "--verdict", self.verdict, *args],
            spark_binary=SETTINGS.spark_submit,
            properties_file=SETTINGS.spark_conf,
            py_files=SETTINGS.py_files,
            durable=False,  # a retry is a run of its own: it would wait for the driver of the try before, whose verdict is another
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        submission: Exception | None = None
        forget_verdict(self.verdict)
        try:
            super().execute(context)
        except (AirflowException, RuntimeError) as error:
            submission = error
        verdict = read_verdict(self.verdict)
        settle(verdict, submission, self._returncode)
        assert verdict is not None  # settle refuses that
        self.log.info("%s", in_words(verdict))
        days = sorted({state["ds"] for state in verdict["states"]})
        for outlet in self.outlets:
            context["outlet_events"][outlet].add_partitions(days)
        return verdict

    def on_kill(self) -> None:
        if self._hook is None:
            return
        if self._hook._connection["deploy_mode"] == "cluster":
            super().on_kill()  # first: it ends the driver on the cluster only while spark-submit lives here
        if self._hook._submit_sp is not None:
            end_group(self._hook._submit_sp)

    @property
    def _returncode(self) -> int | None:
        process = self._hook and self._hook._submit_sp
        return process.returncode if process else None

    def _get_hook(self) -> SparkSubmitHook:
        hook = super()._get_hook()
        hook.submit = partial(hook.submit, process_group=0, preexec_fn=end_with_parent)
        return hook
