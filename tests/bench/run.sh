#!/usr/bin/env bash
# run.sh [ROWS]   the benchmark table; ROWS: digits (1 warm read, 2 hit by files, 3 hit by ask, 4 misses,
#                 5 waiters, 6 tree, 7 memory, 8 samples, 9 lines of a job, 0 merging), all if absent
#
# BENCH_QUICK=1 a smoke test; BENCH_CPUS=pinned|all; BENCH_KEYS of rows 1 to 4; BENCH_ENTRIES of row 6;
# BENCH_DIR: a directory on ext4 for everything it writes.
#
# "can" and "cannot" in rows 1 to 4: whether what the row names, done by a file system that does nothing
# else, meets the target on this machine.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(realpath "${INFERFS_BUILD:-build}")
dir=$(mktemp -d "${BENCH_DIR:-/var/tmp}/inferfs-bench.XXXXXX") || exit 1
dir=$(realpath "$dir")

clean() { # nothing stays mounted, whatever happened
	local m
	for m in "$dir"/*/mnt; do
		[ -d "$m" ] && mountpoint -q "$m" 2>/dev/null && fusermount3 -uz "$m"
	done
	rm -rf --one-file-system "$dir"
}
trap clean EXIT
trap 'exit 1' INT TERM
"$build/bench/bench" "$build" "$dir" "${1:-${BENCH_ROWS:-}}"
status=$?
if grep -hE '"level":"(error|warning)"|(error|warning):' "$dir"/*/log 2>/dev/null | sort | uniq -c | sort -rn | head -n 5 >&2; then :; fi
exit $status
