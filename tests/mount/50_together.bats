# many at once: requests, equal requests, readers
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
}
teardown() { finish_test; }

prompt() { fop put "$P/$1.json" "{\"prompt\":\"$2\"${3:+,$3}}"; } # STEM TEXT [MORE MEMBERS]
statuses() { [ "$(cat "$R/$1"*/status | sort | uniq -c | xargs)" = "$2" ]; } # STEM COUNT-WORD...
numbered() { # DIRECTORY N: N different requests
	local i

	mkdir -p "$1"
	for ((i = 1; i <= $2; i++)); do
		echo "{\"prompt\":\"number $i\"}" >"$1/q$i.json"
	done
}

@test "50 different requests written by cp run concurrently: all 50 are at the provider at once" {
	mount_inferfs "$(provider_config 'concurrency = 64')"
	provider_hold
	numbered "$W/in" 50
	cp "$W"/in/*.json "$P"
	provider_waiting hold 50
	until_true 20 statuses q "50 running"
	is "$(jq '.in_flight' "$M/backends/p/status.json")" 50
	provider_release hold
	answers_are q 50 "number %g"
	is "$(provider_count)" 50
	is "$(summary requests) $(summary calls) $(summary in_flight)" "50 50 0"
}

@test "100 equal requests written at once cost one call" {
	mount_inferfs
	provider_hold
	local writers=()
	for i in $(seq 100); do
		echo '{"prompt":"the same"}' >"$P/s$i.json" 3>&- &
		writers+=($!)
	done
	wait "${writers[@]}"
	provider_waiting hold 1
	until_true 20 statuses s "100 running"
	provider_release hold
	is "$(timeout $((30 * SLOW)) cat $(seq -f "$R/s%g/text" 100) | sort | uniq -c | xargs)" "100 echo: the same"
	sent "the same"
	is "$(jq -r .cached "$R"/s*/response.json 2>/dev/null | sort | uniq -c | xargs)" "100 null"
	is "$(jq -r '.samples[0].cached' "$R"/s*/response.json | sort | uniq -c | xargs)" "1 false 99 true"
	is "$(summary cache_hits)" 99
}

@test "one failure reaches all of 20 equal requests, and costs what one costs" {
	mount_inferfs
	provider_script '[{"status":400,"barrier":"hold"}]'
	for i in $(seq 20); do
		prompt "s$i" same >/dev/null
	done
	provider_waiting hold 1
	provider_release hold
	for i in $(seq 20); do
		wait_status "s$i" failed
	done
	is "$(provider_count)" 1
	is "$(cat "$R"/s*/error.json | jq -r .errno | sort | uniq -c | xargs)" "20 EINVAL"
}

@test "2,000 parked readers are released at once, and other operations go on meanwhile" {
	mount_inferfs
	provider_hold
	prompt slow x
	provider_waiting hold 1
	"$TOOLS/park" 2000 "$R/slow/text" "$R/slow/stream" "$R/slow/response.json" >"$W/out" 2>"$W/err" 3>&- &
	local parked=$! begin
	until_true 40 grep -q parked "$W/out" || { cat "$W/out" "$W/err"; false; }
	provider_script '[]'
	begin=$(now_ms)
	for i in $(seq 20); do
		prompt "other$i" "y $i" >/dev/null
		is "$(answer "other$i")" "echo: y $i"
		ls -l "$P" "$R" >/dev/null
	done
	[ $(($(now_ms) - begin)) -lt $((5000 * SLOW)) ]
	is "$(status_of slow)" running
	begin=$(now_ms)
	provider_release hold
	wait $parked || true # they read three different files
	[ $(($(now_ms) - begin)) -lt $((5000 * SLOW)) ]
	unlike "$(cat "$W/err")" 'Operation|Input|Interrupted|shutdown'
}

@test "1,000 readers of one text get the same bytes" {
	mount_inferfs
	provider_hold
	prompt slow "one two three"
	provider_waiting hold 1
	"$TOOLS/park" 1000 "$R/slow/text" >"$W/out" 2>"$W/err" 3>&- &
	local parked=$!
	until_true 40 grep -q parked "$W/out" || { cat "$W/out" "$W/err"; false; }
	provider_release hold
	wait $parked
	is "$(tail -n 1 "$W/out")" "all 1000 equal 20"
}

@test "readers of a stream who come early, in the middle and late read the same" {
	mount_inferfs
	provider_script '[{"piece_barriers":{"0":"first","2":"second"}}]'
	prompt s "one two three four"
	"$TOOLS/park" 50 "$R/s/stream" >"$W/early" 2>&1 3>&- &
	local early=$!
	until_true 20 grep -q parked "$W/early"
	provider_waiting first 1
	provider_release first
	provider_waiting second 1
	timeout $((30 * SLOW)) cat "$R/s/stream" >"$W/middle" 3>&- &
	local middle=$!
	until_true 20 test -s "$W/middle"
	provider_release second
	wait $early
	wait $middle
	is "$(cat "$W/middle")" "echo: one two three four"
	is "$(cat "$R/s/stream")" "echo: one two three four"
	is "$(tail -n 1 "$W/early")" "all 50 equal 25"
}

@test "no more than the backend's concurrency are at the provider, the others are queued" {
	mount_inferfs "$(provider_config 'concurrency = 3')"
	provider_hold
	numbered "$W/in" 12
	cp "$W"/in/*.json "$P"
	provider_waiting hold 3
	is "$(provider_count)" 3
	until_true 20 statuses q "9 queued 3 running"
	is "$(jq -c '[.in_flight,.queued,.concurrency]' "$M/backends/p/status.json")" "[3,9,3]"
	provider_release hold
	answers_are q 12 "number %g"
	is "$(provider_count)" 12
}

@test "the queue is served by priority, then by arrival" {
	mount_inferfs "$(provider_config 'concurrency = 1')"
	provider_script '[{"match":"blocker","barrier":"hold"}]'
	prompt b blocker
	provider_waiting hold 1
	prompt q1 late1 '"priority":19'
	prompt q2 normal1
	prompt q3 early1 '"priority":-20'
	prompt q4 normal2
	prompt q5 early2 '"priority":-20'
	prompt q6 late2 '"priority":19'
	provider_release hold
	for q in q1 q2 q3 q4 q5 q6; do answer $q >/dev/null; done
	is "$(provider_requests '[.requests[] | .body | fromjson | .messages[0].content] | join(" ")')" \
		"blocker early1 early2 normal1 normal2 late1 late2"
}

@test "a full queue is ENOBUFS at close, and there is room again later" {
	mount_inferfs "$(provider_config 'concurrency = 1' | sed 's/^\[inferfs\]$/&\nqueue = 2/')"
	provider_hold
	is "$(prompt a one)" "put ok"
	provider_waiting hold 1
	is "$(prompt b two)" "put ok"
	is "$(prompt c three)" "put ok"
	is "$(prompt d four)" "put ENOBUFS"
	is "$(jq -r .errno "$R/d/error.json")" ENOBUFS
	provider_release hold
	answer c
	is "$(prompt d four)" "put ok"
	is "$(answer d)" "echo: four"
	sent one two three four
}

@test "a request's own timeout counts the queue" {
	mount_inferfs "$(provider_config 'concurrency = 1')"
	provider_hold
	prompt a one
	provider_waiting hold 1
	prompt b two '"timeout":0.3'
	wait_status b failed
	is "$(jq -r .errno "$R/b/error.json")" ETIMEDOUT
	provider_release hold
	answer a
	sent one
}

@test "asks by several processes at once are answered each its own" {
	mount_inferfs
	for i in $(seq 20); do
		{ "$INFERCTL" -m "$M" ask "question $i" >"$W/ask$i" 2>&1 3>&-; } &
	done
	for i in $(seq 20); do
		until_true 20 grep -q "echo: question $i" "$W/ask$i" || { cat "$W/ask$i"; false; }
	done
}
