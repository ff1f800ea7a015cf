#!/usr/bin/env bash
# fuzz.sh PROGRAM...   run each fuzz target for $FUZZ_SECONDS, two at a time; a crash is kept in build/fuzz/
#
# New inputs go to build/fuzz/corpus/NAME, the checked-in ones in tests/fuzz/corpus/NAME (with or without the "fuzz_")
# are read first; tests/fuzz/NAME.dict is used when it is there.
set -u
seconds=${FUZZ_SECONDS:-60}

one() { # PROGRAM
	local name=${1##*/} dirs=() options=() out status
	mkdir -p "build/fuzz/corpus/$name"
	dirs=("build/fuzz/corpus/$name")
	for d in "tests/fuzz/corpus/$name" "tests/fuzz/corpus/${name#fuzz_}"; do
		[ -d "$d" ] && dirs+=("$d")
	done
	for d in "tests/fuzz/$name.dict" "tests/fuzz/${name#fuzz_}.dict"; do
		[ -f "$d" ] && options+=("-dict=$d")
	done
	out=$(setpriv --pdeathsig TERM timeout -k 5 $((seconds + 60)) "$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="build/fuzz/crash-$name-" "${options[@]}" "${dirs[@]}" 2>&1)
	status=$?
	if [ $status = 0 ]; then
		echo "ok $name ($(printf '%s\n' "$out" | awk '/number_of_executed_units/ { print $2 }') runs in $seconds s)"
	else
		printf '%s\n' "$out" | tail -n 60 | sed 's/^/# /'
		echo "not ok $name: exit status $status"
		return 1
	fi
}

[ $# -gt 0 ] || exit 0
if [ "$1" = --one ]; then
	one "$2"
	exit
fi
printf '%s\0' "$@" | xargs -0 -n 1 -P "${JOBS:-2}" "$0" --one
