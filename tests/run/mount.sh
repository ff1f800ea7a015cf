#!/usr/bin/env bash
# mount.sh [FILE.bats...]   run the mount tests against $INFERFS_BUILD (build); TAP, file by file, with time limits
#
# Every file gets its own temporary directory; what is still mounted below it afterwards is a failure, and unmounted.
set -u
export INFERFS_BUILD=${INFERFS_BUILD:-build}
case $INFERFS_BUILD in
*san) slow=3 ;;
*) slow=1 ;;
esac
export BATS_TEST_TIMEOUT=${TEST_SECONDS:-$((60 * slow))}
file_limit=${FILE_SECONDS:-$((240 * slow))}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1}
wrap=()
if [[ $INFERFS_BUILD == *tsan ]] && setarch -R true 2>/dev/null; then
	wrap=(setarch -R)
fi
[ $# -gt 0 ] || set -- tests/mount/*.bats
[ -e "$1" ] || exit 0
bad=0
# what the tests send is written down for openapi.sh, where there is somebody to judge it
sent=$INFERFS_BUILD/bodies
rm -rf "$sent"
if [ -d "${INFERFS_OPENAPI:-../shared/protocols/openapi}" ] && command -v node >/dev/null; then
	mkdir -p "$sent"
	PROVIDER_BODIES=$(readlink -f "$sent")
	export PROVIDER_BODIES
else
	echo "ok bodies # SKIP what the mount tests send is not judged: no descriptions of the providers, or no node"
fi

leftovers() { # DIRECTORY: unmount and print what is still mounted below it
	awk -v d="$1/" 'index($2, d) == 1 { print $2 }' /proc/mounts | sort -r | while read -r point; do
		echo "$point"
		fusermount3 -uz "$point" 2>/dev/null || umount -l "$point"
	done
}

for file; do
	name=$(basename "$file" .bats)
	tmp=$(mktemp -d)
	TMPDIR=$tmp setpriv --pdeathsig TERM timeout -k 10 "$file_limit" "${wrap[@]}" bats --tap --print-output-on-failure "$file" \
		</dev/null >"$tmp/out" 2>&1 3>&-
	status=$?
	awk -v file="$name" -v status="$status" '
		/^1\.\.[0-9]+/ { split($0, plan, /\.\./); planned = plan[2]; next }
		/^(not )?ok [0-9]+/ {
			seen++
			if (/^not/) bad++
			sub(/ok [0-9]+ (- )?/, "ok " file ": ")
			print
			next
		}
		{ print /^#/ ? $0 : "# " $0 }
		END {
			why = status == 124 || status == 137 ? "time limit of the file" : "exit status " status
			for (i = seen + 0; i < planned; i++) { print "not ok " file ": a test did not end, " why; bad++ }
			if (status && !bad) { print "not ok " file ": " why; bad++ }
			exit bad > 0
		}' "$tmp/out" || bad=1
	left=$(leftovers "$tmp")
	if [ -n "$left" ]; then
		echo "not ok $name: left mounted: ${left//$'\n'/ }"
		bad=1
	fi
	rm -rf --one-file-system "$tmp"
done
exit $bad
