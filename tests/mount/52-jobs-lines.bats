#!/usr/bin/env bats
# What a line of a .jsonl may ask for: samples, namespaces, defaults, other models, cache modes, images.
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses N=$M/namespaces
}
teardown() { finish_test; }

job() { # NAME: standard input becomes a job
	mkdir -p "$(dirname "$P/$1")"
	cat >"$W/in" && cp "$W/in" "$P/$1.jsonl"
}
names() { (cd "$1" && echo *); } # DIRECTORY
output() { timeout $((30 * SLOW)) cat "$R/$1/output.jsonl"; } # NAME, waiting for its end
# ID: TEXT, TEXT ... or the errno, a line each
texts() { output "$1" | jq -r '.custom_id + ": " + (.error.errno // ([.response.samples[].text] | join(", ")))'; }
usage_of() { jq -c "$2" "$R/$1/usage.json"; } # NAME FILTER
bodies() { provider_requests "[.requests[] | select(.method == \"POST\") | .body | fromjson | $1] | sort | tojson"; }

@test "a line without a custom_id is known by its number, blank lines counted" {
	mount_inferfs
	printf '%s\n' '{"prompt":"one"}' '' '   ' '{"prompt":"four"}' '{"custom_id":"x","prompt":"five"}' '' \
		'{"prompt":"seven"}' | job j
	is "$(texts j)" $'1: echo: one\n4: echo: four\nx: echo: five\n7: echo: seven'
	is "$(names "$R/j/items")" '1 4 7 x'
	is "$(jq -r .request_id "$R/j/items/4/response.json")" j/4
}

@test "the last line needs no newline, and lines may end as Windows ends them" {
	mount_inferfs
	printf '{"custom_id":"a","prompt":"one"}\r\n\r\n{"custom_id":"b","prompt":"two"}' | job j
	is "$(texts j)" $'a: echo: one\nb: echo: two'
	is "$(usage_of j '[.total,.done,.failed]')" '[2,2,0]'
}

@test "names that a directory cannot have are escaped below items/, and nowhere else" {
	mount_inferfs
	printf '%s\n' '{"custom_id":"a/b","prompt":"1"}' '{"custom_id":"..","prompt":"2"}' '{"custom_id":"50%","prompt":"3"}' \
		'{"custom_id":"tab\there","prompt":"4"}' '{"custom_id":"a b","prompt":"5"}' | job j
	is "$(output j | jq -c .custom_id | xargs -d '\n')" '"a/b" ".." "50%" "tab\there" "a b"'
	is "$(cat "$R/j/items/a%2Fb/text")" 'echo: 1'
	is "$(cat "$R/j/items/%2E./text")" 'echo: 2'
	is "$(cat "$R/j/items/50%25/text")" 'echo: 3'
	is "$(cat "$R/j/items/tab%09here/text")" 'echo: 4'
	is "$(cat "$R/j/items/a b/text")" 'echo: 5'
}

@test "n: a line with three samples has them all in its result, and in its directory" {
	provider_script '[{"number":true}]'
	mount_inferfs
	printf '%s\n' '{"custom_id":"a","prompt":"q","n":3}' '{"custom_id":"b","prompt":"other"}' | job j
	is "$(output j | jq -c '[.custom_id,(.response.samples|length),([.response.samples[].text]|unique|length)]' | xargs -d '\n')" \
		'["a",3,3] ["b",1,1]'
	is "$(names "$R/j/items/a/samples")" '0 1 2'
	is "$(usage_of j '[.total,.done,.samples,.bought]')" '[2,2,4,4]'
	is "$(bodies '.n // 1')" '[1,3]'
}

@test "equal lines share one sample; in a namespace each line has its own" {
	provider_script '[{"number":true}]'
	mount_inferfs
	for i in 1 2 3; do echo "{\"custom_id\":\"a$i\",\"prompt\":\"q\"}"; done | job plain
	is "$(output plain | jq -r '.response.samples[0].text' | sort -u | wc -l)" 1
	is "$(usage_of plain '[.samples,.bought]')" '[3,1]'
	for i in 1 2 3; do echo "{\"custom_id\":\"a$i\",\"prompt\":\"q\",\"namespace\":\"exp\"}"; done | job spread
	is "$(output spread | jq -r '.response.samples[0].text' | sort -u | wc -l)" 3
	is "$(usage_of spread '[.samples,.bought,.reused]')" '[3,2,1]'
	is "$(jq -c '[.samples,.bought,.reused]' "$N/exp/usage.json")" '[3,2,1]'
}

@test "a job inside namespaces/NAME/ is the same; another namespace replays it for nothing" {
	local calls

	provider_script '[{"number":true}]'
	mount_inferfs
	mkdir "$N/one" "$N/two"
	for i in 1 2 3 4; do echo "{\"custom_id\":\"a$i\",\"prompt\":\"q\"}"; done >"$W/in"
	cp "$W/in" "$N/one/prompts/j.jsonl"
	timeout 20 cat "$N/one/responses/j/output.jsonl" | jq -r '.response.samples[0].text' >"$W/one"
	is "$(sort -u "$W/one" | wc -l)" 4
	[ ! -e "$R/j" ]
	calls=$(provider_count)
	cp "$W/in" "$N/two/prompts/j.jsonl"
	timeout 20 cat "$N/two/responses/j/output.jsonl" | jq -r '.response.samples[0].text' >"$W/two"
	is "$(sort "$W/two")" "$(sort "$W/one")"
	is "$(provider_count)" "$calls"
	is "$(jq -c '[.samples,.bought,.reused]' "$N/two/usage.json")" '[4,0,4]'
}

@test ".defaults.json holds for lines: the line wins, null takes a default away" {
	mount_inferfs
	mkdir "$P/d"
	echo '{"model":"p/large","system":"Be brief.","temperature":0.5}' >"$P/d/.defaults.json"
	printf '%s\n' '{"custom_id":"a","prompt":"one"}' '{"custom_id":"b","prompt":"two","model":"p/small","temperature":0.25}' \
		'{"custom_id":"c","prompt":"three","system":null}' \
		'{"custom_id":"w","body":{"messages":[{"role":"user","content":"four"}]}}' | job d/j
	is "$(texts d/j | cut -d: -f2- | xargs)" 'echo: one echo: two echo: three echo: four'
	is "$(bodies '[.messages[-1].content,.model,.temperature,.messages[0].role]')" \
		'[["four","large",0.5,"system"],["one","large",0.5,"system"],["three","large",0.5,"user"],["two","small",0.25,"system"]]'
}

@test "a namespace in .defaults.json spreads the lines of every job below" {
	provider_script '[{"number":true}]'
	mount_inferfs
	mkdir "$P/d"
	echo '{"namespace":"exp"}' >"$P/d/.defaults.json"
	for i in 1 2 3; do echo "{\"custom_id\":\"a$i\",\"prompt\":\"q\"}"; done | job d/j
	is "$(output d/j | jq -r '.response.samples[0].text' | sort -u | wc -l)" 3
	echo '{"custom_id":"out","prompt":"q","namespace":null}' | job d/k
	is "$(usage_of d/k '[.samples,.bought]')" '[1,0]'
	is "$(jq -r .samples "$N/exp/usage.json")" 3
}

@test "fallback: a line whose model fails is answered by the next, its neighbours by their own" {
	provider_script '[{"path":"/v1/chat","match":"small","status":500}]'
	mount_inferfs "$(provider_config 'retries = 0')"
	printf '%s\n' '{"custom_id":"a","prompt":"one","fallback":["m/large"]}' '{"custom_id":"b","prompt":"two","model":"p/other"}' \
		'{"custom_id":"c","prompt":"three"}' | job j
	is "$(texts j)" $'a: echo: one\nb: echo: two\nc: EREMOTEIO'
	is "$(output j | jq -c '[.custom_id,.response.backend,.response.route]' | head -n 1)" '["a","m","fallback"]'
	is "$(getfattr -n user.inferfs.model --only-values "$R/j/items/a")" large
	is "$(status_of j)" done
	is "$(wc -l <"$R/j/errors.jsonl")" 1
}

@test "cache modes, line by line" {
	provider_script '[{"number":true}]'
	mount_inferfs
	echo '{"custom_id":"a","prompt":"q"}' | job warm
	is "$(output warm | jq -r .error)" null
	printf '%s\n' '{"custom_id":"hit","prompt":"q"}' '{"custom_id":"only","prompt":"q","cache":"only"}' \
		'{"custom_id":"never","prompt":"unknown","cache":"only"}' '{"custom_id":"bypass","prompt":"q","cache":"bypass"}' | job j
	is "$(output j | jq -c '[.custom_id,(.error.errno // .response.samples[0].cached)]' | xargs -d '\n')" \
		'["hit",true] ["only",true] ["never","ENODATA"] ["bypass",false]'
	is "$(provider_count)" 2
	echo '{"custom_id":"new","prompt":"q","cache":"refresh"}' | job fresh
	is "$(output fresh | jq -r '.response.samples[0].cached')" false
	echo '{"custom_id":"a","prompt":"q"}' | job later
	is "$(output later | jq -r '.response.samples[0].text')" "$(output fresh | jq -r '.response.samples[0].text')"
	is "$(provider_count)" 3
}

@test "images: beside the file, in a directory below, and none where there is none" {
	local png=iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==

	mount_inferfs
	mkdir -p "$P/d/pictures"
	base64 -d <<<"$png" >"$P/d/pictures/dot.png"
	echo '<svg/>' >"$P/d/no.png"
	printf '%s\n' '{"custom_id":"yes","prompt":"see","images":["pictures/dot.png"]}' \
		'{"custom_id":"gone","prompt":"see","images":["pictures/gone.png"]}' \
		'{"custom_id":"kind","prompt":"see","images":["no.png"]}' \
		'{"custom_id":"out","prompt":"see","images":["../../../../etc/passwd"]}' \
		'{"custom_id":"bare","prompt":"no picture"}' | job d/j
	is "$(output d/j | jq -c '[.custom_id,.error.errno]' | xargs -d '\n')" \
		'["yes",null] ["gone","EINVAL"] ["kind","EINVAL"] ["out","EINVAL"] ["bare",null]'
	is "$(jq -c .error.line "$R/d/j/errors.jsonl" | xargs)" '2 3 4'
	is "$(provider_requests '.requests[].body' | grep -c "$png")" 1
	unlike "$(cat "$R/d/j/errors.jsonl")" 'root:'
}

@test "the same job at the five providers: one file, five models" {
	local t config=$'[inferfs]\nmodel = openai/small'

	for t in openai mistral gemini anthropic ollama; do
		config+=$'\n'$(printf '%s\n' "[backend $t]" "type = $t" 'price = free' 'key_env = TEST_KEY' \
			"url = http://127.0.0.1:$PORT$([ $t = openai ] && echo /v1 || echo /$t)")
	done
	mount_inferfs "$config"
	for t in openai mistral gemini anthropic ollama; do
		echo "{\"custom_id\":\"$t\",\"model\":\"$t/small\",\"prompt\":\"hello\",\"n\":2,\"namespace\":\"exp\"}"
	done | job j
	is "$(output j | jq -c '[.custom_id,.response.backend,(.response.samples|length),.error]' | xargs -d '\n')" \
		'["openai","openai",2,null] ["mistral","mistral",2,null] ["gemini","gemini",2,null] ["anthropic","anthropic",2,null] ["ollama","ollama",2,null]'
	is "$(jq -c '[.requests,.samples,.bought]' "$N/exp/usage.json")" '[5,10,10]'
	is "$(provider_count)" 7
}
