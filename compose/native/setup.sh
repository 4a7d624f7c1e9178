#!/usr/bin/env bash
# Makes .venv from requirements.lock and installs the members given as arguments into it. Needs Python >= 3.11, nothing else of ours.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup: $*"; exit 1; }

command -v python3 >/dev/null || fail "python3 is missing: install Python 3.11 or newer"
python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' ||
  fail "Python 3.11, 3.12 or 3.13 is needed, and python3 is $(python3 --version 2>&1)"
for tool in java mvn go cargo; do
  command -v "$tool" >/dev/null || case $tool in
    java|mvn) say "setup: $tool is missing: Kafka and the registry need Java 17 or newer and Maven, unless their addresses are in the environment" ;;
    go) say "setup: go is missing: MinIO is replaced by SeaweedFS; InfluxDB needs GRIDPULSE_INFLUX_URL or influxd on PATH" ;;
    cargo) say "setup: cargo is missing: InfluxDB needs GRIDPULSE_INFLUX_URL or influxd on PATH" ;;
  esac
done

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
  uv=.venv-tools/bin/uv
  if [ ! -x "$uv" ]; then
    say "setup: installing uv into .venv-tools"
    python3 -m venv .venv-tools 2>/dev/null || fail "python3 cannot make a virtual environment: install its venv module (Debian: python3-venv)"
    .venv-tools/bin/python -m pip install --quiet --disable-pip-version-check uv || fail "pip could not install uv: is a package index reachable?"
  fi
fi

[ -x .venv/bin/python ] || "$uv" venv --quiet --python "$(python3 -c 'import sys; print(sys.executable)')" .venv
say "setup: installing the locked packages (a minute the first time)"
# Bytecode too: where Python may not write it (PYTHONDONTWRITEBYTECODE), every start of an app would compile for two seconds.
"$uv" pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements.lock
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation "${@/#/-e./}"
touch .venv/ready
