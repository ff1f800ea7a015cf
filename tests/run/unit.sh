#!/usr/bin/env bash
# unit.sh DIRECTORY   run every DIRECTORY/unit/test_*, print "ok PROGRAM: TEST" lines, exit 1 when one failed
#
# cmocka's TAP lines are renamed, and what a crash or a time limit swallowed is counted as failed.
set -u
# setpriv: what is run here ends when this script is ended, whoever ends it
limit=${TEST_SECONDS:-120}

one() { # PROGRAM
	local tmp out text status
	tmp=$(mktemp -d)
	out=$(mktemp)
	TMPDIR=$tmp CMOCKA_MESSAGE_OUTPUT=TAP setpriv --pdeathsig TERM timeout -k 5 "$limit" "$1" >"$out" 2>&1 </dev/null
	status=$?
	text=$(report "$1" $status <"$out")
	status=$?
	printf '%s\n' "$text" # at once: the lines of two programs must not mix
	rm -rf "$tmp" "$out"
	return $status
}

report() { # PROGRAM STATUS < OUTPUT
	awk -v prog="${1##*/}" -v status="$2" '
		/^1\.\.[0-9]+/ { split($0, plan, /\.\./); planned += plan[2]; next }
		/^(not )?ok [0-9]+/ {
			seen++
			name = $0; sub(/^(not )?ok [0-9]+ (- )?/, "", name)
			if (name ~ /^# *SKIP/) { sub(/^# *SKIP */, "", name); print "ok " prog ": " name " # SKIP"; next }
			if (/^not/) bad++
			print (/^not/ ? "not ok " : "ok ") prog ": " name
			next
		}
		/^# (not )?ok - / { next }
		NF { print "# " prog ": " $0 }
		END {
			why = status == 124 || status == 137 ? "time limit" : "exit status " status
			for (i = seen + 0; i < planned; i++) { print "not ok " prog ": a test did not end, " why; bad++ }
			if (status && !bad) { print "not ok " prog ": " why; bad++ }
			if (!status && !seen) print "ok " prog
			exit bad > 0
		}'
}

if [ "$1" = --one ]; then
	one "$2"
	exit
fi
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1}
wrap=()
# gcc 12's thread sanitizer cannot live with the widest address randomisation
if [[ $1 == *tsan ]] && setarch -R true 2>/dev/null; then
	wrap=(setarch -R)
fi
programs=()
for source in tests/unit/test_*.c; do
	name=${source##*/}
	[ -e "$source" ] && programs+=("$1/unit/${name%.c}")
done
[ ${#programs[@]} -gt 0 ] || exit 0
printf '%s\0' "${programs[@]}" | "${wrap[@]}" xargs -0 -n 1 -P "${JOBS:-2}" "$0" --one
