# prompts/ behaves as ext4 does: the comparison of tests/posix, once
load ../lib/helpers

setup() {
	setup_dirs
}
teardown() { finish_test; }

@test "at least 300 POSIX cases agree with the disk's file system, for root and two more users" {
	[ "$(id -u)" = 0 ] || skip "needs root, to act as other users"
	chmod 711 "$TMPDIR" "$W"
	mount_inferfs -o allow_other
	mkdir -m 755 "$W/disk"
	"$BUILD/posixcmp" "$M/prompts" "$W/disk" >"$W/tap" 2>&1 || { grep -v '^ok' "$W/tap"; false; }
	tail -n 1 "$W/tap"
	[ "$(grep -c '^ok' "$W/tap")" -ge 300 ]
	is "$(grep -c '^ok.*# SKIP' "$W/tap")" 0 "skipped:"
}

@test "new files belong to the caller" {
	[ "$(id -u)" = 0 ] || skip "needs root, to act as another user"
	chmod 711 "$TMPDIR" "$W"
	mount_inferfs -o allow_other
	mkdir -m 1777 "$M/prompts/all"
	setpriv --reuid=4711 --regid=4712 --clear-groups sh -c 'echo "{\"prompt\":\"x\"}" > "$1/a.json"; mkdir "$1/d"' sh "$M/prompts/all"
	is "$(stat -c '%u %g' "$M/prompts/all/a.json")" "4711 4712"
	is "$(stat -c '%u %g' "$M/prompts/all/d")" "4711 4712"
	is "$(answer all/a)" "You said: x"
}
