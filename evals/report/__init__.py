"""Reports: Markdown and one self-contained HTML page, from the findings of a run."""

from evals.report.writing import write_reports

__all__ = ["write_reports"]
