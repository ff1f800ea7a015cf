#!/usr/bin/env bats
# Ollama's own API: what a user writes, what its server gets, what comes back; and its failures.
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
	printf '%s\n' "[inferfs]" "model = o/llama3.2:1b" "[backend o]" "type = ollama" \
		"url = http://127.0.0.1:$PORT/ollama" "backoff_ms = 2" "backoff_max_ms = 10" "$@"
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

@test "what it cannot express is EOPNOTSUPP at close, by name, and nothing is sent" {
	mount_inferfs "$(config)"
	while IFS='|' read -r field more; do
		is "$(put a.json "{$more}")" "put EOPNOTSUPP"
		is "$(error a .field)" "$field"
		is "$(error a .backend)" o
	done <<-'ROWS'
		logit_bias|"prompt":"x","logit_bias":{"1":2}
		tool_choice|"prompt":"x","tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required"
		reasoning_effort|"prompt":"x","reasoning_effort":"xhigh"
		messages.image|"messages":[{"role":"user","content":[{"type":"image","url":"https://h/i.png"}]}]
	ROWS
	is "$(provider_count)" 0
}

@test "errors before and within an answer: their errno, what to do, and what is tried again" {
	mount_inferfs "$(config 'retries = 2')"
	put gone.json '{"prompt":"x","model":"o/nope"}'
	failed_with gone ENXIO 'ollama pull'
	is "$(error gone .attempts)" 1
	provider_script '[{"match":"long","status":400,"body":{"error":"the input length exceeds the context length"}},
		{"match":"think","status":400,"body":{"error":"\"m\" does not support thinking"}},
		{"match":"busy","status":503,"times":1},
		{"match":"html","status":502,"body":"<html>no</html>","content_type":"text/html"},
		{"match":"cut","end_without_done":true},
		{"match":"runner","error_event":{"error":"llama runner process has terminated"},"error_at":1}]'
	put long.json '{"prompt":"long"}'
	put think.json '{"prompt":"think","reasoning_effort":"low"}'
	put busy.json '{"prompt":"busy"}'
	put html.json '{"prompt":"html"}'
	put cut.json '{"prompt":"cut"}'
	put runner.json '{"prompt":"runner"}'
	failed_with long EMSGSIZE 'num_ctx'
	failed_with think EINVAL 'does not support thinking'
	is "$(answer busy)" 'echo: busy' # tried again
	failed_with html EREMOTEIO 'web page'
	is "$(error html .attempts)" 3
	failed_with cut EREMOTEIO 'before the end of its answer'
	is "$(error cut .attempts)" 2
	failed_with runner EREMOTEIO 'runner process'
	is "$(find "$CACHE" -path '*objects*' -type f | wc -l)" 1
}

@test "text, system, history, options: what is sent, what comes, what it cost" {
	mount_inferfs "$(config)"
	put a.json '{"system":"be brief","messages":[{"role":"user","content":"one"},{"role":"assistant","content":"two"},
		{"role":"user","content":[{"type":"text","text":"three"},{"type":"text","text":"four"}]}],
		"temperature":0,"max_tokens":9,"top_k":4,"stop":["x"],"seed":7,"extra_body":{"options":{"num_ctx":8192},"keep_alive":"1m"}}'
	is "$(answer a)" $'echo: three\nfour'
	is "$(path)" /ollama/api/chat
	is "$(body '[.messages[] | .role + ":" + .content] | tojson')" '["system:be brief","user:one","assistant:two","user:three\nfour"]'
	is "$(body '.options | tojson')" '{"num_ctx":8192,"num_predict":9,"seed":7,"stop":["x"],"temperature":0,"top_k":4}'
	# a prompt that is too long is an error, not an answer to half of it
	is "$(body '[.model, .truncate, .stream, .keep_alive] | tojson')" '["llama3.2:1b",false,true,"1m"]'
	is "$(jq -c '[.usage.input_tokens, .usage.output_tokens, .usage.cached_input_tokens, .cost_usd]' "$R/a/response.json")" '[6,3,null,0]'
	is "$(jq -r '.samples[0].finish_reason' "$R/a/response.json")" stop
	# no key of anybody's
	is "$(provider_requests '.requests[-1].headers | has("Authorization")')" false
	# each line of the stream is in raw.json
	is "$(jq -s 'last.done' "$R/a/samples/0/raw.json")" true
}

@test "a stream is shown line by line, however it is cut" {
	provider_script '[{"match":"slow","piece_barriers":{"1":"b1"}},{"split":"byte","pieces":["é","ö ü"],"reasoning":"hm"}]'
	mount_inferfs "$(config)"
	put slow.json '{"prompt":"slow"}'
	exec 5<"$R/slow/stream"
	is "$(dd bs=100 count=1 status=none <&5)" 'echo:'
	provider_release b1
	is "$(cat <&5)" ' slow'
	exec 5<&-
	put bytes.json '{"prompt":"x","reasoning_effort":"none"}'
	is "$(answer bytes)" 'éö ü'
	is "$(body .think)" false
	is "$(jq -r '.samples[0].reasoning' "$R/bytes/response.json")" hm
	put high.json '{"prompt":"x","reasoning_effort":"high"}'
	is "$(answer high)" 'éö ü'
	is "$(body .think)" high
}

@test "JSON by schema, completions, a gap to fill" {
	mount_inferfs "$(config)"
	put a.json '{"prompt":"x","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}}'
	is "$(answer a)" 'echo: x'
	is "$(body '.format | tojson')" '{"type":"object"}'
	put b.json '{"prompt":"x","response_format":{"type":"json_object"}}'
	is "$(answer b)" 'echo: x'
	is "$(body .format)" json
	put c.json '{"prompt":"once upon","endpoint":"completion","max_tokens":3}'
	is "$(answer c)" 'echo: once upon'
	is "$(path) $(body '[.raw, .options.num_predict] | tojson')" '/ollama/api/generate [true,3]'
	put d.json '{"prompt":"def f(","suffix":"return x"}'
	is "$(answer d)" 'echo: def f(|return x'
	is "$(path) $(body .suffix)" '/ollama/api/generate return x'
}

@test "a picture, and tools there and back" {
	provider_script '[{"match":"\"tool_name\"","text":"It is noon."},
		{"match":"what time","tool_calls":[{"name":"now","arguments":{"tz":"CET"}},{"name":"now","arguments":{"tz":"UTC"}}]}]'
	mount_inferfs "$(config)"
	base64 -d <<<"$PNG" >"$P/i.png"
	put i.json '{"prompt":"what is it?","images":["i.png"]}'
	is "$(answer i)" 'echo: what is it?'
	is "$(body '.messages[0] | [.content, .images[0]] | tojson')" "[\"what is it?\",\"$PNG\"]"
	tools='"tools":[{"type":"function","function":{"name":"now","parameters":{"type":"object"}}}]'
	put a.json '{"prompt":"what time?",'"$tools"'}'
	is "$(answer a)" ''
	is "$(jq -c 'map([.id,.function.name,(.function.arguments|fromjson|.tz)])' "$R/a/tool_calls.json")" \
		'[["call00000","now","CET"],["call00001","now","UTC"]]'
	is "$(jq -r '.samples[0].finish_reason' "$R/a/response.json")" tool_calls
	is "$(body '.tools[0].function | keys | tojson')" '["name","parameters"]'
	jq -c --argjson t "{$tools}" '.samples[0] | {tools: $t.tools, messages: [{role: "user", content: "what time?"},
		{role: "assistant", content: .text, tool_calls}, {role: "tool", tool_call_id: "call00000", content: "12:00"},
		{role: "tool", tool_call_id: "call00001", content: "11:00"}]}' "$R/a/response.json" >"$W/b.json"
	cp "$W/b.json" "$P/b.json"
	is "$(answer b)" 'It is noon.'
	is "$(body '.messages[1].tool_calls | map(.function.arguments.tz) | tojson')" '["CET","UTC"]'
	is "$(body '.messages[2:] | map([.tool_name, .content]) | tojson')" '[["now","12:00"],["now","11:00"]]'
}

@test "vectors" {
	mount_inferfs "$(config)"
	put e.json '{"input":["one","two words"],"dimensions":4,"model":"o/echo-embed"}'
	wait_status e 'done'
	is "$(path) $(body '[.input, .dimensions, has("stream")] | tojson')" '/ollama/api/embed [["one","two words"],4,false]'
	is "$(jq -c '[.model,.dimensions,(.data|map(length))]' "$R/e/embedding.json")" '["echo-embed",4,[4,4]]'
	is "$(jq -c '[.embeddings[][]]' "$R/e/samples/0/raw.json")" "$(jq -c '[.data[][]]' "$R/e/embedding.json")"
	is "$(jq -r .usage.input_tokens "$R/e/response.json")" 3
}
