#!/usr/bin/env bats
# OpenAI, vLLM and llama.cpp: what differs between them, and what only OpenAI's newer models need.
# shellcheck disable=SC2016 # jq's variables
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
	TOOLS_ASKED='"tools":[{"type":"function","function":{"name":"now","parameters":{"type":"object"}}}]'
}
teardown() { finish_test; }

# o says that it is OpenAI in the end; v and l are the local servers
config() {
	local x

	printf '%s\n' "[inferfs]" "model = o/gpt-4o" \
		"[backend o]" "type = openai" "url = http://127.0.0.1:$PORT/v1" "provider = openai" "key_env = TEST_KEY" \
		"[backend v]" "type = openai" "dialect = vllm" "url = http://127.0.0.1:$PORT/vllm/v1" \
		"[backend l]" "type = openai" "dialect = llamacpp" "url = http://127.0.0.1:$PORT/llamacpp/v1"
	for x; do echo "$x"; done
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

@test "what a reasoning model does not take is EOPNOTSUPP by name; the same at a server of one's own is sent" {
	mount_inferfs "$(config)"
	while IFS='|' read -r field model more; do
		is "$(put a.json "{\"prompt\":\"x\",\"model\":\"o/$model\",$more}")" "put EOPNOTSUPP"
		is "$(error a .field)" "$field"
		is "$(error a .backend)" o
	done <<-'ROWS'
		temperature|o4-mini|"temperature":0
		top_p|gpt-5|"top_p":0.5
		presence_penalty|gpt-6-luna|"presence_penalty":1
		logprobs|o1|"logprobs":true
		stop|o3|"stop":["x"]
		top_k|gpt-4o|"top_k":4
		min_p|gpt-4o|"min_p":0.1
		stop|gpt-4o|"stop":["a","b","c","d","e"]
	ROWS
	is "$(provider_count)" 0
	put b.json '{"prompt":"x","model":"v/gpt-5","temperature":0,"top_k":4,"min_p":0.1,"stop":["a","b","c","d","e"]}'
	is "$(answer b)" 'echo: x'
	is "$(body '[.temperature, .top_k, .min_p, (.stop | length)] | tojson')" '[0,4,0.1,5]'
}

@test "errors of three servers: errno, sentence, tried again or not" {
	mount_inferfs "$(config 'backoff_ms = 2' 'retries = 2')"
	for b in o v l; do
		put $b.json "{\"prompt\":\"x\",\"model\":\"$b/nope\"}"
		failed_with $b ENXIO 'does not exist'
		is "$(error $b .attempts)" 1
	done
	provider_script '[{"match":"quota","status":429,"body":{"error":{"message":"m","code":"insufficient_quota"}}},
		{"match":"wish","status":400,"headers":{"x-should-retry":"true"},"times":1},
		{"match":"never","status":500,"headers":{"x-should-retry":"false"}},
		{"match":"loading","status":503,"times":2,"body":{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}},
		{"match":"mid","error_event":{"error":{"message":"broke","type":"BadRequestError","code":400}},"error_at":1}]'
	put quota.json '{"prompt":"quota"}'
	put wish.json '{"prompt":"wish"}'
	put never.json '{"prompt":"never"}'
	put loading.json '{"prompt":"loading","model":"l/m"}'
	put mid.json '{"prompt":"mid","model":"v/m"}'
	failed_with quota EDQUOT 'balance'
	is "$(error quota .attempts)" 1
	is "$(answer wish)" 'echo: wish'
	failed_with never EREMOTEIO ''
	is "$(error never .attempts)" 1
	is "$(answer loading)" 'echo: loading'
	failed_with mid EINVAL broke
}

@test "text, system, history, schema, usage" {
	mount_inferfs "$(config)"
	put a.json '{"system":"be brief","messages":[{"role":"user","content":"one"},{"role":"assistant","content":"two"},
		{"role":"user","content":"three"}],"max_tokens":9,"temperature":0,
		"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}}}'
	is "$(answer a)" 'echo: three'
	is "$(body '[.messages[] | .role] | join(" ")')" 'system user assistant user'
	is "$(body '[.max_completion_tokens, has("max_tokens"), .response_format.json_schema.strict] | tojson')" '[9,false,true]'
	is "$(jq -c '[.usage.input_tokens, .usage.output_tokens, .usage.cached_input_tokens, .usage.reasoning_tokens]' "$R/a/response.json")" '[5,2,0,0]'
	# a reasoning model calls the system's role by another name; a server of one's own keeps the old ones
	put b.json '{"system":"s","prompt":"x","model":"o/o4-mini","max_tokens":9}'
	is "$(answer b)" 'echo: x'
	is "$(body '[.messages[0].role, .max_completion_tokens] | tojson')" '["developer",9]'
	put c.json '{"system":"s","prompt":"x","model":"l/m","max_tokens":9}'
	is "$(answer c)" 'echo: x'
	is "$(body '[.messages[0].role, .max_tokens] | tojson')" '["system",9]'
}

@test "servers of one's own think, or not, as they are told" {
	provider_script '[{"reasoning":"let me see"}]'
	mount_inferfs "$(config)"
	for b in v l; do
		put $b.json "{\"prompt\":\"x\",\"model\":\"$b/m\",\"reasoning_effort\":\"high\"}"
		is "$(answer $b)" 'echo: x'
		is "$(jq -r '.samples[0].reasoning' "$R/$b/response.json")" 'let me see'
		is "$(body '[.reasoning_effort, .chat_template_kwargs.enable_thinking] | tojson')" '["high",true]'
		put $b.none.json "{\"prompt\":\"x\",\"model\":\"$b/m\",\"reasoning_effort\":\"none\"}"
		is "$(answer $b.none)" 'echo: x'
		is "$(body '[.reasoning_effort, .chat_template_kwargs.enable_thinking] | tojson')" '[null,false]'
	done
}

@test "tools of newer models go to /responses; the reasoning comes back with them, and goes out again" {
	provider_script '[{"match":"function_call_output","text":"It is noon."},
		{"match":"\"tool_call_id\"","text":"Noon, in chat."},
		{"match":"what time","reasoning":"hm","tool_calls":[{"id":"call_1","name":"now","arguments":"{\"tz\":\"CET\"}"}]}]'
	mount_inferfs "$(config)"
	is "$(put a.json '{"prompt":"what time?","model":"o/gpt-5.4","seed":7,'"$TOOLS_ASKED"'}')" "put EOPNOTSUPP"
	is "$(error a .field)" seed
	like "$(error a .message)" '/responses'
	put a.json '{"prompt":"what time?","model":"o/gpt-5.4","reasoning_effort":"low","max_tokens":99,'"$TOOLS_ASKED"'}'
	is "$(answer a)" ''
	is "$(jq -r .endpoint "$R/a/request.json")" responses
	is "$(path)" /v1/responses
	is "$(body '[.store, .reasoning.effort, .max_output_tokens, .tools[0].name, .tools[0].strict] | tojson')" '[false,"low",99,"now",false]'
	is "$(jq -c '.[0] | [.id, .function.name, .extra_content.openai.reasoning[0].type]' "$R/a/tool_calls.json")" '["call_1","now","reasoning"]'
	is "$(jq -r '.samples[0].finish_reason' "$R/a/response.json")" tool_calls
	jq -c --argjson t "{$TOOLS_ASKED}" '.samples[0] | {model: "o/gpt-5.4", tools: $t.tools, messages: [{role: "user", content: "what time?"},
		{role: "assistant", content: .text, tool_calls}, {role: "tool", tool_call_id: "call_1", content: "12:00"}]}' \
		"$R/a/response.json" >"$W/b.json"
	cp "$W/b.json" "$P/b.json"
	is "$(answer b)" 'It is noon.'
	is "$(body '.input | map(.type // .role) | tojson')" '["user","reasoning","function_call","function_call_output"]'
	is "$(body '.input[1] | has("encrypted_content")')" true
	# the same conversation with a model that takes tools in chat: what was OpenAI's own stays here
	jq -c '.model = "o/gpt-4o"' "$W/b.json" >"$P/c.json"
	is "$(answer c)" 'Noon, in chat.'
	is "$(path)" /v1/chat/completions
	is "$(body '.messages[1].tool_calls[0] | has("extra_content")')" false
	# without reasoning, chat takes them too
	put d.json '{"prompt":"hello","model":"o/gpt-5.4","reasoning_effort":"none",'"$TOOLS_ASKED"'}'
	is "$(answer d)" 'echo: hello'
	is "$(path)" /v1/chat/completions
}

@test "/responses when it is asked for: a stream in pieces, its usage, its end, its errors" {
	provider_script '[{"match":"slow","piece_barriers":{"1":"b1"}},{"match":"limit","finish_reason":"length"},
		{"match":"cut","end_without_done":true},{"match":"over","split":"byte","text":"é ü"},
		{"match":"mid","error_event":{"type":"error","code":"rate_limit_exceeded","message":"slow down"},"error_name":"error","error_at":1}]'
	mount_inferfs "$(config 'backoff_ms = 2' 'retries = 2')"
	put slow.json '{"prompt":"slow","endpoint":"responses","system":"s"}'
	exec 5<"$R/slow/stream"
	is "$(dd bs=100 count=1 status=none <&5)" 'echo:'
	provider_release b1
	is "$(cat <&5)" ' slow'
	exec 5<&-
	is "$(jq -c '[.usage.input_tokens, .usage.output_tokens, .samples[0].finish_reason]' "$R/slow/response.json")" '[2,2,"stop"]'
	put limit.json '{"prompt":"limit","endpoint":"responses","max_tokens":16}'
	is "$(answer limit)" 'echo: limit'
	is "$(jq -r '.samples[0].finish_reason' "$R/limit/response.json")" length
	put over.json '{"prompt":"over","endpoint":"responses"}'
	is "$(answer over)" 'é ü'
	put cut.json '{"prompt":"cut","endpoint":"responses"}'
	failed_with cut EREMOTEIO 'before the end of its answer'
	put mid.json '{"prompt":"mid","endpoint":"responses"}'
	failed_with mid EBUSY 'slow down'
}

@test "a gap to fill: OpenAI's suffix, llama.cpp's own call; vLLM has none" {
	mount_inferfs "$(config)"
	put a.json '{"prompt":"def f(","suffix":"return x"}'
	is "$(answer a)" 'echo: def f(|return x'
	is "$(path)" /v1/completions
	put b.json '{"prompt":"def f(","suffix":"return x","model":"l/m","max_tokens":9,"top_k":4}'
	is "$(answer b)" 'echo: def f(|return x'
	is "$(path)" /llamacpp/infill
	is "$(body '[.input_prefix, .input_suffix, .n_predict, .top_k] | tojson')" '["def f(","return x",9,4]'
	is "$(jq -c '[.usage.input_tokens, .usage.output_tokens, .samples[0].finish_reason]' "$R/b/response.json")" '[3,4,"stop"]'
	is "$(put c.json '{"prompt":"a","suffix":"b","model":"v/m"}')" "put EOPNOTSUPP"
	is "$(error c .field)" endpoint
}

@test "vectors as bytes and as numbers are the same vectors" {
	mount_inferfs "$(config)"
	put a.json '{"input":["one","two"],"dimensions":3,"model":"o/echo-embed"}'
	put b.json '{"input":["one","two"],"dimensions":3,"model":"v/echo-embed"}'
	wait_status a 'done'
	wait_status b 'done'
	is "$(provider_requests '[.requests[].body | fromjson | .encoding_format] | sort | tojson')" '[null,"base64"]'
	is "$(jq -c '.data | map(map(. * 1000 | round))' "$R/a/embedding.json")" "$(jq -c '.data | map(map(. * 1000 | round))' "$R/b/embedding.json")"
	cmp "$R/a/embedding.npy" "$R/b/embedding.npy"
}
