# batches.bash - what the mount tests of .batch.jsonl share: a mount with the four providers that take batches
# shellcheck shell=bash disable=SC2034,SC2154

ALL='openai mistral gemini anthropic'
at() { # TYPE: where it is below the server's address
	[ "$1" = openai ] && echo /v1 || echo "/$1"
}
mount_batches() { # [LINE]...: into [batch], whose pauses are short; a backend for each provider, called by its type
	local t config

	P=$M/prompts R=$M/responses
	config=$(printf '%s\n' '[inferfs]' 'model = openai/small' '[batch]' 'poll_min_s = 0.02' \
		'poll_max_s = 0.1' "$@")
	for t in $ALL; do
		config+=$'\n'$(printf '%s\n' "[backend $t]" "type = $t" "url = http://127.0.0.1:$PORT$(at "$t")" \
			'price = free' 'key_env = TEST_KEY' 'backoff_ms = 2' 'backoff_max_ms = 10' 'retries = 1' \
			'breaker_failures = 0')
	done
	mount_inferfs "$config"
}
requests() { # BACKEND FROM TO [MEMBERS]: lines of a job
	local i

	for i in $(seq "$2" "$3"); do
		echo "{\"custom_id\":\"l$i\",\"model\":\"$1/small\",\"prompt\":\"line $i\"${4:+,$4}}"
	done
}
job() { # NAME: standard input becomes a job
	mkdir -p "$(dirname "$P/$1")"
	cat >"$W/in" && cp "$W/in" "$P/$1.batch.jsonl"
}
output() { timeout $((30 * SLOW)) cat "$R/$1/output.jsonl"; } # NAME, waiting for its end
texts() { output "$1" | jq -r '.custom_id + " " + (.response.samples[0].text // .error.errno)'; }
usage_of() { jq -c "$2" "$R/$1/usage.json"; } # NAME FILTER
settings() { provider_ctl batches -d "$1" >/dev/null; } # JSON OBJECT
creations() { # how many batches were made
	provider_requests '[.requests[]|select(.method=="POST" and (.path|test("/batches$|/batch/jobs$|:batchGenerateContent$")))]|length'
}
singles() { # requests that were sent one by one
	provider_requests '[.requests[]|select(.method=="POST" and (.path|test("completions$|generateContent$|/messages$|GenerateContent\\?")))]|length'
}
there() { provider_ctl batches | jq -rc "$1"; } # FILTER: of what the provider has, see GET batches of its README
made_at() { there "[.batches[]|select(.at==\"$1\")]|length"; } # TYPE: batches there ever were
has_batch() { until_true 10 grep -q "taken by $1" "$LOG"; } # BACKEND: it has made a batch
nothing_left() { ! compgen -G "$STATE/jobs/*.batch" >/dev/null; }
