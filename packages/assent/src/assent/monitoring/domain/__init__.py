"""Pure monitoring: scores, blocks, e-processes, verdicts, intervals and events."""
