"""Run by the scheduler's Python: ``make airflow-test``."""
