"""Metrics, baselines and a verdict: P(up) and outcomes in, numbers with intervals out."""
