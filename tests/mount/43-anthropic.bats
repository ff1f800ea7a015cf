#!/usr/bin/env bats
# Anthropic: what one writes is the same as anywhere else, what is sent is Claude's.
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
	provider_key "$TEST_KEY"
}
teardown() { finish_test; }

anthropic() { # [LINE]...: mounts with Anthropic at the provider; more lines go into its section
	mount_inferfs "$(printf '%s\n' "[inferfs]" "model = a/claude-haiku-5-5" \
		"[backend a]" "type = anthropic" "url = http://127.0.0.1:$PORT/anthropic" "price = free" "key_env = TEST_KEY" \
		"backoff_ms = 2" "backoff_max_ms = 10" "$@")"
}
put() { fop put "$P/$1" "$2"; }
body() { provider_requests ".requests[-1].body | fromjson | $1"; }
header() { provider_requests ".requests[-1].headers[\"$1\"]"; }
error() { jq -r "$2" "$R/$1/error.json"; } # STEM FILTER

@test "text: max_tokens is filled in, the newest version asked for" {
	anthropic
	echo 'hello big world' >"$P/a.txt"
	is "$(answer a)" 'echo: hello big world'
	is "$(header x-api-key) $(header Authorization) $(header anthropic-version)" "$TEST_KEY null 2026-10-21"
	is "$(body tojson)" '{"max_tokens":32000,"messages":[{"content":"hello big world","role":"user"}],"model":"claude-haiku-5-5","stream":true}'
	# what is sent is what was hashed
	is "$(jq .max_tokens "$R/a/request.json")" 32000
	is "$(jq -c '[.model,.samples[0].finish_reason,.usage.input_tokens,.usage.output_tokens]' "$R/a/response.json")" \
		'["claude-haiku-5-5","stop",3,4]'
	put b.json '{"prompt":"short","max_tokens":5}'
	is "$(answer b) $(body .max_tokens)" 'echo: short 5'
}

@test "a stream arrives word by word, also cut into single bytes" {
	provider_script '[{"piece_barriers":{"1":"hold"},"split":"byte"}]'
	anthropic
	put a.json '{"prompt":"one two three"}'
	exec 5<"$R/a/stream"
	is "$(dd bs=100 count=1 status=none <&5)" 'echo:'
	provider_waiting hold
	provider_release hold
	is "$(cat <&5)" ' one two three'
	exec 5<&-
	is "$(answer a)" 'echo: one two three'
}

@test "a conversation: system texts aside, neighbours together, the beginning of an answer last" {
	anthropic "max_tokens = 50"
	put a.json '{"stop":["END"],"messages":[
		{"role":"system","content":"Be brief."},{"role":"user","content":"Who?"},{"role":"assistant","content":"Me."},
		{"role":"system","content":"Be kind."},{"role":"user","content":"Why?"},{"role":"user","content":"And how?"},
		{"role":"assistant","content":"Because ","prefix":true}]}'
	is "$(answer a)" 'echo: Why?And how?'
	is "$(body '[.system,.max_tokens,.stop_sequences] | tojson')" '["Be brief.\n\nBe kind.",50,["END"]]'
	is "$(body '.messages | map([.role,(.content|if type=="string" then . else map(.text)|join("|") end)]) | tojson')" \
		'[["user","Who?"],["assistant","Me."],["user","Why?|And how?"],["assistant","Because"]]'
}

@test "sampling: with the old version where the model still has it, else it is refused" {
	anthropic
	put a.json '{"model":"a/claude-opus-4-6","prompt":"x","temperature":0}'
	is "$(answer a) $(header anthropic-version) $(body .temperature)" 'echo: x 2023-06-01 0'
	is "$(put b.json '{"prompt":"x","temperature":0}')" 'put EOPNOTSUPP'
	is "$(error b .field)" temperature
	is "$(put c.json '{"model":"a/claude-opus-5-5","prompt":"x","tool_choice":"required",
		"tools":[{"type":"function","function":{"name":"now"}}]}')" 'put EOPNOTSUPP'
	is "$(put d.json '{"prompt":"x","seed":1}')" 'put EOPNOTSUPP'
	is "$(put e.json '{"prompt":"x","response_format":{"type":"json_object"}}')" 'put EOPNOTSUPP'
	is "$(put f.json '{"input":"x"}')" 'put EOPNOTSUPP'
	is "$(provider_count)" 1
}

@test "a tool is called, its answer goes back, and the signed thoughts stand before the call again" {
	tools='"tools":[{"type":"function","function":{"name":"now","parameters":{"type":"object"}}}]'
	provider_script '[{"match":"what time","times":1,"reasoning":"look it up","text":"Let me see.","tool_calls":[
		{"id":"toolu_1","name":"now","arguments":{"tz":"CET"}},{"id":"toolu_2","name":"now","arguments":{"tz":"UTC"}}]}]'
	anthropic
	put a.json '{"prompt":"what time?",'"$tools"',"parallel_tool_calls":true,"reasoning_effort":"low"}'
	is "$(answer a)" 'Let me see.'
	is "$(cat "$R/a/reasoning")" 'look it up'
	is "$(jq -c 'map([.id,.function.name,.function.arguments])' "$R/a/tool_calls.json")" \
		'[["toolu_1","now","{\"tz\":\"CET\"}"],["toolu_2","now","{\"tz\":\"UTC\"}"]]'
	is "$(jq -c '[.samples[0].finish_reason,.usage.reasoning_tokens]' "$R/a/response.json")" '["tool_calls",3]'
	is "$(body '[.thinking,.output_config] | tojson')" '[{"display":"summarized","type":"adaptive"},{"effort":"low"}]'
	# the sample goes into the next request as it is
	jq -c --argjson tools "{$tools}" '$tools + {messages: [{role: "user", content: "what time?"},
		(.samples[0] | {role: "assistant", content: .text, tool_calls}),
		{role: "user", content: "thank you"},
		{role: "tool", tool_call_id: "toolu_1", content: "12:00"},
		{role: "tool", tool_call_id: "toolu_2", content: "11:00"}]}' "$R/a/response.json" >"$P/b.json"
	is "$(answer b)" 'echo: thank you'
	is "$(body '.messages[1].content | map(.type) | join(" ")')" 'thinking text tool_use tool_use'
	is "$(body '.messages[1].content[0] | [.thinking,.signature] | tojson')" \
		"$(jq -c '.[0].extra_content.anthropic.thinking[0] | [.thinking,.signature]' "$R/a/tool_calls.json")"
	is "$(body '.messages[2].content | map(.type) | join(" ")')" 'tool_result tool_result text'
}

@test "images: inside the request, or as an address that Anthropic fetches" {
	anthropic
	base64 -d <<<R0lGODlhAQABAAAAACw= >"$P/dot.gif"
	put a.json '{"messages":[{"role":"user","content":[{"type":"text","text":"same?"},
		{"type":"image","path":"dot.gif"},{"type":"image","url":"https://host/i.png"}]}]}'
	is "$(answer a)" 'echo: same?'
	is "$(body '.messages[0].content | map(.source // {} | [.type,.media_type,.url] | join(",")) | join(" ")')" \
		',, base64,image/gif, url,,https://host/i.png'
}

@test "JSON by a schema" {
	provider_script '[{"text":"{\"sky\":\"blue\"}"}]'
	anthropic
	put a.json '{"prompt":"which?","response_format":{"type":"json_schema","json_schema":{"name":"c",
		"schema":{"type":"object","properties":{"sky":{"type":"string"}}}}}}'
	is "$(answer a | jq -r .sky)" blue
	is "$(body '.output_config.format | [.type,.schema.properties.sky.type] | join(" ")')" 'json_schema string'
}

@test "tokens from the cache are part of the input" {
	provider_script '[{"usage":{"input_tokens":5,"cache_read_input_tokens":90,"cache_creation_input_tokens":5,"output_tokens":7}}]'
	anthropic
	put a.json '{"prompt":"x"}'
	is "$(answer a)" 'echo: x'
	is "$(jq -c '.usage | [.input_tokens,.cached_input_tokens,.cache_write_tokens,.output_tokens]' "$R/a/response.json")" '[100,90,5,7]'
}

@test "failures: no money, a bad key, an unknown model; overload and a broken stream are tried again" {
	provider_script '[
		{"match":"money","status":400,"body":{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}},
		{"match":"key","status":401},
		{"match":"overload","times":1,"status":529},
		{"match":"broken","times":1,"end_without_done":true},
		{"match":"event","times":1,"error_event":{"type":"error","error":{"type":"overloaded_error","message":"m"}},"error_at":1},
		{"match":"refused","text":"","finish_reason":"content_filter"}]'
	anthropic
	for i in money key missing; do
		put $i.json "{\"prompt\":\"$i\"$([ $i != missing ] || echo ',"model":"a/nope"')}"
		wait_status $i failed
	done
	is "$(error money .errno) $(error key .errno) $(error missing .errno)" 'EDQUOT EKEYREJECTED ENXIO'
	is "$(error key .provider_type)" authentication_error
	for i in overload broken event; do
		put $i.json "{\"prompt\":\"$i\"}"
		is "$(answer $i) $(jq .attempts "$R/$i/response.json")" "echo: $i 2"
	done
	put refused.json '{"prompt":"refused"}'
	like "$(answer refused)" 'refused to answer'
	is "$(jq -r '.samples[0].finish_reason' "$R/refused/response.json")" content_filter
}

@test "a token instead of a key goes into the usual header" {
	export ANTHROPIC_AUTH_TOKEN=$TEST_KEY ANTHROPIC_BASE_URL=http://127.0.0.1:$PORT/anthropic
	provider_key ''
	mount_inferfs $'[inferfs]\nmodel = anthropic/claude-haiku-5-5'
	put a.json '{"prompt":"x"}'
	is "$(answer a) $(header Authorization) $(header x-api-key)" "echo: x Bearer $TEST_KEY null"
}

@test "without a key the request says which variable to set" {
	mount_inferfs $'[inferfs]\nmodel = anthropic/claude-haiku-5-5'
	is "$(put a.json '{"prompt":"x"}')" 'put ENOKEY'
	like "$(error a .message)" 'ANTHROPIC_API_KEY'
}
