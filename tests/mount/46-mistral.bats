#!/usr/bin/env bats
# Mistral: nothing that is not in its schema is sent, and its own forms are read.
# shellcheck disable=SC2016 # jq's variables
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
	PNG=iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
}
teardown() { finish_test; }

config() { # [LINE]...
	printf '%s\n' "[inferfs]" "model = m/mistral-small-latest" "[backend m]" "type = mistral" \
		"url = http://127.0.0.1:$PORT/mistral" "key_env = TEST_KEY" "backoff_ms = 2" "backoff_max_ms = 10" "$@"
}
put() { fop put "$P/$1" "$2"; }
error() { jq -r "$2" "$R/$1/error.json"; } # STEM FILTER
body() { provider_requests ".requests[-1].body | fromjson | $1"; }
path() { provider_requests '.requests[-1].path'; }
failed_with() { # STEM ERRNO REGEX
	wait_status "$1" failed
	is "$(error "$1" .errno)" "$2"
	like "$(error "$1" .message)" "$3"
}

@test "what its schema does not have is EOPNOTSUPP at close; with lossy it is dropped and listed" {
	mount_inferfs "$(config)"
	while IFS='|' read -r field more; do
		is "$(put a.json "{$more}")" "put EOPNOTSUPP"
		is "$(error a .field)" "$field"
		is "$(error a .backend)" m
	done <<-'ROWS'
		top_k|"prompt":"x","top_k":4
		min_p|"prompt":"x","min_p":0.1
		logprobs|"prompt":"x","logprobs":true
		logit_bias|"prompt":"x","logit_bias":{"1":2}
		seed|"prompt":"x","seed":-1
		messages.name|"messages":[{"role":"user","content":"x","name":"bob"}]
		endpoint|"prompt":"x","endpoint":"completion"
		endpoint|"prompt":"x","endpoint":"responses"
	ROWS
	is "$(provider_count)" 0
	umount_inferfs
	mount_inferfs -o lossy=yes "$(config)"
	put b.json '{"prompt":"x","top_k":4,"seed":-1}'
	is "$(answer b)" 'echo: x'
	is "$(jq -c '.dropped | sort' "$R/b/response.json")" '["seed","top_k"]'
}

@test "errors in every form it has" {
	mount_inferfs "$(config 'retries = 2')"
	put gone.json '{"prompt":"x","model":"m/nope"}'
	failed_with gone ENXIO 'Invalid model'
	provider_extra '"foo":1'
	put extra.json '{"prompt":"x","extra_body":{"foo":1}}'
	failed_with extra EINVAL 'body.foo: Extra inputs'
	put last.json '{"messages":[{"role":"assistant","content":"x"}]}'
	failed_with last EINVAL 'last role'
	provider_script '[{"match":"model400","status":400,"body":{"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"}},
		{"match":"long","status":400,"body":{"object":"error","message":"Prompt contains 9 tokens, too large for model with 8 maximum context length"}},
		{"match":"rate","status":429,"times":1},
		{"match":"key","status":401,"body":{"message":"Unauthorized"}},
		{"match":"broke","finish_reason":"error"},
		{"match":"cut","end_without_done":true}]'
	put model400.json '{"prompt":"model400"}'
	put long.json '{"prompt":"long"}'
	put rate.json '{"prompt":"rate"}'
	put key.json '{"prompt":"key"}'
	put broke.json '{"prompt":"broke"}'
	put cut.json '{"prompt":"cut"}'
	failed_with model400 ENXIO 'Invalid model'
	failed_with long EMSGSIZE 'maximum context length'
	is "$(answer rate)" 'echo: rate'
	failed_with key EKEYREJECTED 'Unauthorized'
	failed_with broke EREMOTEIO 'error'
	is "$(error broke .attempts)" 1
	failed_with cut EREMOTEIO 'before the end of its answer'
}

@test "text, system, history, prefix, schema, usage" {
	mount_inferfs "$(config)"
	put a.json '{"system":"be brief","messages":[{"role":"user","content":"one"},{"role":"assistant","content":"two"},
		{"role":"user","content":"three"}],"seed":7,"max_tokens":9,
		"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}}'
	is "$(answer a)" 'echo: three'
	is "$(body '[.messages[] | .role] | join(" ")')" 'system user assistant user'
	is "$(body '[.random_seed, .max_tokens, .response_format.json_schema.name, has("stream_options")] | tojson')" '[7,9,"n",false]'
	is "$(jq -c '[.usage.input_tokens, .usage.output_tokens, .usage.cached_input_tokens, .usage.reasoning_tokens]' "$R/a/response.json")" '[5,2,0,null]'
	put b.json '{"messages":[{"role":"user","content":"say"},{"role":"assistant","content":"So","prefix":true}]}'
	is "$(answer b)" 'echo: say'
	is "$(body '.messages[1].prefix')" true
}

@test "it thinks in chunks, and a thought goes back as one" {
	provider_script '[{"reasoning":"let me see","split":"byte"}]'
	mount_inferfs "$(config)"
	put a.json '{"prompt":"x","reasoning_effort":"high"}'
	is "$(answer a)" 'echo: x'
	is "$(jq -r '.samples[0].reasoning' "$R/a/response.json")" 'let me see'
	is "$(body .reasoning_effort)" high
	put b.json '{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","reasoning":"let me see"},{"role":"user","content":"z"}]}'
	is "$(answer b)" 'echo: z'
	is "$(body '.messages[1].content | tojson')" \
		'[{"thinking":[{"text":"let me see","type":"text"}],"type":"thinking"},{"text":"y","type":"text"}]'
}

@test "a picture; tools there and back, with ids of another provider" {
	provider_script '[{"match":"\"tool_call_id\"","text":"It is noon."},
		{"match":"what time","tool_calls":[{"name":"now","arguments":{"tz":"CET"}}]}]'
	mount_inferfs "$(config)"
	base64 -d <<<"$PNG" >"$P/i.png"
	put i.json '{"prompt":"what is it?","images":["i.png"]}'
	is "$(answer i)" 'echo: what is it?'
	is "$(body '.messages[0].content[1].image_url.url')" "data:image/png;base64,$PNG"
	tools='"tools":[{"type":"function","function":{"name":"now","parameters":{"type":"object"}}}]'
	put a.json '{"prompt":"what time?",'"$tools"',"tool_choice":"required"}'
	is "$(answer a)" ''
	like "$(jq -r '.[0].id' "$R/a/tool_calls.json")" '^[0-9A-Za-z]{9}$'
	is "$(body .tool_choice)" required
	put b.json '{'"$tools"',"messages":[{"role":"user","content":"what time?"},{"role":"assistant","content":null,"tool_calls":[
		{"id":"call_abc","type":"function","function":{"name":"now","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}},
		{"id":"call_abd","type":"function","function":{"name":"now","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"call_abd","content":"11:00"},{"role":"tool","tool_call_id":"call_abc","content":"12:00"}]}'
	is "$(answer b)" 'It is noon.'
	is "$(body '[.messages[1].tool_calls[0].id == .messages[3].tool_call_id, .messages[1].tool_calls[1].id == .messages[2].tool_call_id,
		(.messages[1].tool_calls[0] | has("extra_content"))] | tojson')" '[true,true,false]'
}

@test "a gap to fill, and vectors" {
	mount_inferfs "$(config)"
	put a.json '{"prompt":"def f(","suffix":"return x","seed":3}'
	is "$(answer a)" 'echo: def f(|return x'
	is "$(path) $(body '[.suffix, .random_seed] | tojson')" '/mistral/v1/fim/completions ["return x",3]'
	put e.json '{"input":["one","two words"],"dimensions":4,"model":"m/mistral-embed"}'
	wait_status e 'done'
	is "$(path) $(body '[.output_dimension, has("stream"), has("encoding_format")] | tojson')" '/mistral/v1/embeddings [4,false,false]'
	is "$(jq -c '[.model,.dimensions,(.data|map(length))]' "$R/e/embedding.json")" '["mistral-embed",4,[4,4]]'
	is "$(jq -r .usage.input_tokens "$R/e/response.json")" 3
}
