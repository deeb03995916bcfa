"""WHEN: the flows of the project for Airflow 3. The project's root must be on PYTHONPATH of every Airflow process."""
