#!/usr/bin/env bash
# tests/run-all, with a make that only notes what it is asked: lanes, what runs alone, failures, and an interruption.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf --one-file-system "$dir"' EXIT
mkdir "$dir/tests" "$dir/running"
cp tests/run-all "$dir/tests/"

# Each step is a directory in running/ for as long as it runs.
cat >"$dir/make" <<'EOT'
#!/usr/bin/env bash
cd "$(dirname "$0")"
for target; do :; done
case "$* " in
*test-programs* | *unit-alone* | *bench-instructions*)
    lane=alone
    [ -z "$(ls running)" ] || echo "$target does not run alone: $(ls running)" >>faults
    ;;
*asan*) lane=asan ;;
*' unit '* | *' test-'*) lane=tree ;;
*) lane=$target ;;
esac
[ ! -e running/alone ] || echo "$target runs beside one that runs alone" >>faults
mkdir "running/$lane" || echo "$target: two of the lane $lane" >>faults
echo "$target" >>called
[ "$(ls running | wc -l)" -lt 2 ] || touch together
[ -z "${HANG:-}" ] || [ "$target" != unit-asan ] || { touch hangs && (trap '' INT && exec sleep 1000); }
sleep 0.1
rmdir "running/$lane"
case $target in
coverage) echo 'server/  lines 96.6% (1 out of 2), at least 90%' ;;
lint) echo 'SKIPPED - no tool here' ;;
unit-tsan) echo 'not ok - what is wrong' && exit 3 ;;
*) echo '2 passed, 0 failed' ;;
esac
EOT
chmod +x "$dir/make"

fail() {
    echo "run-all: $1"
    tail -n 60 "$dir/out"
    exit 1
}

status=0
env -u V LANES=3 "$dir/tests/run-all" "$dir/make" >"$dir/out" 2>&1 || status=$?
[ "$status" -eq 1 ] || fail "status $status where one step fails"
[ ! -e "$dir/faults" ] || fail "$(cat "$dir/faults")"
[ -e "$dir/together" ] || fail 'no two steps at the same time'
steps=$(grep -c "^ *step " tests/run-all) # without the one for when i386 is skipped
[ "$(wc -l <"$dir/called")" -eq "$steps" ] || fail "of $steps steps $(wc -l <"$dir/called") were run"
for line in '    | not ok - what is wrong' "  make -j$(nproc) PARALLEL=yes unit-tsan " '    server/  lines 96.6% (1 out of 2), at least 90%' \
    "$((steps - 2)) passed, 1 failed, 1 skipped"; do
    grep -qxF -- "$line" "$dir/out" || fail "it does not say: $line"
done
names=$(sed -n "s/^ *step [a-z0-9]* '\([^']*\)'.*/\1/p" tests/run-all)
[ "$(sed -n '/^result /,/^$/p' "$dir/out" | sed '1d;$d' | cut -c37-)" = "$names" ] || fail 'the summary is not in order'

# An interruption ends all that runs, also what does not listen to it. (A shell's background job does not hear INT: TERM.)
HANG=yes env -u V LANES=2 "$dir/tests/run-all" "$dir/make" >"$dir/out" 2>&1 &
pid=$!
for _ in {1..300}; do [ ! -e "$dir/hangs" ] || break; sleep 0.1; done
kill -TERM "$pid"
wait "$pid" && fail 'status 0 after an interruption'
[ -e "$dir/hangs" ] || fail "nothing ran"
grep -q '^run-all: interrupted' "$dir/out" || fail 'it does not say that it was interrupted'
! pgrep -f -- "$dir/make" || fail 'processes are left'
echo "run-all: $steps steps, each in its lane; an interruption leaves none"
