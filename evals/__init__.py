"""How we know: benchmarks and evaluations, run as `python -m labelwright.evals.NAME`."""
