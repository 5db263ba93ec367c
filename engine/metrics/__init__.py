"""What the metrics are asked: traffic over time, sums, percentiles, slow requests, SQL. Kept by `engine.store`."""
