"""The report of a run: one static page that opens offline. facts -> figures -> page; a driver imports ``jobs.report.write`` alone."""
