#!/usr/bin/env bash
# Trains, tests and reports; sets up its own virtual environment on first use.
set -euo pipefail
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

usage() {
    cat <<'END'
Usage: ./run.sh DATASET ENCODER [--flag=value …]   train, test, and leave runs/NAME/
       ./run.sh summary RUN…                       mean and deviation over finished runs
       ./run.sh test [pytest arguments]            run the tests
       ./run.sh help                               every flag with its meaning

Flags come from flags/ENCODER.flags, then flags/DATASET.flags, then the command line; the last one
wins. Paths are taken from the folder of run.sh.

Examples:
  ./run.sh ml-100k lightgcn
  ./run.sh ml-100k lightgcn --sampler=dns --seed=1
  ./run.sh ml-100k lightgcn --num_negatives=10 --khop=5 --run_name=khop5
  ./run.sh ml-100k lightgcn --config=runs/khop5/config.json --run_name=again
  ./run.sh summary runs/*

END
    "$(find_python)" -m recns_tf.catalog
}

# Makes .venv where it is missing or was made for another requirements.txt. The stamp is written
# last, so that an installation that was broken off is done again.
prepare_venv() {
    local stamp=.venv/requirements.installed
    if ! cmp -s requirements.txt "$stamp"; then
        local python
        [[ -f requirements.txt ]] || fail "requirements.txt is missing from $PWD."
        python=$(find_python)
        echo "Setting up .venv from requirements.txt, once (some minutes, 2.5 GB) …" >&2
        "$python" -m venv --clear .venv
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt \
            || fail "the packages of requirements.txt could not be installed; see pip's message above."
        cp requirements.txt "$stamp"
    fi
}

case "${1:-}" in
    "" | -h | --help)
        usage
        ;;
    help)
        prepare_venv
        # absl ends with status 1 after it has printed its help.
        .venv/bin/python -m recns_tf.main --help || true
        ;;
    test)
        shift
        prepare_venv
        exec .venv/bin/python -m pytest "$@"
        ;;
    summary)
        shift
        prepare_venv
        exec .venv/bin/python -m recns_tf.summary "$@"
        ;;
    *)
        prepare_venv
        # Later flags win: the encoder's, then the dataset's, then those of the command line.
        flagfiles=()
        for word in "$@"; do
            [[ $word != -* && -f "flags/$word.flags" ]] && flagfiles=("--flagfile=flags/$word.flags" ${flagfiles[@]+"${flagfiles[@]}"})
        done
        exec .venv/bin/python -m recns_tf.main ${flagfiles[@]+"${flagfiles[@]}"} "$@"
        ;;
esac
