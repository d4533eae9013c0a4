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
       ./run.sh prepare NAME --input=FILE …        make a dataset of your own log
       ./run.sh describe DATASET                   what a dataset is like, in numbers and a picture
       ./run.sh regions DATASET                    what the three regions hold, likewise
       ./run.sh export DATASET PATH --format=…     write it for another program
       ./run.sh baseline DATASET NAME              fit one in closed form: popular, itemknn, ease
       ./run.sh compare DATASET --users=FILE …     embeddings of any program, ranked exactly and truncated
       ./run.sh summary RUN…                       mean and deviation over finished runs
       ./run.sh report RUN… [--output=FILE.html]   a page with curves and tables of any runs
       ./run.sh reproduce DATASET EXPERIMENT…      tables and figures of the paper: table2 … fig9, all
       ./run.sh ablate DATASET ENCODER             one choice at a time, the paper's and the authors' code's
       ./run.sh bench [WHAT …] [--shapes=…]        how fast it is here, as ratios
       ./run.sh test [pytest arguments]            run the tests
       ./run.sh help [COMMAND]                     every flag with its meaning

Flags come from flags/ENCODER.flags, flags/DATASET.flags, flags/DATASET-ENCODER.flags and the command
line; the last one wins. Paths are taken from the folder of run.sh.

Examples:
  ./run.sh ml-100k lightgcn
  ./run.sh ml-100k lightgcn --sampler=dns --seed=1
  ./run.sh ml-100k lightgcn --num_negatives=10 --khop=5 --run_name=khop5
  ./run.sh ml-100k lightgcn --config=runs/khop5/config.json --run_name=again
  ./run.sh baseline ml-100k ease
  ./run.sh summary runs/*
  ./run.sh report runs/* --output=report.html
  ./run.sh prepare shop --input=clicks.csv --user=user_id --item=item_id --label=clicked
  ./run.sh shop lightgcn

END
    "$(find_python)" -m recns_tf.catalog
    local about own=()
    for about in data/*/prepared.json; do
        [[ -f $about ]] && own+=("$(basename "$(dirname "$about")")")
    done
    [[ ${#own[@]} -eq 0 ]] || echo "Prepared from your own logs: ${own[*]}"
}

# Sets flagfiles to those of the words among the arguments. Later flags win: the encoder's, then the
# dataset's, then those of the two together, then those of the command line.
find_flagfiles() {
    flagfiles=()
    local word words=()
    for word in "$@"; do
        [[ $word == -* ]] && continue
        words+=("$word")
        [[ -f "flags/$word.flags" ]] && flagfiles=("--flagfile=flags/$word.flags" ${flagfiles[@]+"${flagfiles[@]}"})
    done
    word=flags/${words[0]:-}-${words[1]:-}.flags
    [[ -f $word ]] && flagfiles+=("--flagfile=$word")
    return 0
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
        case "${2:-main}" in
            main | prepare | describe | export | baseline | compare | report) module=recns_tf.${2:-main} ;;
            regions) module=recns_tf.show_regions ;;
            reproduce | ablate) module=recns_tf.experiments.$2 ;;
            bench) module=benchmarks.bench ;;
            *) fail "help is for prepare, describe, regions, export, baseline, compare, report, reproduce, ablate and bench, or without a word for training." ;;
        esac
        prepare_venv
        # absl ends with status 1 after it has printed its help.
        .venv/bin/python -m "$module" --help || true
        ;;
    test)
        shift
        prepare_venv
        exec .venv/bin/python -m pytest "$@"
        ;;
    reproduce | ablate)
        prepare_venv
        exec .venv/bin/python -m "recns_tf.experiments.$1" "${@:2}"
        ;;
    bench)
        prepare_venv
        exec .venv/bin/python -m benchmarks.bench "${@:2}"
        ;;
    prepare | summary | report)
        prepare_venv
        exec .venv/bin/python -m "recns_tf.$1" "${@:2}"
        ;;
    describe | regions | export | baseline | compare)
        module=${1/#regions/show_regions}
        prepare_venv
        find_flagfiles "${@:2}"
        exec .venv/bin/python -m "recns_tf.$module" ${flagfiles[@]+"${flagfiles[@]}"} "${@:2}"
        ;;
    *)
        prepare_venv
        find_flagfiles "$@"
        exec .venv/bin/python -m recns_tf.main ${flagfiles[@]+"${flagfiles[@]}"} "$@"
        ;;
esac
