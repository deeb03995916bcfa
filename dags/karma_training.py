"""karma_training: every week a new encoder. It becomes active, so its space is produced daily; champion it becomes by a person's word.

Where the evidence is against that, ``promote`` refuses. It is trained until the label window before its day, so that the labels of that
window can be joined to its vectors at once.
"""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param

from dags.days import WEEKLY, flow
from dags.settings import SETTINGS
from dags.spark_job import SparkJob
from schemas import names

LABEL_WINDOW = Param(
    names.DEFAULT_LABEL_WINDOW_DAYS, type="integer", minimum=1, description="Days of labels that the new space must be joinable to at once."
)
VISION = Param("efficientnet-lite0", type="string", description="Vision encoder whose features the item tower reads.")

PATIENCE = timedelta(days=4)  # training has a day, and then a person is waited for
TRAINED_UNTIL = "{{ macros.ds_add(params.day or partition_key or ds, -params.label_window_days) }}"
UNTIL = ("--trained-until", TRAINED_UNTIL, "--vision", "{{ params.vision }}")
TRAINED = "ti.xcom_pull(task_ids='train-encoder')['states'][-1]['details']"
ENCODER = ("--encoder", f"{{{{ {TRAINED}['version'] }}}}")
WINDOW = ("--window-days", "{{ params.label_window_days }}")
BODY = f"""Encoder **{{{{ {TRAINED}['version'] }}}}**, space {{{{ {TRAINED}['space_id'] }}}}, was trained until {TRAINED_UNTIL}.
On what users took first in the label window: `{{{{ ti.xcom_pull(task_ids='evaluate-encoder')['states'][-1]['details']['figures'] }}}}`
Approve: it is compared with the champion on these targets, becomes champion unless the evidence is against it, and its usable window is
printed. Reject: it stays active, and the champion stays."""

with DAG("karma_training", doc_md=__doc__, **flow(WEEKLY, late=PATIENCE, label_window_days=LABEL_WINDOW, vision=VISION)):
    examples = SparkJob(job=names.TRAINING_EXAMPLES_JOB, args=UNTIL)
    train = SparkJob(
        job=names.TRAIN_ENCODER_JOB, args=(*UNTIL, "--config", SETTINGS.training_config), execution_timeout=timedelta(hours=24)
    )
    evaluate = SparkJob(job=names.EVALUATE_JOB, args=(*ENCODER, *WINDOW))
    confirm = ApprovalOperator(
        task_id="confirm-promotion", subject="Make the new encoder champion?", body=BODY, pool="default_pool", execution_timeout=None
    )
    promote = SparkJob(job=names.PROMOTE_JOB, args=(*ENCODER, *WINDOW))

    examples >> train >> evaluate >> confirm >> promote
