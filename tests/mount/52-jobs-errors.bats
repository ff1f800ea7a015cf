#!/usr/bin/env bats
# A person at a shell whose job goes wrong: what cp, cat, ls and jq say.
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
}
teardown() { finish_test; }

put() { # NAME TEXT: the outcome of its close
	fop put "$P/$1" "$2"
}
names() { (cd "$1" && echo *); } # DIRECTORY
output() { timeout $((30 * SLOW)) cat "$R/$1/output.jsonl"; } # NAME, waiting for its end
errors() { jq -r '[.custom_id, .error.errno, .error.category] | join(" ")' "$R/$1/errors.jsonl"; }
message() { jq -r "select(.custom_id == \"$2\") | .error.message" "$R/$1/errors.jsonl"; } # NAME ID

@test "no line is usable: close says EINVAL, error.json says where, nothing is sent" {
	mount_inferfs
	is "$(put none.jsonl $'nonsense\n{"promt":1}\n')" 'put EINVAL'
	is "$(status_of none)" failed
	is "$(jq -c '[.errno,.line,.category]' "$R/none/error.json")" '["EINVAL",1,"request"]'
	like "$(cat "$R/none/output.jsonl" 2>&1)" 'Invalid argument|EINVAL'
	is "$(cat "$P/none.jsonl" | wc -l)" 2 'what was written stays:'
	is "$(provider_count)" 0
	# corrected, it runs
	echo '{"custom_id":"a","prompt":"x"}' >"$P/none.jsonl"
	is "$(output none | jq -r .custom_id)" a
	[ ! -e "$R/none/error.json" ]
}

@test "a file without a line is a draft" {
	mount_inferfs
	: >"$P/empty.jsonl"
	is "$(status_of empty)" draft
	is "$(names "$R/empty")" 'ctl status'
	is "$(provider_count)" 0
}

@test "wrong lines among good ones: each says what to do, and the job is done" {
	mount_inferfs
	printf '%s\n' '{"custom_id":"good","prompt":"x"}' \
		'{"custom_id":"typo","promt":"x"}' \
		'{"custom_id":"type","prompt":"x","n":"three"}' \
		'{"custom_id":"both","body":{"prompt":"x"},"n":2}' \
		'{"custom_id":"url","url":"/v1/images","body":{"prompt":"x"}}' \
		'{"custom_id":"ns","prompt":"x","namespace":"not a name"}' \
		'{"custom_id":"good","prompt":"again"}' >"$W/in"
	cp "$W/in" "$P/j.jsonl"
	output j >/dev/null
	is "$(status_of j)" done
	is "$(jq -r .custom_id "$R/j/errors.jsonl" | xargs)" 'typo type both url ns 7'
	is "$(jq -r .error.line "$R/j/errors.jsonl" | xargs)" '2 3 4 5 6 7'
	like "$(message j typo)" 'promt'
	like "$(message j type)" 'n '
	like "$(message j both)" 'into the body'
	like "$(message j url)" '/v1/images'
	like "$(message j ns)" 'namespace'
	like "$(message j 7)" 'earlier line'
	is "$(cat "$R/j/items/good/text")" 'echo: x' 'the first of the two:'
	is "$(cat "$R/j/items/7/status")" failed
	is "$(provider_count)" 1
}

@test "what a provider refuses is that line's error, with the provider's words" {
	provider_script '[{"match":"bad","status":400,"body":{"error":{"message":"not that word"}}},
		{"match":"secret","status":401,"body":{"error":{"message":"who are you"}}},
		{"match":"often","status":429,"body":{"error":{"message":"slow down"}}},
		{"match":"broken","status":500}]'
	mount_inferfs "$(provider_config 'retries = 0')"
	for word in bad secret often broken fine; do
		echo "{\"custom_id\":\"$word\",\"prompt\":\"$word\"}"
	done >"$W/in"
	cp "$W/in" "$P/j.jsonl"
	output j | jq -r '[.custom_id, .error.errno // "ok"] | join(" ")' >"$W/out"
	is "$(cat "$W/out")" $'bad EINVAL\nsecret EKEYREJECTED\noften EBUSY\nbroken EREMOTEIO\nfine ok'
	is "$(errors j | cut -d' ' -f3 | sort -u | xargs)" 'auth provider rate_limit request'
	like "$(message j bad)" 'not that word'
	is "$(jq -r .http_status "$R/j/items/bad/error.json")" 400
	like "$(cat "$R/j/items/bad/text" 2>&1)" 'Invalid argument$'
	like "$(cat "$R/j/items/secret/text" 2>&1)" 'Key was rejected by service$'
	like "$(cat "$R/j/items/broken/text" 2>&1)" 'Remote I/O error$'
	unlike "$(cat "$R/j/errors.jsonl")" "$TEST_KEY"
}

@test "every line fails: the job has failed, and its lines still say why" {
	provider_script '[{"status":400}]'
	mount_inferfs "$(provider_config 'retries = 0')"
	printf '{"custom_id":"%s","prompt":"x"}\n' a b c >"$W/in"
	cp "$W/in" "$P/j.jsonl"
	wait_status j failed
	is "$(wc -l <"$R/j/errors.jsonl")" 3
	is "$(jq -c '[.total,.done,.failed]' "$R/j/usage.json")" '[3,3,3]'
	like "$(tail -n 1 "$R/j/progress")" '^3/3 failed=3 '
	# retry asks the failed ones again
	provider_script '[]'
	echo retry >"$R/j/ctl"
	wait_status j done
	is "$(jq -r .error "$R/j/output.jsonl" | sort -u)" null
	[ ! -s "$R/j/errors.jsonl" ]
}

@test "what cannot be done in responses/ is refused by name" {
	mount_inferfs
	echo '{"custom_id":"a","prompt":"x"}' >"$P/j.jsonl"
	output j >/dev/null
	like "$(cat "$R/j/items/nobody/text" 2>&1)" 'No such file or directory$'
	like "$(bash -c 'echo x >"$1"' x "$R/j/output.jsonl" 2>&1)" 'Read-only file system'
	like "$(mkdir "$R/j/items/b" 2>&1)" 'Read-only file system'
	like "$(bash -c 'echo dance >"$1"' x "$R/j/ctl" 2>&1)" 'Invalid argument'
	is "$(cat "$R/j/items/a/text")" 'echo: x'
}

@test "two requests of one stem: the second is refused, the first runs on" {
	mount_inferfs
	echo '{"custom_id":"a","prompt":"x"}' >"$P/j.jsonl"
	is "$(put j.json '{"prompt":"y"}')" 'put EEXIST'
	is "$(put j.batch.jsonl '{"prompt":"y"}')" 'put EEXIST'
	is "$(output j | jq -r .custom_id)" a
	mv "$P/j.jsonl" "$P/k.jsonl"
	is "$(put j.json '{"prompt":"y"}')" 'put ok'
	is "$(answer j)" 'echo: y'
	is "$(output k | jq -r .custom_id)" a
	is "$(jq -r .request_id "$R/k/items/a/response.json")" k/a
}

@test "a line above max_request_bytes is its own error, and its neighbours run" {
	mount_inferfs -o max_request_bytes=4096
	{
		echo '{"custom_id":"a","prompt":"x"}'
		printf '{"custom_id":"big","prompt":"%05000d"}\n' 0
		echo '{"custom_id":"b","prompt":"y"}'
	} >"$W/in"
	cp "$W/in" "$P/j.jsonl"
	is "$(output j | jq -r '[.custom_id, .error.errno // "ok"] | join(" ")' | xargs)" 'a ok 2 EFBIG b ok'
	like "$(message j 2)" 'max_request_bytes'
}

@test "a broken .defaults.json fails the lines below it and is named" {
	mount_inferfs
	mkdir "$P/d"
	is "$(put d/.defaults.json '{"model":5}')" 'put EINVAL'
	is "$(put d/j.jsonl '{"custom_id":"a","prompt":"x"}')" 'put EINVAL'
	wait_status d/j failed
	like "$(cat "$R/d/j/error.json" "$R/d/j/errors.jsonl" 2>/dev/null)" '\.defaults\.json'
	is "$(provider_count)" 0
}

@test "a backend without batches: .batch.jsonl is refused, the same lines as .jsonl run" {
	mount_inferfs "[inferfs]
model = o/small
[backend o]
type = ollama
url = http://127.0.0.1:$PORT/ollama
price = free"
	echo '{"custom_id":"a","prompt":"x"}' >"$W/in"
	is "$(put cheap.batch.jsonl "$(cat "$W/in")")" 'put EOPNOTSUPP'
	like "$(jq -r .message "$R/cheap/error.json")" '\.jsonl'
	mv "$P/cheap.batch.jsonl" "$P/soon.jsonl"
	[ ! -e "$R/cheap" ]
	cp "$W/in" "$P/now.jsonl"
	is "$(output now | jq -r '.response.samples[0].text')" 'echo: x'
}
