"""Pure verdicts: what the outcomes, taken together, mean."""
