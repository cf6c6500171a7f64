# Sourced by the other scripts: makes the clone's own environment, .venv, from requirements.txt, or reuses it.
#
# Afterwards ROOT is the clone, and .venv's commands come first in PATH. PYTHON names the interpreter to use; without
# it, .venv's own stays, or the first of python3, python3.14 … python3.11 that is new enough is taken.
# .venv belongs to these scripts: it is made anew when the lock, pyproject.toml or the interpreter changes.

ROOT=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "scripts/${0##*/}: $*"
    exit 1
}

# Nothing of this user's settings, AWS account or Python packages may play a part.
leave_the_outside_out() {
    local name
    for name in "${!AWS_@}" "${!CADO_OPS_@}" "${!PYTHON@}"; do
        if [ "$name" != PYTHON ]; then unset "$name"; fi
    done
    unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_REQUIRE_VIRTUALENV
    export AWS_EC2_METADATA_DISABLED=true PYTHONNOUSERSITE=1
    export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
    # Without a home, what belongs there (pip's cache) goes into the clone.
    if [ -z "${HOME:-}" ]; then
        export HOME=$ROOT/.cache/home
        mkdir -p "$HOME"
    fi
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Prints the interpreter to make .venv with.
find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null 2>&1 || fail "PYTHON is $PYTHON: there is no such command"
        is_new_enough "$PYTHON" || fail "PYTHON is $PYTHON: Python 3.11 or newer is needed"
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if is_new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    if command -v python3 >/dev/null 2>&1; then
        fail "Python 3.11 or newer is needed, and python3 is $(python3 -c 'import platform; print(platform.python_version())'); name another with PYTHON=…"
    fi
    fail "Python 3.11 or newer is needed, and there is no python3"
}

# Prints what .venv was made from: if it says the same now, .venv is as it should be.
stamp() {
    "$1" - "$ROOT" <<'PY'
import hashlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
print(root, sys.base_prefix, sys.version.split()[0])
for name in ("requirements.txt", "tests/emulator/requirements.txt", "pyproject.toml"):
    print(name, hashlib.sha256((root / name).read_bytes()).hexdigest())
PY
}

make_environment() {
    local python
    leave_the_outside_out
    python=$VENV/bin/python
    if [ -n "${PYTHON:-}" ] || ! is_new_enough "$python"; then python=$(find_python) || exit 1; fi
    if [ ! -f "$VENV/made-from" ] || [ "$(cat "$VENV/made-from")" != "$(stamp "$python")" ]; then
        # If it is .venv's own interpreter, venv --clear must not remove it under its own feet.
        if [ "$python" = "$VENV/bin/python" ]; then python=$(find_python) || exit 1; fi
        install_into_venv "$python"
    fi
    export PATH="$VENV/bin:$PATH" VIRTUAL_ENV="$VENV"
    unset PYTHON
}

install_into_venv() {
    "$1" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        fail "$1 has no venv: on Debian and Ubuntu, sudo apt-get install python3-venv"
    say "Making .venv from requirements.txt. This happens once, and takes about a minute."
    "$1" -m venv --clear "$VENV" || fail "$1 could not make .venv"
    # Wheels only: building a source package would run code that no hash vouches for.
    "$VENV/bin/python" -m pip install --quiet --only-binary :all: --require-hashes --requirement "$ROOT/requirements.txt" ||
        fail "the packages of requirements.txt could not be installed"
    # The emulator pins an SDK of its own, which must not decide ours: it is a server, in an environment of its own.
    "$1" -m venv --without-pip "$VENV/emulator" || fail "$1 could not make .venv/emulator"
    "$VENV/bin/python" -m pip --python "$VENV/emulator" install --quiet --only-binary :all: --require-hashes \
        --requirement "$ROOT/tests/emulator/requirements.txt" ||
        fail "the packages of tests/emulator/requirements.txt could not be installed"
    "$VENV/bin/python" -m pip install --quiet --no-index --no-deps --no-build-isolation --editable "$ROOT" ||
        fail "cado-ops itself could not be installed"
    stamp "$1" >"$VENV/made-from"
}
