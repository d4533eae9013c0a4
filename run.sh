#!/usr/bin/env bash
# Makes .venv on first use and hands over to the program: ./run.sh COMMAND … is recns-tf COMMAND ….
# Without a word it lists the commands. Paths are relative to the folder of this script.
set -euo pipefail
export RECNS_TF_PROGRAM=$0
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"

fail() {
    echo "run.sh: $*" >&2
    exit 1
}

# A Python that TensorFlow has wheels for; PYTHON=… chooses another.
find_python() {
    local name
    for name in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    fail "Python 3.11, 3.12 or 3.13 is needed; install one, or name it: PYTHON=/path/to/python ./run.sh …"
}

# Installs $1 into .venv once per content of the two files that say what it is. The stamp, named $2,
# is written last, so that an interrupted installation is repeated.
install() {
    local stamp=.venv/$2.installed
    cat requirements.txt pyproject.toml | cmp -s - "$stamp" && return
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$1" \
        || fail "the packages of $2 could not be installed; see pip's message above."
    cat requirements.txt pyproject.toml >"$stamp"
}

prepare_venv() {
    [[ -f requirements.txt && -f pyproject.toml ]] || fail "requirements.txt or pyproject.toml is missing from $PWD."
    if [[ ! -f .venv/runtime.installed ]]; then
        local python
        python=$(find_python)
        echo "Setting up .venv, once (some minutes, 2.5 GB) …" >&2
        "$python" -m venv --clear .venv
    fi
    install . runtime
}

case "${1:-}" in
    "" | -h | --help)
        # The list needs no package.
        python=$(find_python)
        exec "$python" -m recns_tf
        ;;
    test)
        prepare_venv
        install '.[test]' test
        ;;
    *) prepare_venv ;;
esac
exec .venv/bin/python -m recns_tf "$@"
