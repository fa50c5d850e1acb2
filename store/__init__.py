"""What is remembered: pool, annotations, ledger, trace, artefacts, effects."""
