"""A real scheduler, driven by a test: ``make airflow-test``. Run by the scheduler's Python."""
