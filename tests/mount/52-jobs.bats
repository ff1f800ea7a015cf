# a file of many requests: its lines run now, one fails alone, a crash costs nothing but time
# shellcheck disable=SC2034 # what helpers.bash reads
load ../lib/helpers

LINES_WANTED=${JOB_LINES:-1500}

setup() {
	setup_dirs
	P=$M/prompts R=$M/responses
}
teardown() {
	if mounted "$W/small"; then
		fusermount3 -u "$M" 2>/dev/null || true
		umount -l "$W/small"
	fi
	finish_test
}

line() { printf '{"custom_id":"%s","prompt":"%s"}\n' "$1" "$2"; }
# every 20th line is refused by the provider, every 50th loses its connection at first
many() { # N
	awk -v n="$1" 'BEGIN {
		for (i = 1; i <= n; i++) {
			word = i % 20 == 0 ? "bad" : i % 50 == 7 ? "shaky" : "good"
			printf "{\"custom_id\":\"c%d\",\"prompt\":\"%s line %d.\"}\n", i, word, i
		}
	}'
}
script_many() { # N
	provider_script "$(jq -cn --argjson n "$1" '[{match: "bad line", status: 400}] +
		[range(7; $n + 1; 50) | {match: "shaky line \(.).", times: 1, reset: true}]')"
}
# what output.jsonl of many() must be, as ID TAB ANSWER or ERRNO
expected() { # N
	awk -v n="$1" 'BEGIN {
		for (i = 1; i <= n; i++) {
			word = i % 50 == 7 && i % 20 ? "shaky" : "good"
			print "c" i "\t" (i % 20 == 0 ? "EINVAL" : "echo: " word " line " i ".")
		}
	}'
}
results() { # FILE
	jq -r '[.custom_id, (.error.errno // .response.samples[0].text)] | @tsv' "$1"
}
rss() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$(daemon_pid)/status"; }
done_lines() { # NAME: how many are final
	local n

	n=$(head -n 1 "$R/$1/progress" 2>/dev/null | cut -d/ -f1) && echo "${n:-0}"
}
at_least() { [ "$(done_lines "$1")" -ge "$2" ]; } # NAME N
no_spool() { [ -z "$(ls -A "$STATE/jobs")" ]; }

@test "a job: results in order, failed lines alone, flat memory" {
	local n=$LINES_WANTED early late

	start_provider
	mount_inferfs "$(provider_config 'concurrency = 64' 'retries = 30')"
	script_many "$n"
	many "$n" >"$W/in.jsonl"
	cp "$W/in.jsonl" "$P/many.jsonl"
	until_true 200 at_least many $((n / 4))
	early=$(rss)
	timeout 200 cat "$R/many/output.jsonl" >"$W/out"
	late=$(rss)
	is "$(cat "$R/many/status")" done
	diff <(expected "$n") <(results "$W/out") >"$W/diff" || { head "$W/diff"; false; }
	is "$(wc -l <"$R/many/errors.jsonl")" $((n / 20))
	is "$(jq -r .error.errno "$R/many/errors.jsonl" | sort -u)" EINVAL
	is "$(wc -l <"$R/many/stream")" "$n"
	is "$(jq -r .custom_id "$R/many/stream" | sort)" "$(jq -r .custom_id "$W/in.jsonl" | sort)"
	like "$(cat "$R/many/progress")" "^$n/$n failed=$((n / 20)) cached=0 cost_usd=0 elapsed_s=[0-9.]+ eta_s=0.0$"
	is "$(find "$R/many/items" -mindepth 1 -maxdepth 1 | wc -l)" "$n"
	is "$(cat "$R/many/items/c1/text")" "echo: good line 1."
	is "$(cat "$R/many/items/c20/status")" failed
	is "$(jq -c '[.total, .done, .failed, .bought]' "$R/many/usage.json")" "[$n,$n,$((n / 20)),$((n - n / 20))]"
	# a sanitizer keeps what was freed
	[[ $INFERFS_BUILD == *san ]] || [ $((late - early)) -lt 30000 ] || { echo "resident memory grew from $early to $late KiB"; false; }
}

@test "a job: kill -9 three times changes nothing but time" {
	local n=$LINES_WANTED k sent

	start_provider
	mount_inferfs "$(provider_config 'concurrency = 16' 'retries = 30')"
	script_many "$n"
	many "$n" >"$W/in.jsonl"
	cp "$W/in.jsonl" "$P/many.jsonl"
	for k in 1 2 3; do
		until_true 100 at_least many $((n * k / 5))
		kill9
		remount
	done
	timeout 200 cat "$R/many/output.jsonl" >"$W/out"
	diff <(expected "$n") <(results "$W/out") >"$W/diff" || { head "$W/diff"; false; }
	is "$(cat "$R/many/status")" done
	is "$(jq -r .custom_id "$R/many/stream" | sort)" "$(jq -r .custom_id "$W/in.jsonl" | sort)"
	# what ran when it was killed is asked again: at most its concurrency, each time
	sent=$(provider_requests '[.requests[] | .body | fromjson | .messages[0].content | select(startswith("good"))] | length')
	[ "$sent" -le $((n + 3 * 16)) ]
	is "$(sqlite3 "file:$STATE/ledger.db?mode=ro" 'pragma integrity_check')" ok
}

# what is asked again was under way when it died: lines that had been begun, of which there are 64 at once here
@test "a job: the daemon dies at its named points, and each line ends once" {
	local n=100 at pid

	start_provider
	many "$n" >"$W/in.jsonl"
	for at in accepted:1 last-byte:40 object:40 committed:40 journal:60; do
		rm -rf "$STATE" "$CACHE"
		provider_reset
		script_many "$n"
		DAEMON_ENV=("INFERFS_FAULT=$at")
		mount_inferfs "$(provider_config 'concurrency = 8' 'retries = 30')"
		pid=$(daemon_pid)
		cp "$W/in.jsonl" "$P/many.jsonl" 2>/dev/null || true
		wait_gone "$pid" 20
		DAEMON_ENV=()
		remount
		timeout 40 cat "$R/many/output.jsonl" >"$W/out"
		diff <(expected "$n") <(results "$W/out") >"$W/diff" || { echo "after $at"; head "$W/diff"; false; }
		[ "$(provider_requests '[.requests[] | .body | fromjson | .messages[0].content | select(startswith("good"))] | length')" -le $((n + 64)) ]
		is "$(wc -l <"$R/many/stream")" "$n" "after $at"
		umount_inferfs
	done
}

@test "a job of lines that are wrong says which; close fails only when none is usable" {
	mount_inferfs
	{
		line a one
		echo '{"custom_id":"b","promt":"typo"}'
		echo
		line a again
		echo 'nonsense'
		echo '{"prompt":"no id"}'
		echo '{"custom_id":"w","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"wrapped"}]}}'
	} >"$P/mixed.jsonl"
	timeout 20 cat "$R/mixed/output.jsonl" >"$W/out"
	is "$(jq -r '[.custom_id, .error.errno // "ok"] | join(" ")' "$W/out" | xargs)" "a ok b EINVAL 4 EINVAL 5 EINVAL 6 ok w ok"
	is "$(jq -r .error.line "$R/mixed/errors.jsonl" | xargs)" "2 4 5"
	is "$(cat "$R/mixed/items/w/text")" "You said: wrapped"
	is "$("$TOOLS/errnoof" write "$P/none.jsonl" $'nonsense\n{"promt":1}\n')" "close EINVAL"
	is "$(cat "$R/none/status")" failed
	is "$(jq .line "$R/none/error.json")" 1
	is "$("$TOOLS/errnoof" write "$P/cheap.batch.jsonl" "$(line a one)")" "close EOPNOTSUPP"
}

@test "a job is followed while it runs: stream, progress, items; cancel and retry" {
	local readers

	start_provider
	mount_inferfs "$(provider_config 'concurrency = 8')"
	provider_script '[{"match":"slow","barrier":"hold"}]'
	{ line q1 quick; line s1 "slow 1"; line s2 "slow 2"; line q2 "quick 2"; } >"$P/many.jsonl"
	timeout 40 cat "$R/many/stream" >"$W/stream" 3>&- &
	readers=$!
	timeout 40 cat "$R/many/progress" >"$W/progress" 3>&- &
	readers="$readers $!"
	until_true 20 at_least many 2
	wait_status many running
	until_true 20 test "$(wc -l <"$W/stream")" = 2
	is "$(cat "$R/many/items/q1/text")" "echo: quick"
	is "$(find "$R/many/items" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs)" "q1 q2"
	! timeout 1 cat "$R/many/output.jsonl" || false
	echo cancel >"$R/many/ctl"
	wait_status many cancelled
	is "$(jq -r '[.custom_id, .error.errno // "ok"] | join(" ")' "$R/many/output.jsonl" | xargs)" "q1 ok s1 ECANCELED s2 ECANCELED q2 ok"
	# shellcheck disable=SC2086 # two numbers
	wait $readers
	is "$(wc -l <"$W/stream")" 4
	like "$(tail -n 1 "$W/progress")" '^4/4 failed=2 '
	provider_script '[]'
	echo retry >"$R/many/ctl"
	wait_status many done
	is "$(jq -r .error.errno "$R/many/output.jsonl" | xargs)" "null null null null"
	is "$(provider_requests '[.requests[] | .body | fromjson | .messages[0].content | select(startswith("quick"))] | length')" 2
}

@test "a changed job keeps what did not change; mv follows, rm leaves nothing" {
	start_provider
	mount_inferfs
	{ line a one; line b two; } >"$P/many.jsonl"
	wait_status many done
	{ line c three; line a one; line b zwei; } >"$P/many.jsonl"
	wait_status many done
	is "$(jq -r .response.samples[0].text "$R/many/output.jsonl" | xargs)" "echo: three echo: one echo: zwei"
	is "$(provider_count)" 4
	mkdir "$P/dir"
	mv "$P/many.jsonl" "$P/dir/lots.jsonl"
	is "$(jq -r .request_id "$R/dir/lots/items/c/response.json")" dir/lots/c
	is "$(wc -l <"$R/dir/lots/output.jsonl")" 3
	rm "$P/dir/lots.jsonl"
	is "$(status_of dir/lots 2>&1 | grep -c 'No such file')" 1
	until_true 10 no_spool
	is "$(provider_count)" 4
}

@test "images of a line: by path beside the file, and inline in a wrapped body" {
	local png=iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==

	start_provider
	mount_inferfs
	mkdir "$P/dir"
	base64 -d <<<"$png" >"$P/dir/dot.png"
	{
		echo '{"custom_id":"path","prompt":"see","images":["dot.png"]}'
		echo '{"custom_id":"none","prompt":"see","images":["nothing.png"]}'
		printf '{"custom_id":"inline","body":{"messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image","data":"%s"}]}]}}\n' "$png"
	} >"$P/dir/many.jsonl"
	wait_status dir/many done
	is "$(jq -r '[.custom_id, .error.errno // "ok"] | join(" ")' "$R/dir/many/output.jsonl" | xargs)" "path ok none EINVAL inline ok"
	is "$(provider_requests '.requests[].body' | grep -c "$png")" 2
}

@test "a full disk: the job pauses, and loses nothing" {
	[ "$(id -u)" = 0 ] || skip "needs root, to mount a tmpfs"
	local n=300

	expect_log 'job [0-9]+ pauses'
	expect_log 'ledger'
	mkdir "$W/small"
	mount -t tmpfs -o size=6m tmpfs "$W/small"
	STATE=$W/small/state CACHE=$W/cache
	start_provider
	mount_inferfs "$(provider_config 'concurrency = 8')"
	many "$n" | grep -v -e bad -e shaky >"$W/in.jsonl"
	head -c $((4 << 20)) /dev/zero >"$W/small/ballast"
	provider_script '[{"barrier":"hold"}]'
	cp "$W/in.jsonl" "$P/many.jsonl"
	provider_waiting hold 8
	dd if=/dev/zero of="$W/small/rest" bs=4k 2>/dev/null || true
	provider_script '[]'
	provider_release hold
	until_true 20 grep -q pauses "$LOG"
	is "$(cat "$R/many/status")" running
	rm "$W/small/rest" "$W/small/ballast"
	timeout 60 cat "$R/many/output.jsonl" >"$W/out"
	is "$(jq -r .custom_id "$W/out" | xargs)" "$(jq -r .custom_id "$W/in.jsonl" | xargs)"
	is "$(jq -r .error "$W/out" | sort -u)" null
}

@test "a hundred thousand lines of echo: memory stays flat" {
	[ -n "${JOB_BIG:-}" ] || skip "JOB_BIG=1 runs it: minutes"
	local early late

	mount_inferfs
	many 100000 >"$P/big.jsonl"
	until_true 300 at_least big 10000
	early=$(rss)
	timeout 3000 cat "$R/big/output.jsonl" | wc -l >"$W/n"
	late=$(rss)
	is "$(cat "$W/n")" 100000
	echo "resident memory: $early, at the end $late KiB" >&3
	[ $((late - early)) -lt 60000 ]
}
