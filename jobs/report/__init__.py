"""The reports of a run and of an encoder: static pages that open offline. facts -> figures -> page; a driver imports ``write*`` alone."""
