"""What the data is: names, one contract a table, gate thresholds with their reasons. Imports nothing of the project."""
