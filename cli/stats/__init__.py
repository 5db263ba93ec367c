"""`hearth stats`: what was asked and how fast it was answered, as tables, JSON, and reports."""
