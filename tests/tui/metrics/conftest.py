"""Apps as in the tests of the shell."""

from tests.tui.shell.conftest import home, make_app  # noqa: F401
