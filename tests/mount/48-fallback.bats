#!/usr/bin/env bats
# `fallback`: the next model answers when the first one cannot, and its answer is stored under its own name.
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
}
teardown() { finish_test; }

failed() { "$TOOLS/errnoof" read "$M/responses/$1/text" || true; }
ill() { provider_script '[{"path":"/v1/chat","match":"small","status":500}]'; } # the model p/small

@test "a model that fails for good: the next one answers, and everything says so" {
	ill
	mount_inferfs "$(provider_config 'retries = 1')"
	ask_file a '{"prompt":"hello","fallback":["p/large"]}'
	is "$(answer a)" 'echo: hello'
	is "$(provider_count)" 3
	is "$(jq -r '.backend,.model,.route,.attempts' "$M/responses/a/response.json" | paste -sd' ')" 'p large fallback 3'
	is "$(jq -r .model "$M/responses/a/request.json")" large
	is "$(sha256sum <"$M/responses/a/request.json" | cut -d' ' -f1)" "$(jq -r .key "$M/responses/a/response.json")"
	is "$(sha256sum <"$M/responses/a/entry/request.json" | cut -d' ' -f1)" "$(jq -r .key "$M/responses/a/response.json")"
	is "$(getfattr --only-values -n user.inferfs.route "$M/responses/a")" fallback
	is "$(getfattr --only-values -n user.inferfs.model "$M/responses/a")" large
	is "$(summary calls)" 1
	is "$(summary failed)" 0
	is "$(stored_objects)" 1
	# asked for by its own name it is a hit
	ask_file b '{"prompt":"hello","model":"p/large"}'
	is "$(answer b)" 'echo: hello'
	is "$(provider_count)" 3
	# writing the same again changes nothing
	ask_file a '{"prompt":"hello","fallback":["p/large"]}'
	is "$(answer a)" 'echo: hello'
	is "$(provider_count)" 3
	# and after a remount it is still what it was
	umount_inferfs
	remount
	is "$(answer a)" 'echo: hello'
	is "$(jq -r '.model,.route' "$M/responses/a/response.json" | paste -sd' ')" 'large fallback'
	is "$(provider_count)" 3
}

@test "a stored answer of the next model is taken without a call" {
	mount_inferfs "$(provider_config 'retries = 0')"
	ask_file b '{"prompt":"hello","model":"m/other"}'
	is "$(answer b)" 'echo: hello'
	ill
	ask_file a '{"prompt":"hello","fallback":["m/other"]}'
	is "$(answer a)" 'echo: hello'
	is "$(provider_count)" 2
	is "$(jq -r '.samples[0].cached' "$M/responses/a/response.json")" true
}

@test "what the request itself is wrong about is not asked of another" {
	provider_script '[{"status":400}]'
	mount_inferfs "$(provider_config 'retries = 0')"
	ask_file a '{"prompt":"hello","fallback":["p/large"]}'
	is "$(failed a)" 'open EINVAL'
	is "$(provider_count)" 1
}

@test "all of them fail: the last one's error is told" {
	provider_script '[{"status":503}]'
	mount_inferfs "$(provider_config 'retries = 0')"
	ask_file a '{"prompt":"hello","fallback":["p/large","m/third"]}'
	is "$(failed a)" 'open EREMOTEIO'
	is "$(provider_count)" 3
	is "$(jq -r .backend "$M/responses/a/error.json")" m
	is "$(summary calls)" 0
	is "$(summary failed)" 1
}

@test "a breaker that is open: the next model is asked at once" {
	BREAKER=1
	ill
	mount_inferfs "$(provider_config 'retries = 0')"
	ask_file a '{"prompt":"one"}'
	is "$(failed a)" 'open EREMOTEIO'
	is "$(jq -r .breaker.state "$M/backends/p/status.json")" open
	is "$(fop put "$M/prompts/b.json" '{"prompt":"two"}')" 'put EHOSTDOWN'
	ask_file c '{"prompt":"three","fallback":["m/other"]}'
	is "$(answer c)" 'echo: three'
	is "$(provider_count)" 2
}

@test "readers of the stream see one answer; ask falls back too" {
	ill
	mount_inferfs "$(provider_config 'retries = 0')"
	ask_file a '{"prompt":"hello","fallback":["p/large"]}'
	is "$(timeout 20 cat "$M/responses/a/stream")" 'echo: hello'
	is "$("$INFERCTL" -m "$M" ask '{"prompt":"again","fallback":["p/large"]}')" 'echo: again'
}

@test "a chain that could not work is refused at close: no key, a field it cannot take" {
	mount_inferfs "$(provider_config)"
	is "$(fop put "$M/prompts/b.json" '{"prompt":"x","fallback":["p/x","mistral/x"]}')" 'put ENOKEY'
	like "$(jq -r .message "$M/responses/b/error.json")" 'fallback\[1\]'
	is "$(fop put "$M/prompts/c.json" '{"prompt":"x","logprobs":true,"fallback":["m/x"]}')" 'put EOPNOTSUPP'
	is "$(fop put "$M/prompts/d.json" '{"prompt":"x","fallback":[]}')" 'put EINVAL'
	is "$(fop put "$M/prompts/e.json" '{"prompt":"x","fallback":"m/x"}')" 'put EINVAL'
	is "$(provider_count)" 0
}

@test "a crash while the next model is being asked: after the mount it is finished, and nothing is bought twice" {
	provider_script '[{"match":"small","status":500},{"match":"large","barrier":"busy"}]'
	mount_inferfs "$(provider_config 'retries = 0')"
	ask_file a '{"prompt":"hello","fallback":["p/large"]}'
	provider_waiting busy
	kill -9 "$(daemon_pid)"
	wait_gone "$(daemon_pid)" 2>/dev/null || true
	provider_script '[{"match":"small","status":500}]'
	remount
	is "$(answer a)" 'echo: hello'
	is "$(jq -r .model "$M/responses/a/response.json")" large
}
