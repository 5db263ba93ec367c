"""The set-up of a checkout: finds what the machine has, fills `.venv`, and says what is missing.

Runs on a bare Python 3.11 with the standard library alone, before anything of Hearth is installed. It is not
part of the wheel.
"""
