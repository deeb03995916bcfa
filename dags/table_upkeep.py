"""table_upkeep: every week, small files are joined, staged rows past their time go, and so do files that no version needs."""

from datetime import timedelta

from airflow.sdk import DAG

from dags.days import DAY, WEEKLY, flow
from dags.spark_job import SparkJob
from schemas import names

with DAG("table_upkeep", doc_md=__doc__, **flow(WEEKLY)):
    SparkJob(job=names.TABLE_UPKEEP_JOB, args=("--ds", DAY), execution_timeout=timedelta(hours=6))
