"""How an encoder is judged: ranks, hit rates, baselines, paired intervals and the shape of the vector cloud."""
