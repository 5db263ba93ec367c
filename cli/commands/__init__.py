"""The commands of `hearth`, one module each with its typer app as `app`; imported when called."""
