"""The themes that come with Hearth: one TOML file each, read by file name. No code lives here."""
