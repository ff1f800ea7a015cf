#!/usr/bin/env bats
# Limits that protect the user: requests and tokens a minute, the server's own word, the circuit breaker, prices.
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
}
teardown() { finish_test; }

backend() { jq -rc "$1" "$M/backends/${2:-p}/status.json"; } # JQ FILTER [NAME]
accepted() { [ "$(fop put "$1" "$2")" = "put ok" ]; } # FILE JSON
failed() { "$TOOLS/errnoof" read "$M/responses/$1/text" || true; }

@test "rpm: what is above it waits its turn, and status.json shows the limit" {
	mount_inferfs "$(provider_config 'rpm = 3')"
	for i in 1 2 3 4; do ask_file "r$i" "{\"prompt\":\"number $i\"}"; done
	is "$(provider_count 3)" 3
	is "$(answer r1)" 'echo: number 1'
	is "$(answer r3)" 'echo: number 3'
	is "$(cat "$M/responses/r4/status")" queued
	is "$(backend .requests_per_minute)" 3
	is "$(provider_count)" 3
	# its own patience ends before its turn comes: it was never sent
	ask_file r5 '{"prompt":"number 5","timeout":0.3}'
	is "$(failed r5)" 'open ETIMEDOUT'
	is "$(provider_count)" 3
	# who waits for a minute can be cancelled in a moment
	echo cancel >"$M/responses/r4/ctl"
	is "$(failed r4)" 'open ECANCELED'
}

@test "tpm: an estimate is taken before and corrected afterwards" {
	mount_inferfs "$(provider_config 'tpm = 100')"
	ask_file a '{"prompt":"small","max_tokens":10}'
	is "$(answer a)" 'echo: small'
	ask_file big '{"prompt":"large","max_tokens":100}'
	like "$(status_of big)" 'queued|running'
	is "$(provider_count)" 1
	is "$(backend .tokens_per_minute)" 100
}

@test "rate-limit headers: nothing left means nobody is sent before the reset" {
	provider_script '[{"times":1,"headers":{"x-ratelimit-limit-requests":"1","x-ratelimit-remaining-requests":"0","x-ratelimit-reset-requests":"1200ms"}}]'
	mount_inferfs
	ask_file a '{"prompt":"one"}'
	is "$(answer a)" 'echo: one'
	is "$(backend .rate_limit.requests.remaining)" 0
	ask_file b '{"prompt":"two"}'
	is "$(answer b)" 'echo: two'
	[ "$(provider_requests '(.requests[1].t_first_ns - .requests[0].t_first_ns) / 1000000 | floor')" -ge 1150 ]
}

@test "a 429 halves what is in flight for everybody, and its Retry-After holds for all" {
	provider_script '[{"times":1,"status":429,"headers":{"retry-after-ms":"700"}}]'
	mount_inferfs "$(provider_config 'concurrency = 8')"
	ask_file a '{"prompt":"one"}'
	provider_count 1 >/dev/null
	until_true 10 eval '[ "$(backend .concurrency)" = 1 ]'
	ask_file b '{"prompt":"two"}'
	is "$(answer a)" 'echo: one'
	is "$(answer b)" 'echo: two'
	[ "$(provider_requests '(.requests[1].t_first_ns - .requests[0].t_first_ns) / 1000000 | floor')" -ge 690 ]
	[ "$(provider_requests '(.requests[2].t_first_ns - .requests[0].t_first_ns) / 1000000 | floor')" -ge 690 ]
	is "$(backend .concurrency_limit)" 8
	[ "$(backend .concurrency)" -gt 1 ]
}

@test "the breaker: EHOSTDOWN at close while it is open, then one probe, then all is well" {
	BREAKER=2
	provider_script '[{"status":500}]'
	mount_inferfs "$(provider_config 'retries = 0' 'breaker_seconds = 1')"
	ask_file a '{"prompt":"one"}'
	is "$(failed a)" 'open EREMOTEIO'
	is "$(backend .breaker.state)" closed
	is "$(backend .breaker.failures)" 1
	ask_file b '{"prompt":"two"}'
	is "$(failed b)" 'open EREMOTEIO'
	is "$(backend .breaker.state)" open
	is "$(fop put "$M/prompts/c.json" '{"prompt":"three"}')" 'put EHOSTDOWN'
	like "$(jq -r .message "$M/responses/c/error.json")" 'left alone'
	is "$(jq -r .category "$M/responses/c/error.json")" unavailable
	is "$(provider_count)" 2
	# the other backend has a breaker of its own
	is "$(backend .breaker.state m)" closed
	# its time is over and the server is still ill: the probe fails, and it is open again
	until_true 10 accepted "$M/prompts/d.json" '{"prompt":"four"}'
	is "$(failed d)" 'open EREMOTEIO'
	is "$(backend .breaker.state)" open
	is "$(provider_count)" 3
	provider_script '[]'
	until_true 10 accepted "$M/prompts/e.json" '{"prompt":"five"}'
	is "$(answer e)" 'echo: five'
	is "$(backend .breaker.state)" closed
	is "$(backend .breaker.failures)" 0
}

@test "a probe has its retries like any request, and does not wait for itself" {
	BREAKER=1
	provider_script '[{"times":4,"status":500}]'
	mount_inferfs "$(provider_config 'retries = 1' 'breaker_seconds = 0.2')"
	ask_file a '{"prompt":"one"}'
	is "$(failed a)" 'open EREMOTEIO'
	until_true 10 accepted "$M/prompts/b.json" '{"prompt":"two"}'
	is "$(failed b)" 'open EREMOTEIO'
	is "$(provider_count)" 4
	is "$(backend .breaker.state)" open
	until_true 10 accepted "$M/prompts/c.json" '{"prompt":"three"}'
	is "$(answer c)" 'echo: three'
	is "$(backend .breaker.state)" closed
}

@test "what was accepted before the breaker opened waits for the probe and is answered" {
	BREAKER=1
	provider_script '[{"times":1,"match":"first","barrier":"ill","status":500}]'
	mount_inferfs "$(provider_config 'retries = 0' 'breaker_seconds = 1' 'concurrency = 1')"
	ask_file first '{"prompt":"first"}'
	provider_waiting ill
	ask_file second '{"prompt":"second"}'
	provider_release ill
	is "$(failed first)" 'open EREMOTEIO'
	is "$(answer second)" 'echo: second'
	is "$(provider_count)" 2
}

@test "a refusal is the word of a server that is well: it never opens the breaker" {
	BREAKER=1
	provider_script '[{"status":400}]'
	mount_inferfs "$(provider_config 'retries = 0')"
	for i in 1 2 3; do
		ask_file "a$i" "{\"prompt\":\"$i\"}"
		is "$(failed "a$i")" 'open EINVAL'
	done
	is "$(backend .breaker.state)" closed
}

@test "cost: by the price list, in response.json, usage.json, the xattr and the summary; cached is 0 and saves it" {
	provider_script '[{"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}]'
	mount_inferfs "$(provider_config 'retries = 0' | sed '0,/price = free/s//provider = openai/')"
	ask_file a '{"prompt":"dear","model":"p/gpt-4.1"}'
	answer a >/dev/null
	is "$(jq .cost_usd "$M/responses/a/response.json")" 0.0028
	is "$(jq .cost_usd "$M/responses/a/usage.json")" 0.0028
	is "$(getfattr --only-values -n user.inferfs.cost_usd "$M/responses/a")" 0.0028
	is "$(summary total_cost)" 0.0028
	ask_file b '{"prompt":"dear","model":"p/gpt-4.1"}'
	answer b >/dev/null
	is "$(jq .cost_usd "$M/responses/b/response.json")" 0
	is "$(jq .saved_usd "$M/responses/b/response.json")" 0.0028
	is "$(summary total_cost)" 0.0028
	is "$(summary saved_by_cache_usd)" 0.0028
	# nobody knows what that costs: null, never 0, and counted apart
	ask_file c '{"prompt":"dear","model":"p/some-new-model"}'
	answer c >/dev/null
	is "$(jq .cost_usd "$M/responses/c/response.json")" null
	is "$(getfattr --only-values -n user.inferfs.cost_usd "$M/responses/c" 2>/dev/null || echo absent)" absent
	is "$(summary unpriced)" 1
	is "$(summary total_cost)" 0.0028
}

@test "a price list of one's own replaces the built-in one; a bad one refuses to start" {
	provider_script '[{"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}]'
	printf '{"as_of":"2026-01-01","models":[{"provider":"ours","model":"small","input":1000,"output":2000}]}' >"$W/p.json"
	mount_inferfs "$(provider_config | sed '0,/price = free/s//provider = ours/')
[prices]
file = $W/p.json"
	ask_file a '{"prompt":"dear"}'
	answer a >/dev/null
	is "$(jq .cost_usd "$M/responses/a/response.json")" 1.2
	umount_inferfs
	echo '{"models":[{"provider":"x"}]}' >"$W/p.json"
	run remount
	[ "$status" -ne 0 ]
	like "$output" 'p.json: models\[0\] of the price list'
}
