"""What the gateway costs, beside others that stand before the same Dify: `python -m benchmarks`."""
