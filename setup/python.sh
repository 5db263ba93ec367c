#!/bin/sh
# Runs the first Python that Hearth can use with the given arguments: the one in .venv when it works (make
# clean to change it), then $PYTHON, then what is on PATH. A shim of a version manager that leads nowhere is passed over.

usable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -x .venv/bin/python ] && .venv/bin/python -S -c '' >/dev/null 2>&1; then
    exec .venv/bin/python -S "$@"
fi
for candidate in "$PYTHON" python3 python3.13 python3.12 python3.11 python3.14 python; do
    if [ -n "$candidate" ] && usable "$candidate"; then
        exec "$candidate" "$@"
    fi
done

found=$(python3 --version 2>/dev/null || echo "none")
cat >&2 <<MESSAGE
Hearth needs Python 3.11 or newer; found: $found.
  Debian, Ubuntu   sudo apt install python3 python3-venv
  Fedora           sudo dnf install python3
  macOS            brew install python@3.12
An interpreter elsewhere is taken with   make PYTHON=/path/to/python3.12
MESSAGE
exit 1
