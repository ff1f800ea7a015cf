# random work by eight processes; afterwards nothing is lost, stuck or left open
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	P=$M/prompts R=$M/responses
}
teardown() { finish_test; }

sql() { sqlite3 "file:$STATE/ledger.db?mode=ro" "$1"; }
open_files() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }

@test "eight processes create, write, rename, unlink, cancel, read and evict for ten seconds" {
	local pid before after name

	mount_inferfs
	fop put "$P/first.json" '{"prompt":"first"}'
	answer first
	pid=$(daemon_pid)
	before=$(open_files "$pid")
	"$TOOLS/stress" "$M" "${STRESS_SECONDS:-10}" 8 "${STRESS_SEED:-$RANDOM}" 3>&-
	is "$(daemon_pid)" "$pid" "the daemon after the work:"
	# what is still running ends by itself
	until_true 20 eval '[ "$(summary in_flight) $(summary queued)" = "0 0" ]' || {
		jq -c . "$M/stats/summary.json"
		false
	}
	for name in $(cd "$R" && find . -name status); do
		like "$(cat "$R/$name")" '^(draft|done|failed|cancelled)$' "$name"
	done
	for name in $(cd "$R" && find . -name text); do
		timeout 5 cat "$R/$name" >/dev/null
	done
	is "$(answer first)" "You said: first"
	# as many open files as before, but for a few directories that are kept
	until_true 10 eval '[ "$(open_files '"$pid"')" -le $(('"$before"' + 40)) ]' || {
		ls -l "/proc/$pid/fd"
		false
	}
	after=$(awk '/VmRSS/ { print $2 }' "/proc/$pid/status")
	[ "$SLOW" -gt 1 ] || [ "$after" -lt 60000 ]
	umount_inferfs
	is "$(sql 'PRAGMA integrity_check')" ok
	is "$(sql 'SELECT count(*) FROM requests WHERE state=2')" 0 "accepted and never ended:"
	is "$(sql 'SELECT count(*) FROM handouts WHERE request NOT IN (SELECT id FROM requests)')" 0
	is "$(sql 'SELECT count(*) FROM requests WHERE state=3 AND id NOT IN (SELECT request FROM handouts)')" 0
	# every hand-out's object is there, and nothing else is kept
	answers_agree
	remount
	is "$(answer first)" "You said: first"
}

answers_agree() {
	local wanted have leaked

	wanted=$(sql 'SELECT DISTINCT lower(hex(key)) FROM handouts' | sort)
	have=$(find "$STATE/answers" -name '*.json' -printf '%f\n' | cut -d. -f1 | sort -u)
	is "$(comm -23 <(echo "$wanted") <(echo "$have"))" "" "named in the ledger, missing in answers/:"
	# a name that goes in the very commit that records its answer may leave the object behind: rare, and harmless
	leaked=$(comm -13 <(echo "$wanted") <(echo "$have") | wc -l)
	[ "$leaked" -le 0 ] || is "$leaked" 0 "in answers/, named by nobody:"
}
