from tests.tui.shell.conftest import home, make_app

__all__ = ["home", "make_app"]
