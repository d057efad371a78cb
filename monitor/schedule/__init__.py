"""When to measure: each target's ticks over time, and the scheduler that issues them."""
