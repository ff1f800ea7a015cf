#!/usr/bin/env bats
# models/: what each backend offers. Looking lists models and never asks one.
load ../lib/helpers

setup() {
	setup_dirs
	start_provider
}
teardown() { finish_test; }

lists() { provider_ctl "count?path=/models"; } # how often the list was asked for
model_list() { # JSON ARRAY OF IDS [MORE MEMBERS OF THE RULE]
	printf '{"path":"/v1/models","body":%s,"content_type":"application/json"%s}' \
		"$(jq -nc --argjson ids "$1" '{object:"list",data:[$ids[]|{id:.,object:"model",created:1,owned_by:"us"}]}')" "${2:-}"
}

@test "the list is fetched at the first look, once, and no model is asked" {
	mount_inferfs
	is "$(lists)" 0
	ls "$M" "$M/models" "$M/backends" >/dev/null
	stat "$M/models/p" >/dev/null
	is "$(lists)" 0
	like "$(ls "$M/models/p")" 'echo-small.json'
	like "$(ls "$M/models/p")" 'echo-small.json'
	ls -lR "$M/models/p" >/dev/null
	cat "$M"/models/p/*.json >/dev/null
	is "$(lists)" 1
	is "$(provider_count)" 0
	is "$(jq -r .model "$M/models/p/echo-small.json")" p/echo-small
	is "$(jq -r .price "$M/models/p/echo-small.json")" free
	is "$(stat -c %s "$M/models/p/echo-small.json")" "$(wc -c <"$M/models/p/echo-small.json")"
	is "$(jq .models.count "$M/backends/p/status.json")" 3
	tar cf "$W/models.tar" -C "$M" models/p
	is "$(cat "$M/models/echo/echo.json" | jq -r .model)" echo/echo
}

@test "names with slashes are directories; what can be no name is left out" {
	provider_script "[$(model_list '["Qwen/Qwen3-0.6B","Qwen/deep/er:x","plain","../../etc/passwd","a//b",".","x/..","plain"]')]"
	mount_inferfs
	is "$(cd "$M/models/p" && find . -type f | sort | paste -sd' ')" './Qwen/Qwen3-0.6B.json ./Qwen/deep/er:x.json ./plain.json'
	is "$(jq -r .id "$M/models/p/Qwen/Qwen3-0.6B.json")" Qwen/Qwen3-0.6B
	is "$(jq -r .model "$M/models/p/Qwen/deep/er:x.json")" p/Qwen/deep/er:x
	run cat "$M/models/p/nope.json"
	like "$output" 'No such file'
	run sh -c "echo x > '$M/models/p/plain.json'"
	[ "$status" -ne 0 ]
	run touch "$M/models/p/new.json"
	like "$output" 'Read-only file system'
}

@test "prices and context where the price list knows the model" {
	provider_script "[$(model_list '["gpt-4.1"]')]"
	mount_inferfs "$(provider_config | sed '0,/price = free/s//provider = openai/')"
	is "$(jq .price.output "$M/models/p/gpt-4.1.json")" 8
	like "$(jq -r .price.as_of "$M/models/p/gpt-4.1.json")" '^20'
}

@test "a look waits for the first list, five seconds at most, and can be interrupted; others are not held" {
	local begin

	provider_script "[$(model_list '["slow"]' ',"barrier":"slow"')]"
	mount_inferfs
	ls "$M/models/p" >"$W/out" 3>&- &
	local looker=$!
	provider_waiting slow
	ls "$M/models" "$M/models/echo" >/dev/null
	run timeout -s INT 1 ls "$M/models/p"
	is "$status" 124
	provider_release slow
	wait "$looker"
	is "$(cat "$W/out")" slow.json
	is "$(lists)" 1
	# a server that never says anything: five seconds, then an empty directory, and from then on at once
	umount_inferfs
	provider_script "[$(model_list '["slow"]' ',"barrier":"never"')]"
	remount
	begin=$(now_ms)
	is "$(ls "$M/models/p")" ''
	[ $(($(now_ms) - begin)) -ge 4900 ]
	[ $(($(now_ms) - begin)) -lt $((8000 * SLOW)) ]
	begin=$(now_ms)
	is "$(ls "$M/models/p")" ''
	[ $(($(now_ms) - begin)) -lt $((1000 * SLOW)) ]
	is "$(lists)" 2
}

@test "after models_ttl the last known list is shown while it is fetched anew" {
	provider_script "[$(model_list '["one"]' ',"times":1'),$(model_list '["one","two"]' ',"barrier":"second"')]"
	mount_inferfs "$(provider_config 'models_ttl = 1')"
	is "$(ls "$M/models/p")" one.json
	until_true 10 eval 'ls "$M/models/p" >/dev/null; [ "$(lists)" -ge 2 ]'
	is "$(ls "$M/models/p")" one.json
	provider_release second
	until_true 10 eval '[ "$(ls "$M/models/p" | paste -sd" ")" = "one.json two.json" ]'
}

@test "a list that fails: an empty directory and a reason in status.json, never an error of the directory" {
	provider_script '[{"path":"/v1/models","status":500}]'
	mount_inferfs
	is "$(ls "$M/models/p")" ''
	like "$(jq -r .models.error "$M/backends/p/status.json")" 'answered 500'
	ls "$M/models/p" >/dev/null
	is "$(lists)" 1
	# a provider without a key is not asked at all
	is "$(ls "$M/models/mistral")" ''
	like "$(jq -r .models.error "$M/backends/mistral/status.json")" 'MISTRAL_API_KEY'
	provider_script '[{"path":"/v1/models","body":"<html>","content_type":"text/html"}]'
	umount_inferfs
	remount
	is "$(ls "$M/models/p")" ''
	like "$(jq -r .models.error "$M/backends/p/status.json")" 'no list'
}

@test "unmount and SIGTERM answer whoever waits for a list" {
	provider_script "[$(model_list '["slow"]' ',"barrier":"never"')]"
	mount_inferfs
	ls "$M/models/p" >/dev/null 2>&1 3>&- &
	local looker=$! pid
	provider_waiting never
	pid=$(daemon_pid)
	kill "$pid"
	wait_gone "$pid" 3
	wait "$looker" || true
}

ollama_config() {
	printf '%s\n' "[inferfs]" "model = o/echo-small" "[backend o]" "type = ollama" "url = http://127.0.0.1:$PORT/ollama"
}
shows() { provider_ctl "count?path=/api/show"; }

@test "Ollama tells of one model when its file is looked at, and of no other; all who look share that" {
	mount_inferfs "$(ollama_config)"
	like "$(ls "$M/models/o")" 'echo-small.json'
	is "$(shows)" 0
	is "$(stat -c %s "$M/models/o/echo-small.json")" "$(wc -c <"$M/models/o/echo-small.json")"
	is "$(jq -c '[.id, .context_tokens, .capabilities, .defaults]' "$M/models/o/echo-small.json")" \
		'["echo-small",32768,["chat","completion","tools"],{"num_ctx":8192,"stop":["<|end|>","<|user|>"]}]'
	is "$(shows)" 1
	is "$(provider_requests '.requests[]|select(.path|endswith("/api/show"))|.body')" '{"model":"echo-small"}'
	is "$(provider_count)" 1 # and nothing else was posted
	# a pull may have brought another one of the same name
	echo 'pull echo-small' >"$M/backends/o/ctl"
	until_true 10 eval '[ "$(jq -r ".orders[0].state" "$M/backends/o/status.json")" = done ]'
	until_true 10 eval 'cat "$M/models/o/echo-small.json" >/dev/null; [ "$(shows)" -ge 2 ]'
}

@test "a look at one model waits for Ollama at most five seconds, once for all of them, and can be interrupted" {
	local begin looker one two

	provider_script '[{"path":"/api/show","times":1,"barrier":"slow"},{"path":"/api/show","barrier":"never"}]'
	mount_inferfs "$(ollama_config)"
	ls "$M/models/o" >/dev/null
	cat "$M/models/o/echo-small.json" >"$W/one" 3>&- &
	one=$!
	provider_waiting slow
	cat "$M/models/o/echo-small.json" >"$W/two" 3>&- &
	two=$!
	run timeout -s INT 1 cat "$M/models/o/echo-small.json"
	is "$status" 124
	ls "$M/models/o" "$M/models/echo/" >/dev/null
	provider_release slow
	wait "$one" "$two"
	is "$(jq .defaults.num_ctx "$W/one")" 8192
	cmp "$W/one" "$W/two"
	is "$(shows)" 1
	# it never says anything: the file is what the list told, and nobody waits for the next one
	begin=$(now_ms)
	is "$(jq -c '[.id, .context_tokens, .defaults]' "$M/models/o/echo-large.json")" '["echo-large",32768,null]'
	[ $(($(now_ms) - begin)) -ge 4900 ]
	[ $(($(now_ms) - begin)) -lt $((8000 * SLOW)) ]
	begin=$(now_ms)
	is "$(jq -c '[.id, .defaults]' "$M/models/o/echo-embed.json")" '["echo-embed",null]'
	ls -lR "$M/models/o" >/dev/null
	[ $(($(now_ms) - begin)) -lt $((2000 * SLOW)) ]
	is "$(shows)" 2
}

@test "a model that Ollama cannot tell of is the file that the list makes" {
	provider_script '[{"path":"/api/show","status":404}]'
	mount_inferfs "$(ollama_config)"
	is "$(jq -c '[.id, .context_tokens, .parameters, .defaults]' "$M/models/o/echo-small.json")" '["echo-small",32768,"1.0M",null]'
	cat "$M/models/o/echo-small.json" >/dev/null
	is "$(shows)" 1
	is "$(jq .id "$M/models/o/echo-large.json")" '"echo-large"'
	is "$(shows)" 2
}
