"""ranking_features: a published day's impressions, joined point in time, and shards for training made of them."""

from airflow.sdk import DAG, PartitionedAssetTimetable

from dags.days import INTEREST_EMBEDDINGS, flow
from dags.landing import LandingWait
from dags.spark_job import SparkJob
from schemas import names

with DAG("ranking_features", doc_md=__doc__, **flow(PartitionedAssetTimetable(assets=INTEREST_EMBEDDINGS), priority=2)):
    # Ingested here, so that impressions which are late or broken do not hold the night's embeddings.
    wait_impressions = LandingWait(table=names.IMPRESSIONS)
    ingest_impressions = SparkJob(job=names.INGEST_IMPRESSIONS_JOB)
    ranking_features = SparkJob(job=names.RANKING_FEATURES_JOB)
    training_shards = SparkJob(job=names.TRAINING_SHARDS_JOB)

    wait_impressions >> ingest_impressions >> ranking_features >> training_shards
