"""A real standalone cluster on this machine, driven by a test: ``make cluster-test``."""
