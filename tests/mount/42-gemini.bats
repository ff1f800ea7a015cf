#!/usr/bin/env bats
# Gemini: what one writes is the same as anywhere else, what is sent is Google's.
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
	provider_key "$TEST_KEY"
}
teardown() { finish_test; }

gemini() { # mounts with Gemini at the provider
	mount_inferfs "$(printf '%s\n' "[inferfs]" "model = g/gemini-3.8-flash" \
		"[backend g]" "type = gemini" "url = http://127.0.0.1:$PORT/gemini" "price = free" "key_env = TEST_KEY" \
		"backoff_ms = 2" "backoff_max_ms = 10")"
}
put() { fop put "$P/$1" "$2"; }
body() { provider_requests ".requests[-1].body | fromjson | $1"; }
header() { provider_requests ".requests[-1].headers[\"$1\"]"; }
path() { provider_requests '.requests[-1].path'; }
error() { jq -r "$2" "$R/$1/error.json"; } # STEM FILTER

@test "text: the model is in the path, the key in a header of its own" {
	gemini
	echo 'hello big world' >"$P/a.txt"
	is "$(answer a)" 'echo: hello big world'
	is "$(path)" /gemini/v1beta/models/gemini-3.8-flash:streamGenerateContent
	is "$(header x-goog-api-key) $(header Authorization)" "$TEST_KEY null"
	is "$(body tojson)" '{"contents":[{"parts":[{"text":"hello big world"}],"role":"user"}]}'
	is "$(jq -r '[.model,.samples[0].finish_reason] | join(" ")' "$R/a/response.json")" 'gemini-3.8-flash stop'
	is "$(jq -c '[.usage.input_tokens,.usage.output_tokens,.usage.reasoning_tokens]' "$R/a/response.json")" '[3,4,0]'
	# the same question is not bought twice
	echo 'hello big world' >"$P/b.txt"
	is "$(answer b) $(provider_count)" 'echo: hello big world 1'
}

@test "a stream arrives word by word, also cut into single bytes with CRLF" {
	provider_script '[{"piece_barriers":{"1":"hold"},"split":"byte","crlf":true}]'
	gemini
	put a.json '{"prompt":"one two three"}'
	exec 5<"$R/a/stream"
	is "$(dd bs=100 count=1 status=none <&5)" 'echo:'
	provider_waiting hold
	provider_release hold
	is "$(cat <&5)" ' one two three'
	exec 5<&-
	is "$(answer a)" 'echo: one two three'
}

@test "a conversation: system texts aside, the model's turns are the model's" {
	gemini
	put a.json '{"temperature":0,"top_k":40,"max_tokens":99,"stop":["END"],"seed":7,"messages":[
		{"role":"system","content":"Be brief."},{"role":"user","content":"Who?"},{"role":"assistant","content":"Me."},
		{"role":"system","content":"Be kind."},{"role":"user","content":"Why?"},{"role":"user","content":"And how?"}]}'
	is "$(answer a)" 'echo: Why?And how?'
	is "$(body '.systemInstruction.parts | tojson')" '[{"text":"Be brief.\n\nBe kind."}]'
	is "$(body '.contents | map([.role,(.parts|map(.text)|join("|"))]) | tojson')" \
		'[["user","Who?"],["model","Me."],["user","Why?|And how?"]]'
	is "$(body '.generationConfig | tojson')" '{"maxOutputTokens":99,"seed":7,"stopSequences":["END"],"temperature":0,"topK":40}'
}

@test "a tool is called, its answer goes back, and so does the signature that the model wants to see again" {
	tools='"tools":[{"type":"function","function":{"name":"now","description":"the time","parameters":{"type":"object"}}}]'
	provider_script '[{"match":"what time","times":1,"reasoning":"look it up","tool_calls":[
		{"id":"call_1","name":"now","arguments":{"tz":"CET"}},{"id":"call_2","name":"now","arguments":{"tz":"UTC"}}]}]'
	gemini
	put a.json '{"prompt":"what time?",'"$tools"',"tool_choice":"required","reasoning_effort":"low"}'
	is "$(jq -c 'map([.id,.function.name,.function.arguments])' "$R/a/tool_calls.json")" \
		'[["call_1","now","{\"tz\":\"CET\"}"],["call_2","now","{\"tz\":\"UTC\"}"]]'
	is "$(cat "$R/a/reasoning")" 'look it up'
	is "$(jq -r '.samples[0].finish_reason' "$R/a/response.json")" tool_calls
	is "$(body '[.tools[0].functionDeclarations[0].name,.toolConfig.functionCallingConfig.mode,.generationConfig.thinkingConfig.thinkingLevel] | tojson')" \
		'["now","ANY","LOW"]'
	# the sample goes into the next request as it is; the results may come in any order
	jq -c --argjson tools "{$tools}" '$tools + {messages: [{role: "user", content: "what time?"},
		(.samples[0] | {role: "assistant", content: .text, tool_calls}),
		{role: "tool", tool_call_id: "call_2", content: "{\"time\":\"11:00\"}"},
		{role: "tool", tool_call_id: "call_1", content: "12:00"}]}' "$R/a/response.json" >"$P/b.json"
	is "$(answer b)" 'echo: what time?'
	is "$(body '.contents[1].parts[0].thoughtSignature')" \
		"$(jq -r '.[0].extra_content.google.thought_signature' "$R/a/tool_calls.json")"
	is "$(body '.contents[2].parts | map(.functionResponse | [.id,.name,.response]) | tojson')" \
		'[["call_1","now",{"output":"12:00"}],["call_2","now",{"time":"11:00"}]]'
}

@test "an image travels inside the request; an address is not fetched by anybody" {
	gemini
	base64 -d <<<iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg== >"$P/dot.png"
	put a.json '{"prompt":"what is it?","images":["dot.png"]}'
	is "$(answer a)" 'echo: what is it?'
	is "$(body '.contents[0].parts[1].inlineData | [.mimeType,.data[0:8]] | join(" ")')" 'image/png iVBORw0K'
	is "$(put b.json '{"messages":[{"role":"user","content":[{"type":"image","url":"https://host/i.png"}]}]}')" 'put EOPNOTSUPP'
	like "$(error b .message)" 'g cannot take `messages.image'
}

@test "JSON by a schema" {
	provider_script '[{"text":"{\"sky\":\"blue\"}"}]'
	gemini
	put a.json '{"prompt":"which?","response_format":{"type":"json_schema","json_schema":{"name":"c",
		"schema":{"type":"object","properties":{"sky":{"type":"string"}}}}}}'
	is "$(answer a | jq -r .sky)" blue
	is "$(body '.generationConfig | [.responseMimeType,.responseJsonSchema.properties.sky.type] | join(" ")')" 'application/json string'
}

@test "embeddings: one call for all texts, vectors of length 1" {
	gemini
	put e.json '{"model":"g/gemini-embedding-001","input":["red","blue"],"dimensions":3,"extra_body":{"taskType":"CLUSTERING"}}'
	is "$(jq -c '[.model,.dimensions,(.data|length),(.data|map(map(.*.)|add|.*1000|round))]' "$R/e/embedding.json")" \
		'["gemini-embedding-001",3,2,[1000,1000]]'
	is "$(path)" /gemini/v1beta/models/gemini-embedding-001:batchEmbedContents
	is "$(body '.requests[1] | [.model,.taskType,.outputDimensionality,.content.parts[0].text] | tojson')" \
		'["models/gemini-embedding-001","CLUSTERING",3,"blue"]'
	is "$(jq .usage.input_tokens "$R/e/response.json")" 2
}

@test "what cannot be said is EOPNOTSUPP at close and costs nothing; lossy leaves it out" {
	gemini
	is "$(put a.json '{"prompt":"x","min_p":0.1}')" 'put EOPNOTSUPP'
	is "$(error a .field)" min_p
	is "$(put b.json '{"prompt":"x","parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"f"}}]}')" 'put EOPNOTSUPP'
	is "$(put c.json '{"prompt":"x","stop":["1","2","3","4","5","6"]}')" 'put EOPNOTSUPP'
	is "$(put d.json '{"prompt":"x","reasoning_effort":"none"}')" 'put EOPNOTSUPP'
	is "$(provider_count)" 0
	umount_inferfs
	sed -i 's/^\[inferfs\]/&\nlossy = yes/' "$W/config.ini"
	remount
	put f.json '{"prompt":"x","min_p":0.1}'
	is "$(answer f)" 'echo: x'
	is "$(jq -c .dropped "$R/f/response.json")" '["min_p"]'
}

@test "failures: a bad key, a limit of the day, a limit of the minute, a broken stream, a blocked prompt" {
	provider_script '[
		{"match":"key","status":400,"body":{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}},
		{"match":"day","status":429,"body":{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED",
			"details":[{"violations":[{"quotaId":"RequestsPerDay-FreeTier"}]},{"retryDelay":"9s"}]}}},
		{"match":"minute","times":1,"status":429},
		{"match":"broken","times":1,"end_without_done":true},
		{"match":"blocked","body":{"promptFeedback":{"blockReason":"SAFETY"}}},
		{"match":"malformed","finish_reason":"MALFORMED_FUNCTION_CALL"}]'
	gemini
	for i in key day malformed missing; do
		put $i.json "{\"prompt\":\"$i\"$([ $i != missing ] || echo ',"model":"g/nope"')}"
		wait_status $i failed
	done
	is "$(error key .errno) $(error day .errno) $(error malformed .errno) $(error missing .errno)" 'EKEYREJECTED EDQUOT EREMOTEIO ENXIO'
	like "$(error key .message)" 'TEST_KEY|key'
	like "$(error malformed .message)" 'MALFORMED_FUNCTION_CALL'
	put minute.json '{"prompt":"minute"}'
	is "$(answer minute) $(jq .attempts "$R/minute/response.json")" 'echo: minute 2'
	put broken.json '{"prompt":"broken"}'
	is "$(answer broken) $(jq .attempts "$R/broken/response.json")" 'echo: broken 2'
	put blocked.json '{"prompt":"blocked"}'
	is "$(answer blocked)" 'The prompt was blocked: SAFETY'
	is "$(jq -r '.samples[0].finish_reason' "$R/blocked/response.json")" content_filter
}

@test "without a key the request says which variable to set" {
	mount_inferfs $'[inferfs]\nmodel = gemini/gemini-3.8-flash'
	is "$(put a.json '{"prompt":"x"}')" 'put ENOKEY'
	like "$(error a .message)" 'GOOGLE_API_KEY'
}
