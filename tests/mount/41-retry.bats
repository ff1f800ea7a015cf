#!/usr/bin/env bats
# What is tried again, how often, when, and what becomes of it.
load ../lib/helpers

setup() {
	setup_dirs
	start_provider
}
teardown() { finish_test; }

gap_ms() { # between the first two requests, at the provider
	provider_requests '(.requests[1].t_first_ns - .requests[0].t_first_ns) / 1000000 | floor'
}

@test "a server that fails twice and answers then: one answer, three calls, and usage.json says so" {
	provider_script '[{"times":2,"status":503}]'
	mount_inferfs "$(provider_config 'retries = 2')"
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
	is "$(provider_count)" 3
	is "$(jq .attempts "$M/responses/a/usage.json")" 3
	is "$(jq .attempts "$M/responses/a/response.json")" 3
	is "$(summary retried)" 2
	is "$(summary failed)" 0
	is "$(stored_objects)" 1
}

@test "Retry-After in seconds is waited for" {
	provider_script '[{"times":1,"status":429,"headers":{"Retry-After":"1"}}]'
	mount_inferfs
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
	is "$(provider_count)" 2
	[ "$(gap_ms)" -ge 990 ]
	[ "$(gap_ms)" -lt $((2500 * SLOW)) ]
}

@test "Retry-After as a date is waited for" {
	provider_script "[{\"times\":1,\"status\":503,\"headers\":{\"Retry-After\":\"$(date -u -d '+3 seconds' '+%a, %d %b %Y %T GMT')\"}}]"
	mount_inferfs
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
	is "$(provider_count)" 2
	[ "$(gap_ms)" -ge 1000 ]
	[ "$(gap_ms)" -lt $((5000 * SLOW)) ]
}

@test "a Retry-After beyond the deadline fails at once, and error.json has it" {
	local begin

	begin=$(now_ms)
	provider_script '[{"status":429,"headers":{"Retry-After":"3600"}}]'
	mount_inferfs
	ask_file a '{"prompt":"hello","timeout":30}'
	run "$TOOLS/errnoof" read "$M/responses/a/text"
	is "$output" 'open EBUSY'
	is "$(jq .retry_after_s "$M/responses/a/error.json")" 3600
	is "$(provider_count)" 1
	[ $(($(now_ms) - begin)) -lt 20000 ]
}

@test "retries = 0 sends once" {
	provider_script '[{"status":500}]'
	mount_inferfs "$(provider_config 'retries = 0')"
	ask_file a '{"prompt":"hello"}'
	run "$TOOLS/errnoof" read "$M/responses/a/text"
	is "$output" 'open EREMOTEIO'
	is "$(provider_count)" 1
	# written again it tries again, and so does ctl
	provider_script '[{"times":1,"status":500}]'
	ask_file a '{"prompt":"hello"}'
	run "$TOOLS/errnoof" read "$M/responses/a/text"
	is "$output" 'open EREMOTEIO'
	is "$(cat "$M/responses/a/ctl")" retry
	echo retry >"$M/responses/a/ctl"
	is "$(answer a)" 'echo: hello'
	is "$(provider_count)" 3
	[ ! -e "$M/responses/a/error.json" ]
}

@test "after the first byte there is one retry, and the answer is whole" {
	provider_script '[{"times":1,"cut_after_pieces":2}]'
	mount_inferfs
	ask_file a '{"prompt":"one two three"}'
	is "$(answer a)" 'echo: one two three'
	is "$(provider_count)" 2
	is "$(jq -r '.samples[0].text' "$M/responses/a/response.json")" 'echo: one two three'
}

@test "a reader with bytes of a broken stream gets EREMOTEIO, one that had none reads the new attempt" {
	provider_script '[{"times":1,"cut_after_pieces":2,"piece_barriers":{"1":"had"}},{"piece_barriers":{"1":"again"}}]'
	mount_inferfs
	ask_file a '{"prompt":"one two three"}'
	exec 5<"$M/responses/a/stream" 6<"$M/responses/a/stream"
	provider_waiting had
	is "$(dd bs=100 count=1 status=none <&5)" 'echo:'
	provider_release had
	provider_waiting again
	run dd bs=100 count=1 status=none <&5
	like "$output" 'Remote I/O error'
	provider_release again
	is "$(cat <&6)" 'echo: one two three'
	exec 5<&- 6<&-
	is "$(answer a)" 'echo: one two three'
}

@test "a deadline counts the queue too" {
	provider_hold
	mount_inferfs "$(provider_config 'concurrency = 1')"
	ask_file a '{"prompt":"first"}'
	provider_waiting hold
	ask_file b '{"prompt":"second","timeout":0.3}'
	run "$TOOLS/errnoof" read "$M/responses/b/text"
	is "$output" 'open ETIMEDOUT'
	like "$(jq -r .message "$M/responses/b/error.json")" queue
	is "$(provider_count)" 1
	provider_release hold
	is "$(answer a)" 'echo: first'
}

@test "a kept connection that closes before the answer: asking again is an attempt, and no attempts are no second call" {
	# the first answer leaves a connection behind, and the next request breaks on it
	provider_script '[{"match":"breaks","times":1,"reset":true}]'
	mount_inferfs "$(provider_config 'retries = 2')"
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
	ask_file b '{"prompt":"breaks once"}'
	is "$(answer b)" 'echo: breaks once'
	is "$(provider_count)" 3
	is "$(jq .attempts "$M/responses/b/usage.json")" 2
	is "$(summary retried)" 1
	umount_inferfs
	provider_reset
	provider_script '[{"match":"breaks","times":1,"reset":true}]'
	mount_inferfs "$(provider_config 'retries = 0')"
	ask_file c '{"prompt":"hello again"}'
	is "$(answer c)" 'echo: hello again'
	ask_file d '{"prompt":"breaks and stays so"}'
	run "$TOOLS/errnoof" read "$M/responses/d/text"
	is "$output" 'open EREMOTEIO'
	is "$(provider_count)" 2
	is "$(jq .attempts "$M/responses/d/usage.json")" 1
}
