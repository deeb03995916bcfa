"""``dag.test()`` of a DAG for a day: ``python -m tests.scheduler.one_dag <dag id> <day>``, in the environment of an Airflow."""

import os
import sys

from airflow.dag_processing.dagbag import DagBag

if __name__ == "__main__":
    dag = DagBag(dag_folder=os.environ["AIRFLOW__CORE__DAGS_FOLDER"]).dags[sys.argv[1]]
    dag.deadline = None  # Airflow 3.3.2 looks the alert up by a value that is no id, once such a run has succeeded
    run = dag.test(run_conf={"day": sys.argv[2]})
    sys.exit(0 if run.state == "success" else f"{run.run_id}: {run.state}")
