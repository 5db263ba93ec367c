"""What has been fetched of a pull so far, counted in one place for all its files."""

from __future__ import annotations


class Tally:
    """What has been fetched so far, of all files of a pull. Written on the loop of the transfer."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.done = 0
        """Bytes that are here."""
        self.fetched = 0
        """Bytes that came over the network."""
        self.files_done = 0
        self.mended = 0
        """Bytes that had to be fetched again because they were wrong."""
        self.waiting: dict[str, float] = {}
        """Files that wait for the network, with the moment (monotonic) of the next try."""
        self.trouble = ""
        """What they wait for."""
        self.locked: set[str] = set()
        """Files that another program is fetching."""
        self.verifying: set[str] = set()
