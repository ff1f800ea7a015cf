#!/usr/bin/env bats
# Looking never costs, never waits, never copies half an answer.
load ../lib/helpers

# one of every state side by side, one of them being generated right now
setup() {
	setup_dirs
	start_provider
	provider_script '[{"match":"held","piece_barriers":{"2":"hold"}},{"match":"bad","status":400}]'
	mount_inferfs
	mkdir "$M/prompts/sub"
	: >"$M/prompts/draft.json"
	ask_file 'done' '{"prompt":"all of the answer"}'
	ask_file sub/done '{"prompt":"another answer"}'
	ask_file failed '{"prompt":"bad"}'
	ask_file refused '{"prompt":1}' || true
	ask_file pending '{"prompt":"held for a long time"}'
	ask_file sub/pending '{"prompt":"held as well"}'
	answer 'done'
	answer sub/done
	wait_status failed failed
	provider_waiting hold 2
}
teardown() { finish_test; }

look() { timeout $((20 * SLOW)) "$@" 3>&-; }
complete() { # DIRECTORY: the copy has the whole answers and nothing of the pending ones
	is "$(cat "$1/done/text")" 'echo: all of the answer'
	is "$(cat "$1/sub/done/text")" 'echo: another answer'
	is "$(cat "$1/failed/status")" failed
	is "$(ls "$1/pending" | tr '\n' ' ')" 'ctl request.json status '
	is "$(ls "$1/sub/pending" | tr '\n' ' ')" 'ctl request.json status '
	if grep -rq 'echo: held' "$1"; then return 1; fi
}
nothing_changed() {
	is "$(provider_count)" 5
	is "$(status_of pending)" running
	provider_release hold
	is "$(answer pending)" 'echo: held for a long time'
	is "$(answer sub/pending)" 'echo: held as well'
	is "$(provider_count)" 5
}

@test "tar c ends with 0, does not wait, and copies nothing partial" {
	look tar c -C "$M" -f "$W/r.tar" responses
	mkdir "$W/out"
	tar x -C "$W/out" -f "$W/r.tar"
	complete "$W/out/responses"
	nothing_changed
}

@test "cp -r and cp -a end with 0, do not wait, and copy nothing partial" {
	look cp -r "$M/responses" "$W/out"
	complete "$W/out"
	look cp -a "$M/responses" "$W/out2"
	complete "$W/out2"
	nothing_changed
}

@test "rsync -a ends with 0, does not wait, and copies nothing partial; a second run finds nothing to do" {
	look rsync -a "$M/responses/" "$W/out/"
	complete "$W/out"
	is "$(look rsync -a --itemize-changes "$M/responses/" "$W/out/" | grep -v '^\.d')" ''
	nothing_changed
}

@test "grep -r ends with 1 when it finds nothing and 0 when it finds something, and does not wait" {
	run look grep -r 'no such words anywhere' "$M/responses"
	is "$status" 1
	is "$output" ''
	is "$(look grep -rl 'echo: another' "$M/responses" | sort | tr '\n' ' ')" \
		"$M/responses/sub/done/response.json $M/responses/sub/done/samples/0/response.json $M/responses/sub/done/samples/0/text $M/responses/sub/done/stream $M/responses/sub/done/text "
	nothing_changed
}

@test "find and du end with 0 and do not wait" {
	look find "$M/responses" -type f -size +0 >"$W/found"
	like "$(cat "$W/found")" 'responses/done/text'
	unlike "$(cat "$W/found")" 'pending/text'
	is "$(look find "$M/responses" -newermt '1980-01-01' -name text | wc -l)" 4
	look du -sb "$M/responses" >/dev/null
	look du -a "$M" >/dev/null
	look find "$M" -ls >/dev/null
	look ls -lR "$M" >/dev/null
	nothing_changed
}

@test "the whole mount can be searched and copied: cache, stats, backends, README and ask as well" {
	look grep -r 'all of the answer' "$M" >"$W/found"
	like "$(cat "$W/found")" "$M/cache/"
	look cp -r "$M" "$W/all"
	complete "$W/all/responses"
	is "$(jq .requests "$W/all/stats/summary.json")" 5
	is "$(jq -r .backend "$W/all/backends/p/status.json")" p
	diff -r "$M/cache" "$W/all/cache"
	is "$(look cat "$M/ask")" ''
	nothing_changed
}

@test "the top of the mount has what the contract names, and nothing of later versions" {
	is "$(ls -A "$M" | tr '\n' ' ')" 'README.md ask backends cache models namespaces prompts responses stats '
	is "$(ls "$M/stats")" summary.json
	is "$(ls "$M/backends/p")" status.json
	is "$(jq -r .in_flight "$M/backends/p/status.json")" 2
	is "$(summary in_flight)" 2
	is "$(summary requests)" 5
	is "$(summary refused)" 1
	is "$(summary failed)" 1
	is "$(summary tokens_output)" 8
	like "$(summary cache_hit_rate)" '^0\.0%$'
	run sh -c "echo x > '$M/README.md'"
	[ "$status" != 0 ]
	run rm "$M/README.md" "$M/stats/summary.json"
	[ "$status" != 0 ]
	provider_release hold
}

@test "counters survive a remount" {
	provider_release hold
	answer pending
	answer sub/pending
	before=$(jq -c '[.requests,.calls,.tokens_input,.tokens_output,.failed,.refused,.samples]' "$M/stats/summary.json")
	umount_inferfs
	remount
	is "$(jq -c '[.requests,.calls,.tokens_input,.tokens_output,.failed,.refused,.samples]' "$M/stats/summary.json")" \
		"$before"
}
