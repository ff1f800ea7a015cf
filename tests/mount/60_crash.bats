# the daemon is killed, at any moment: what was accepted is finished, what was shown is not bought again
# shellcheck disable=SC2034 # what helpers.bash reads
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
}
teardown() { finish_test; }

prompt() { fop put "$P/$1.json" "{\"prompt\":\"$2\"}"; }
sql() { sqlite3 "file:$STATE/ledger.db?mode=ro" "$1"; }
all_end() { ! cat "$R"/*/status | grep -qv -e '^done' -e '^draft'; }
count_sent() { # SENT[text]: how often each was asked
	local n text

	SENT=()
	while read -r n text; do
		SENT[$text]=$n
	done < <(provider_requests '.requests[] | .body | fromjson | .messages[0].content' | sort | uniq -c)
}

@test "kill -9 in the middle of 100 running requests: all end done, the answered ones are not bought again" {
	mount_inferfs "$(provider_config 'concurrency = 100')"
	mkdir "$W/in"
	for i in $(seq 70); do echo "{\"prompt\":\"slow $i\"}" >"$W/in/s$i.json"; done
	for i in $(seq 30); do echo "{\"prompt\":\"fast $i\"}" >"$W/in/f$i.json"; done
	provider_script '[{"match":"slow","piece_barriers":{"1":"hold"}}]'
	cp "$W"/in/*.json "$P"
	provider_waiting hold 70
	answers_are f 30 "fast %g"
	kill9
	provider_script '[]'
	provider_release hold
	remount
	answers_are s 70 "slow %g"
	answers_are f 30 "fast %g"
	is "$(cat "$R"/*/status | sort | uniq -c | xargs)" "100 done"
	is "$(provider_count)" 170
	is "$(provider_requests '[.requests[] | .body | fromjson | .messages[0].content | select(startswith("fast"))] | length')" 30
}

# 24 requests, each followed by a reader that keeps what a final file showed; the daemon dies on the way
crash_at() { # POINT N
	local i accepted=() shown=0

	DAEMON_ENV=("INFERFS_FAULT=$1:$2")
	mount_inferfs "$(provider_config 'concurrency = 4')"
	mkdir -p "$W/shown"
	local pid
	pid=$(daemon_pid)
	for i in $(seq 24); do
		if [ "$(prompt "q$i" "number $i." 2>/dev/null)" = "put ok" ]; then
			accepted+=("$i")
			{ timeout 20 cat "$R/q$i/text" >"$W/shown/$i" 2>/dev/null && echo whole >"$W/shown/$i.ok"; } 3>&- &
		fi
	done
	# a fast machine is through before the last of these points is reached: more of the same
	for ((i = 0; i < 400; i++)); do
		gone "$pid" && break
		prompt "more$i" "more $i." >/dev/null 2>&1 || true
	done
	wait_gone "$pid" 20
	for i in $(jobs -p); do
		[[ " $JOBS_OF_BATS ${PROVIDER_PIDS[*]} " == *" $i "* ]] || wait "$i" || true
	done
	DAEMON_ENV=()
	remount
	for i in "${accepted[@]}"; do
		is "$(answer "q$i")" "echo: number $i." "request $i after $1:$2"
	done
	# also one whose close(2) never returned: it may have been accepted
	until_true 20 all_end
	declare -A SENT
	count_sent
	for i in "${accepted[@]}"; do
		if [ -e "$W/shown/$i.ok" ]; then
			shown=$((shown + 1))
			is "$(cat "$W/shown/$i")" "echo: number $i."
			is "${SENT[number $i.]}" 1 "request $i had been shown; bought:"
		fi
	done
	echo "$1:$2: ${#accepted[@]} accepted, $shown shown before the crash"
	# what was not accepted is written again, and everything is there
	for i in $(seq 24); do
		prompt "q$i" "number $i." >/dev/null
	done
	answers_are q 24 "number %g."
	count_sent
	for i in $(seq 24); do
		[ "${SENT[number $i.]}" -le 2 ]
	done
	umount_inferfs
	is "$(sql 'PRAGMA integrity_check')" ok
	is "$(sql 'SELECT count(*) FROM requests WHERE state<>3')" 0
}

@test "killed after an acceptance, before close returned" { crash_at accepted 1; }
@test "killed after the 9th acceptance" { crash_at accepted 9; }
@test "killed after the last acceptance" { crash_at accepted 24; }
@test "killed when the first writer had closed" { crash_at release 1; }
@test "killed when the 9th writer had closed" { crash_at release 9; }
@test "killed when the last writer had closed" { crash_at release 24; }
@test "killed at the first answer's last byte" { crash_at last-byte 1; }
@test "killed at the 9th answer's last byte" { crash_at last-byte 9; }
@test "killed at the last answer's last byte" { crash_at last-byte 24; }
@test "killed when the first object was written" { crash_at object 1; }
@test "killed when the 9th object was written" { crash_at object 9; }
@test "killed when the last object was written" { crash_at object 24; }
@test "killed after the ledger's first commit of an answer" { crash_at committed 1; }
@test "killed after the ledger's 9th commit of an answer" { crash_at committed 9; }

@test "killed when the first record was in the journal" { crash_at journal 1; }
@test "killed when the 20th record was in the journal" { crash_at journal 20; }
@test "killed in the first flush of the journal" { crash_at flush 1; }
@test "killed in the third flush of the journal" { crash_at flush 3; }
@test "killed after a flush, before the journal was cut" { crash_at flushed 2; }
@test "killed after the journal was cut" { crash_at cut 2; }

objects() { find "$STATE/answers" -name '*.json' | wc -l; }

@test "objects that a dead daemon left behind go, those that somebody names stay" {
	mount_inferfs
	prompt a one
	prompt b two
	is "$(answer a)$(answer b)" "echo: oneecho: two"
	is "$(objects)" 2
	rm "$P/a.json"
	kill9
	[ "$(objects)" -ge 1 ]
	# one more that nobody ever named, and things that are no objects
	mkdir -p "$STATE/answers/3f/9a"
	echo x >"$STATE/answers/3f/9a/3f9a$(printf '0%.0s' $(seq 60)).0.json"
	echo x >"$STATE/answers/3f/9a/notes.json"
	remount
	until_true 20 eval '[ "$(objects)" = 2 ]'
	[ -e "$STATE/answers/3f/9a/notes.json" ]
	is "$(answer b)" "echo: two"
	umount_inferfs
	is "$(objects)" 2
}

@test "an object that was paid for and written before the crash is not bought again" {
	DAEMON_ENV=(INFERFS_FAULT=object:1)
	mount_inferfs
	local pid
	pid=$(daemon_pid)
	prompt a x
	wait_gone "$pid" 20
	DAEMON_ENV=()
	remount
	is "$(answer a)" "echo: x"
	is "$(provider_count)" 1
}

@test "killed again and again while it works, it still finishes everything" {
	local i pid

	mount_inferfs "$(provider_config 'concurrency = 8')"
	for i in $(seq 40); do
		prompt "q$i" "number $i." >/dev/null
		[ $((i % 8)) = 0 ] || continue
		kill9
		remount
	done
	answers_are q 40 "number %g."
	is "$(cat "$R"/*/status | sort | uniq -c | xargs)" "40 done"
}

@test "readers and the mount itself do not hang when the daemon dies" {
	mount_inferfs
	provider_hold
	prompt a x
	provider_waiting hold 1
	"$TOOLS/park" 20 "$R/a/text" "$R/a/stream" >"$W/out" 2>"$W/err" 3>&- &
	local readers=$!
	until_true 20 grep -q parked "$W/out"
	kill9
	wait_gone $readers 5
	timeout 5 ls "$M" 2>"$W/err" && false
	grep -q 'not connected' "$W/err"
	provider_release hold
	remount
	is "$(answer a)" "echo: x"
}

@test "SIGTERM: every parked reader is answered within a second, the daemon is gone within two" {
	mount_inferfs
	provider_hold
	prompt a x
	provider_waiting hold 1
	"$TOOLS/park" 200 "$R/a/text" "$R/a/stream" >"$W/out" 2>"$W/err" 3>&- &
	local readers=$! pid begin
	until_true 20 grep -q parked "$W/out"
	pid=$(daemon_pid)
	begin=$(now_ms)
	kill -TERM "$pid"
	wait_gone $readers 5
	[ $(($(now_ms) - begin)) -lt $((1000 * SLOW)) ]
	wait_gone "$pid" 5
	[ $(($(now_ms) - begin)) -lt $((2000 * SLOW)) ]
	mounted && false
	grep -c 'Cannot send after transport endpoint shutdown' "$W/err"
	provider_release hold
	remount
	is "$(answer a)" "echo: x"
	is "$(provider_count)" 2
}

@test "unmount while requests run: they are finished after the next mount" {
	mount_inferfs
	provider_hold
	for i in $(seq 10); do prompt "q$i" "number $i." >/dev/null; done
	provider_waiting hold 10
	local begin
	begin=$(now_ms)
	umount_inferfs
	[ $(($(now_ms) - begin)) -lt $((2000 * SLOW)) ]
	provider_release hold
	remount
	answers_are q 10 "number %g."
	is "$(provider_count)" 20
}

@test "a prompt that was changed or removed while it was not mounted is not sent, and the sentence says so" {
	mount_inferfs
	provider_hold
	prompt a one
	prompt b two
	provider_waiting hold 2
	kill9
	echo '{"prompt":"other"}' >"$STATE/prompts/a.json"
	rm "$STATE/prompts/b.json"
	provider_release hold
	remount
	wait_status a failed
	like "$(jq -r .message "$R/a/error.json")" 'changed while it was not mounted'
	[ ! -e "$R/b" ]
	sent one two
	prompt a other
	is "$(answer a)" "echo: other"
}

@test "cancelled and removed requests do not come back after a crash" {
	mount_inferfs
	provider_hold
	prompt a one
	prompt b two
	prompt c three
	provider_waiting hold 3
	echo cancel >"$R/a/ctl"
	wait_status a cancelled
	rm "$P/b.json"
	kill9
	provider_script '[]'
	provider_release hold
	remount
	is "$(status_of a)" cancelled
	[ ! -e "$R/b" ]
	is "$(answer c)" "echo: three"
	sent one two three three
}
