#!/usr/bin/env bash
# Runs what the CPU image's build runs, in a clean folder and environment, without a container engine: the files that
# the build context holds, the virtual environment, the install, then the container's command and its health check.
#   deploy/steps.sh [FOLDER]       (FOLDER must not exist; compiling llama.cpp takes minutes)
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
work="${1:-$(mktemp -d)/hearth}"
mkdir -p "$work/src" "$work/data" "$work/models"
port="${PORT:-0}"
# The files that Dockerfile.dockerignore lets through.
grep '^!' "$root/deploy/Dockerfile.dockerignore" | cut -c2- | while read -r name; do
    cp -r "$root/$name" "$work/src/"
done
clean() {
    ${as:-} env -i HOME="$work/data" PATH="$work/opt/bin:/usr/local/bin:/usr/bin:/bin" HEARTH_HOME="$work/data" \
        HF_HOME="$work/models" PYTHONUNBUFFERED=1 ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} \
        ${PIP_CONFIG_FILE:+PIP_CONFIG_FILE="$PIP_CONFIG_FILE"} "$@"
}
"${PYTHON:-python3}" -m venv "$work/opt"
(cd "$work/src" && clean CMAKE_ARGS=-DGGML_NATIVE=OFF "$work/opt/bin/pip" install --no-cache-dir -c constraints.txt .)
cd "$work/data"
# Without a key it must refuse to listen beyond this machine.
if clean hearth serve --host 0.0.0.0 --port "$port"; then
    echo "it listened without a key" >&2
    exit 1
fi
clean hearth keys create container >/dev/null
# In the place of the subshell, so that the number is the server's own.
(as=exec; clean hearth serve --host 0.0.0.0 --port "$port") >"$work/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true' EXIT
for _ in $(seq 120); do
    address="$(grep -o 'http://[^ ]*' "$work/log" | head -n 1 || true)"
    [ -n "$address" ] && break
    sleep 0.5
done
number="${address##*:}"
clean python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:${number%%/*}/health', timeout=30)"
echo "healthy at port ${number%%/*}"
