"""The durable queue: requests that are kept in `hearth.db`, run beside everything else, and answered once."""
