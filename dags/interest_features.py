"""interest_features: every night, the landed day becomes published interest embeddings."""

from datetime import timedelta

from airflow.sdk import DAG

from dags.days import DAY_ARGS, INTEREST_EMBEDDINGS, NIGHTLY, PUBLICATION, flow
from dags.landing import LandingWait
from dags.spark_job import SparkJob
from schemas import names

with DAG("interest_features", doc_md=__doc__, **flow(NIGHTLY)):
    wait_events = LandingWait(table=names.EVENTS)
    wait_items = LandingWait(table=names.ITEMS)
    ingest_events = SparkJob(job=names.INGEST_EVENTS_JOB)
    ingest_items = SparkJob(job=names.INGEST_ITEMS_JOB)
    visual_features = SparkJob(job=names.VISUAL_FEATURES_JOB)
    item_embeddings = SparkJob(job=names.ITEM_EMBEDDINGS_JOB)
    user_histories = SparkJob(job=names.USER_HISTORIES_JOB)
    interest_embeddings = SparkJob(job=names.INTEREST_EMBEDDINGS_JOB, execution_timeout=timedelta(hours=6))
    validate = SparkJob(job=names.VALIDATE_JOB)
    publish = SparkJob(job=names.PUBLISH_JOB, args=(*DAY_ARGS, "--publication", PUBLICATION), outlets=[INTEREST_EMBEDDINGS])

    wait_events >> ingest_events >> user_histories
    wait_items >> ingest_items >> visual_features
    [ingest_items, visual_features] >> item_embeddings
    [item_embeddings, user_histories] >> interest_embeddings >> validate >> publish
