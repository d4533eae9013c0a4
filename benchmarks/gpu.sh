#!/usr/bin/env bash
# Tests and measures this checkout on an NVIDIA GPU, and packs what it found into one file:
#
#     benchmarks/gpu.sh [FILE.tar.gz]
#
# It installs TensorFlow with CUDA and all other packages in a new environment (some minutes,
# 8 GB), and deletes that at the end. PYTHON=… chooses the Python. Run nothing else meanwhile.
set -euo pipefail

fail() {
    echo "gpu.sh: $*" >&2
    exit 1
}

file=$(realpath -m -- "${1:-gpu.tar.gz}")
cd -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/.."

card=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv 2>/dev/null) \
    || fail "no NVIDIA GPU was found: run it where nvidia-smi lists one."

place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
found=$place/gpu
mkdir "$found"
echo "$card" | tee "$found/card.csv"
git rev-parse HEAD >"$found/commit.txt" 2>/dev/null || true

"${PYTHON:-python3.11}" -m venv "$place/venv" \
    || fail "no environment could be made: install Python 3.11, or name one, PYTHON=/path/to/python."
python=$place/venv/bin/python
cuda=$(sed -n 's/^tensorflow\([<>=]\)/tensorflow[and-cuda]\1/p' requirements.txt)
"$python" -m pip install --quiet --disable-pip-version-check "$cuda" --editable '.[test]' \
    || fail "the packages could not be installed; see pip's message above."
"$python" -m pip freeze >"$found/packages.txt"
"$python" -c 'import sys, tensorflow as tf; sys.exit(not tf.config.list_physical_devices("GPU"))' \
    || fail "TensorFlow sees no GPU: update the driver; see TensorFlow's message above."

# A part that fails is noted, and the others still run.
failed=()
part() {
    local name=$1
    shift
    echo "== $name: $*"
    "$@" 2>&1 | tee "$found/$name.txt" || failed+=("$name")
}

part tests "$python" -m pytest -p no:xdist -o addopts=-q tests/test_gpu.py
part kernels "$python" -m recns_tf bench kernels --output="$found/bench"
part step "$python" -m recns_tf bench step --output="$found/bench"
part training "$python" -m recns_tf ml-100k lightgcn --kernels=tensorflow --profile \
    --runs_dir="$found/runs" --run_name=gpu

echo "${failed[*]:-none}" >"$found/failed.txt"
tar -czf "$file" -C "$place" gpu
echo "$file"
((${#failed[@]} == 0)) || fail "failed: ${failed[*]}; their messages are in $file."
