# full disks, damaged and missing files, two daemons
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
}
teardown() {
	fusermount3 -u "$M" 2>/dev/null || true
	local d
	for d in small ro; do
		! mounted "$W/$d" || umount -l "$W/$d"
	done
	finish_test
}

prompt() { fop put "$P/$1.json" "{\"prompt\":\"$2\"}"; }
sql() { sqlite3 "file:$STATE/ledger.db?mode=ro" "$1"; }
small_disk() { # SIZE: state and cache on it
	[ "$(id -u)" = 0 ] || skip "needs root, to mount a tmpfs"
	mkdir "$W/small"
	mount -t tmpfs -o "size=$1" tmpfs "$W/small"
	STATE=$W/small/state CACHE=$W/small/cache
}
mount_clean_up() { fusermount3 -uz "$M" 2>/dev/null || true; }
refused() { # WHAT THE SENTENCE SAYS [ARGUMENT]...: it does not mount
	local rc=0 wanted=$1

	shift
	daemon_run "$@" >"$W/said" 2>&1 || rc=$?
	is "$rc" 1 "exit status:"
	is "$(wc -l <"$W/said")" 1 "lines: $(cat "$W/said")"
	like "$(cat "$W/said")" "$wanted"
}

@test "a full disk: close fails with ENOSPC, nothing stored is damaged, and it works again when there is room" {
	small_disk 16m
	mount_inferfs
	expect_log 'No space|ENOSPC|space left|full'
	prompt a one
	answer a
	is "$(fop open "$P/big.txt" w,creat , fill 0 1000000 , close 0 | tail -n 1)" "close ok"
	is "$(answer big | wc -c)" $((1000000 + 7))
	dd if=/dev/zero of="$W/small/fill" bs=4k 2>/dev/null || true
	# in place, so that the file itself needs no room
	is "$(fop open "$P/big.txt" rw , pwrite 0 0 y , close 0 | tail -n 1)" "close ENOSPC"
	is "$(stat -c %s "$P/big.txt") $(head -c 2 "$P/big.txt")" "1000000 yx"
	is "$(fop open "$P/c.txt" w,creat , fill 0 60000 , close 0 | sed -n 2p)" "fill ENOSPC"
	is "$(cat "$P/a.json")" '{"prompt":"one"}'
	is "$(answer a)" "echo: one"
	ls -lR "$M/responses" "$M/cache" >/dev/null
	rm "$W/small/fill"
	is "$(prompt d four)" "put ok"
	is "$(answer d)" "echo: four"
	fop open "$P/big.txt" rw , pwrite 0 0 z , close 0
	is "$(answer big | head -c 9)" "echo: zxx"
	umount_inferfs
	is "$(sql 'PRAGMA integrity_check')" ok
	remount
	is "$(answer a)$(answer d)" "echo: oneecho: four"
}

@test "the disk is full when an answer comes: it is not lost once there is room, and nothing hangs" {
	small_disk 4m
	mount_inferfs
	expect_log 'No space|ENOSPC|space left|full|could not|cannot'
	provider_hold
	prompt a one
	provider_waiting hold 1
	dd if=/dev/zero of="$W/small/fill" bs=4k 2>/dev/null || true
	provider_release hold
	# either it still fits, or it failed with a sentence
	until_true 20 eval '[[ $(status_of a) =~ done|failed ]]'
	rm "$W/small/fill"
	umount_inferfs
	remount
	until_true 20 eval '[[ $(status_of a) =~ done|failed ]]'
	[ "$(status_of a)" = "done" ] || echo retry >"$R/a/ctl"
	is "$(answer a)" "echo: one"
	umount_inferfs
	is "$(sql 'PRAGMA integrity_check')" ok
}

@test "a torn object in the store is set aside and is a miss; the response stays" {
	mount_inferfs
	expect_log damaged
	prompt a one
	answer a
	local object
	object=$(find "$CACHE/objects" -name '*.json')
	head -c 100 "$object" >"$W/torn"
	rm "$object"
	cp "$W/torn" "$object"
	prompt b one
	is "$(answer b)" "echo: one"
	is "$(answer a)" "echo: one"
	is "$(provider_count)" 2
	[ -n "$(find "$CACHE/damaged" -type f)" ]
	umount_inferfs
	remount
	is "$(answer a)$(answer b)" "echo: oneecho: one"
	sent one one
}

@test "one changed byte in an object is noticed" {
	mount_inferfs
	expect_log damaged
	prompt a one
	answer a
	local object
	object=$(find "$CACHE/objects" -name '*.json')
	sed 's/echo: one/echo: two/' "$object" >"$W/changed"
	rm "$object"
	cp "$W/changed" "$object"
	prompt b one
	is "$(answer b)" "echo: one"
	is "$(provider_count)" 2
}

@test "a torn file in answers/ is never shown as an answer" {
	mount_inferfs "$(provider_config | sed 's/^\[inferfs\]$/&\ncache_mode = bypass/')"
	expect_log 'damaged|torn|answers'
	prompt a "one two three"
	answer a
	umount_inferfs
	local file
	file=$(find "$STATE/answers" -name '*.json')
	truncate -s 150 "$file"
	remount
	timeout 10 cat "$R/a/text" >"$W/out" 2>"$W/err" && false
	is "$(cat "$W/out")" ""
	ls -l "$R/a" >/dev/null
	prompt a "one two three"
	is "$(answer a)" "echo: one two three"
}

@test "the store's directory is removed while it is mounted: answers come, and it is filled again" {
	mount_inferfs
	expect_log 'cache|store|objects'
	prompt a one
	answer a
	rm -rf "$CACHE"
	is "$(answer a)" "echo: one"
	prompt b two
	is "$(answer b)" "echo: two"
	until_true 20 eval '[ "$(stored_objects)" -ge 1 ]'
	prompt c two
	is "$(answer c)" "echo: two"
	is "$(provider_count)" 2
}

@test "a second daemon on the same state directory is refused with a sentence, the first goes on" {
	mount_inferfs
	mkdir "$W/m2"
	refused 'another inferfs|another daemon|in use|uses' "$W/m2" -o "config=$W/config.ini,state=$STATE,cache=disk:$CACHE"
	mounted "$W/m2" && false
	prompt a one
	is "$(answer a)" "echo: one"
}

@test "a torn write-ahead log: it mounts, what was committed before is there, the ledger is whole" {
	mount_inferfs
	prompt a one
	answer a
	umount_inferfs
	remount
	for i in $(seq 5); do
		prompt "b$i" "two $i"
		answer "b$i"
	done
	kill9
	truncate -s -100 "$STATE/ledger.db-wal"
	remount
	is "$(answer a)" "echo: one"
	is "$(status_of b1)" "done"
	like "$(status_of b5)" '^(done|draft|queued|running)$'
	prompt b5 "two 5"
	is "$(answer b5)" "echo: two 5"
	is "$(provider_count)" 6 "calls:"
	umount_inferfs
	is "$(sql 'PRAGMA integrity_check')" ok
}

@test "a write-ahead log that is gone: it mounts, the prompts are there" {
	mount_inferfs
	prompt a one
	answer a
	kill9
	rm -f "$STATE"/ledger.db-wal "$STATE"/ledger.db-shm
	remount
	is "$(cat "$P/a.json")" '{"prompt":"one"}'
	prompt a one
	is "$(answer a)" "echo: one"
	is "$(provider_count)" 1
}

@test "a torn journal: it mounts, all but the last record is there" {
	mount_inferfs
	for i in $(seq 5); do
		prompt "b$i" "two $i"
		answer "b$i"
	done
	kill9
	local journal
	journal=$(find "$STATE" -name 'ledger.journal.?' -size +0)
	truncate -s -10 "$journal"
	rm -f "$STATE"/ledger.db-wal "$STATE"/ledger.db-shm
	expect_log 'in the middle of a record'
	remount
	is "$(answer b1)$(answer b4)" "echo: two 1echo: two 4"
	prompt b5 "two 5"
	is "$(answer b5)" "echo: two 5"
	is "$(provider_count)" 5 "calls:"
	umount_inferfs
	is "$(sql 'PRAGMA integrity_check')" ok
}

@test "a journal that is damaged in the middle is refused with a sentence and left as it is" {
	mount_inferfs
	for i in $(seq 5); do
		prompt "b$i" "two $i"
		answer "b$i"
	done
	kill9
	local journal
	journal=$(find "$STATE" -name 'ledger.journal.?' -size +0)
	printf 'XX' | dd of="$journal" bs=1 seek=100 conv=notrunc 2>/dev/null
	cp "$journal" "$W/before"
	mount_clean_up
	refused 'journal.*damaged in the middle.*move it away' "${MOUNT_ARGS[@]}"
	cmp "$W/before" "$journal"
	mounted && false
	rm "$journal"
	remount
	is "$(cat "$P/b1.json")" '{"prompt":"two 1"}'
}

@test "a damaged ledger is refused with a sentence and left as it is" {
	mount_inferfs
	prompt a one
	answer a
	umount_inferfs
	head -c 3000 /dev/urandom >"$STATE/ledger.db"
	rm -f "$STATE"/ledger.db-*
	cp "$STATE/ledger.db" "$W/before"
	refused 'ledger' "${MOUNT_ARGS[@]}"
	cmp "$W/before" "$STATE/ledger.db"
	mounted && false
	true
}

@test "a state directory that cannot be written is refused with a sentence" {
	[ "$(id -u)" = 0 ] || skip "needs root, to mount a read-only file system"
	mkdir "$W/ro"
	mount -t tmpfs -o ro tmpfs "$W/ro"
	mount_inferfs
	umount_inferfs
	refused '[Rr]ead-only' "$M" -o "config=$W/config.ini,state=$W/ro/state,cache=disk:$CACHE"
	umount "$W/ro"
}

@test "a cache that cannot be written is a warning: requests are answered" {
	[ "$(id -u)" = 0 ] || skip "needs root, to mount a read-only file system"
	mkdir "$W/ro"
	mount -t tmpfs -o ro tmpfs "$W/ro"
	CACHE=$W/ro/cache
	expect_log 'cache|[Rr]ead-only|store'
	mount_inferfs
	prompt a one
	is "$(answer a)" "echo: one"
	grep -q ' warning ' "$LOG"
	umount_inferfs
	remount
	is "$(answer a)" "echo: one"
}

@test "the state directory's file appears under the mount point only: nothing inside the mount is opened" {
	mount_inferfs
	prompt a one
	answer a
	umount_inferfs
	refused 'inside' "$M" -o "config=$W/config.ini,state=$M/state,cache=disk:$CACHE"
	refused 'inside' "$M" -o "config=$W/config.ini,state=$STATE,cache=disk:$M/cache"
	refused 'inside' "$M" -o "config=$W/config.ini,state=$STATE,cache=disk:$CACHE,log_file=$M/log"
}

@test "mounting where a dead daemon left its mount, with somebody still inside" {
	mount_inferfs
	prompt a one
	answer a
	exec 7<"$P/a.json"
	kill9
	remount
	exec 7<&-
	is "$(answer a)" "echo: one"
	is "$(grep -c " $M " /proc/mounts)" 1
}
