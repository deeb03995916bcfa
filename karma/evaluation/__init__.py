"""How an encoder is judged, a file a measure: ranks, baselines, paired intervals, clouds of vectors, probes, cold items, attention."""
