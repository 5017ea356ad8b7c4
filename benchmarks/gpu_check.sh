#!/usr/bin/env bash
# What has to be seen on a GPU, in one call of under ten minutes: a head trained there, the suite in half precision,
# times of passes, CUDA graphs, and the share of a step that verification takes.
#
#     bash benchmarks/gpu_check.sh OUT            # from anywhere; the checkout is the one that this file is in
#
# Every part has its own time limit and its own log OUT/NAME.log; one that fails or takes too long stops no other.
# OUT/summary.txt says how each ended; OUT/results.txt holds the end of every log and the tables, for machines that
# send few files back.  Status 0 if every part was done.  Asked for beforehand: Python with torch, transformers, NumPy
# and SciPy; nothing is downloaded but an embedded target that is not in the cache.
#
# Settings, by environment:
#   TARGET           folder or GGUF file of the target (a GGUF file needs the package gguf); the embedded one by default
#   DEVICE, DTYPE    cuda, bfloat16
#   SHAPES           whose passes are timed, with the seconds that each may take: "1B:30 8B:45 70B:70"
#   SIZES            tokens of a pass: 1,2,4,8,16,32,64
#   SKIP             layers left out of the target for a draft that can be compiled: 17,18,16,14
#   HEAD, SUITE, LATENCY, STEPS    options of the parts, as the shell reads them
#   LIMITS           seconds of some parts, such as "head:170 suite:60"
#   INSTALL          0 to use what is installed
#
# A try on a CPU, with numbers too small to mean anything (python and veridraft of an environment on the PATH):
#     DEVICE=cpu DTYPE=float32 INSTALL=0 SHAPES=135M:200 SIZES=1,4 LIMITS="machine:60 head:400 suite:400 graphs:300 share:300" \
#     HEAD="--shards 1 --rows 4 --length 24 --steps 2 --batch 2 --tokens 512" \
#     SUITE="--steps 12 --rows 2 --verifiers nss,traversal" \
#     LATENCY="--contexts 16 --rounds 1 --verifiers nss --policies 'Chain(1)'" \
#     STEPS="--tokens 6 --prompts 1 --rules nss,optimal --backend eager" bash benchmarks/gpu_check.sh OUT
set -u -o pipefail

OUT=${1:?usage: bash benchmarks/gpu_check.sh OUT}
DEVICE=${DEVICE:-cuda} DTYPE=${DTYPE:-bfloat16} TARGET=${TARGET:-}
SHAPES=${SHAPES:-1B:30 8B:45 70B:70} SKIP=${SKIP:-17,18,16,14} SIZES=${SIZES:-1,2,4,8,16,32,64}
HEAD=${HEAD:---shards 12 --rows 256 --length 256 --steps 1200 --batch 16 --evaluate-every 300}
SUITE=${SUITE:---suite small --steps 200 --rows 32}
LATENCY=${LATENCY:-"--contexts 256,2048 --rounds 5 --verifiers traversal --policies 'Iid(4, 3)'"}
STEPS=${STEPS:---tokens 40 --prompts 4 --rows 4}
LIMITS="install:40 machine:25 head:140 suite:80 graphs:50 share:60 ${LIMITS:-}"
HERE=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$OUT" && OUT=$(cd "$OUT" && pwd)
: >"$OUT/summary.txt"

limit_of() { # the last limit that is named for a part
    printf '%s\n' $LIMITS | sed -n "s/^$1://p" | tail -1
}

part() { # part NAME SECONDS COMMAND...: its output to a log, its end to the summary
    local name=$1 seconds=$2 begin=$SECONDS status=0
    shift 2
    printf '$ %s\n' "$*" >"$OUT/$name.log"
    timeout -k 8 "$seconds" "$@" >>"$OUT/$name.log" 2>&1 </dev/null || status=$?
    case $status in
    0) echo "$name: done in $((SECONDS - begin)) s" ;;
    124 | 137) echo "$name: stopped after $seconds s" ;;
    *) echo "$name: failed with status $status after $((SECONDS - begin)) s" ;;
    esac | tee -a "$OUT/summary.txt"
    return "$status"
}

place=(--device "$DEVICE" --dtype "$DTYPE")
target=() draft=(--draft "skip:$SKIP")
[ -n "$TARGET" ] && target=(--target "$TARGET")
eval "head=($HEAD) suite=($SUITE) latency=($LATENCY) steps=($STEPS)"

if [ "${INSTALL:-1}" != 0 ]; then
    part install "$(limit_of install)" python -m pip install -q --no-deps --no-build-isolation "$HERE/.."
fi
part machine "$(limit_of machine)" python -c 'import sys, torch, transformers
print(sys.version, torch.__version__, transformers.__version__)
print(torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")'
part head "$(limit_of head)" veridraft distil --head "${target[@]}" "${place[@]}" --out "$OUT/head" "${head[@]}" &&
    draft=(--draft "$OUT/head/draft")
part suite "$(limit_of suite)" veridraft study run suites "${target[@]}" "${draft[@]}" "${place[@]}" \
    --out "$OUT/suite" "${suite[@]}"
for shape in $SHAPES; do
    name=${shape%%:*}
    part "latency-$name" "${shape##*:}" veridraft latency --target "random:$name" --draft skip:1 "${place[@]}" \
        --sizes "$SIZES" --draft-sizes 1,4 --out "$OUT/latency-$name" "${latency[@]}"
done
part graphs "$(limit_of graphs)" python "$HERE/bench_steps.py" "${target[@]}" --draft "skip:$SKIP" "${place[@]}" \
    --rules nss,traversal --policy 'Iid(2, 2)' --mode reduce-overhead "${steps[@]}"
part share "$(limit_of share)" python "$HERE/bench_steps.py" "${target[@]}" "${draft[@]}" "${place[@]}" "${steps[@]}"

for log in "$OUT"/*.log; do
    printf '\n== %s\n' "$(basename "$log")"
    tail -n 60 "$log"
done >"$OUT/results.txt"
for table in "$OUT"/suite/suite.txt "$OUT"/latency-*/latency.txt; do
    [ -f "$table" ] && printf '\n== %s\n' "${table#"$OUT"/}" && cat "$table"
done >>"$OUT/results.txt"
! grep -qE ': (failed|stopped)' "$OUT/summary.txt"
