#!/usr/bin/env bash
# test.sh   run every suite; a log each in build/logs/, a line each here, and the total as the last line
#
# Two lanes: what waits for the kernel (unit, provider, mount) and, at lower priority, what computes (lint, fuzz,
# sanitizers).  Everything both need is built before they start.  A new suite is one more `suite` line below.
set -u
cd "$(dirname "$0")/../.." || exit 1
# the suites start a make of their own; the variables of `make test X=Y` come through the environment
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
export FUZZ_SECONDS=${FUZZ_SECONDS:-10}
logs=build/logs
rm -rf $logs/results
mkdir -p $logs/results
jobs=$(nproc 2>/dev/null || echo 2)
[ "$jobs" -le 4 ] || jobs=4
export JOBS=$jobs

suite() { # NAME SECONDS COMMAND...
	local name=$1 limit=$2 log=$logs/$1.log begin=$SECONDS status counts
	shift 2
	timeout -k 20 "$limit" "$@" >"$log" 2>&1 </dev/null &
	running=$!
	wait "$running"
	status=$?
	if [ $status != 0 ] && ! grep -q '^not ok' "$log"; then
		[ $status = 124 ] && echo "not ok $name: not finished within $limit s" >>"$log"
		[ $status = 124 ] || echo "not ok $name: exit status $status" >>"$log"
	fi
	counts=$(awk '
		/^(not )?ok( |$)/ { if (tolower($0) ~ /# *skip/) s++; else if (/^not/) f++; else p++ }
		END { print p + 0, f + 0, s + 0 }' "$log")
	echo "$counts" >$logs/results/"$name"
	# shellcheck disable=SC2086  # three numbers
	printf '%-9s %4d passed, %d failed, %d skipped  (%d s)\n' "$name" $counts $((SECONDS - begin))
}

build() {
	make -k -j"$JOBS" programs && echo "ok build"
}
export -f build

# a suite is a process group of its own, so an interrupt at the terminal has to be handed on
stop() {
	kill "$@" 2>/dev/null
	exit 1
}
trap 'stop ${running:-} ${lanes:-}' INT TERM
lane() { # in a subshell: its traps start empty
	lanes=
	trap 'stop ${running:-}' INT TERM
}
suite build 600 bash -c build
{
	lane
	suite unit 300 make unit
	suite openapi 120 make openapi
	suite provider 120 make provider
	suite mount 900 make mount
	suite bodies 120 make bodies
	suite clients 240 make clients
	suite bench 180 make bench-smoke
} &
lanes=$!
{
	lane
	renice -n 10 -p "$BASHPID" >/dev/null 2>&1
	suite lint 1200 make lint
	suite fuzz 900 make -j"$JOBS" fuzz
	suite asan 480 make -j"$JOBS" asan-unit
	suite tsan 480 make -j"$JOBS" tsan-unit
} &
lanes="$lanes $!"
wait

for log in "$logs"/*.log; do
	name=$(basename "$log" .log)
	[ -e "$logs/results/$name" ] && grep -H --label="$name" '^not ok' "$log" | head -n 40
done
cat $logs/results/* | awk '
	{ p += $1; f += $2; s += $3 }
	END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p == 0 }'
