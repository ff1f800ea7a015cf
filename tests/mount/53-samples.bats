# many different answers to one prompt: samples, namespaces that replay them, requests that share a call
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
	provider_script '[{"number":true}]'
}
teardown() { finish_test; }

merging() { # MS: the mount waits so long for equal requests
	mount_inferfs "$(provider_config)"$'\n[merge]\nwindow_ms = '"$1"
}
ask_n() { # STEM N [MORE MEMBERS]
	fop put "$P/$1.json" "{\"prompt\":\"q\",\"n\":$2${3:+,$3}}"
}
ask_ns() { # STEM NAMESPACE N
	ask_n "$1" "$3" "\"namespace\":\"$2\""
}
# the numbers of the samples that a request has, in order: "0 1"
numbers() { # STEM...
	local s

	for s; do
		timeout $((30 * SLOW)) cat "$R/$s/response.json" |
			jq -r '[.samples[].text | ltrimstr("sample #")] | join(" ")'
	done
}
indices() { # STEM
	jq -c '[.samples[].index]' "$R/$1/response.json"
}
calls_with() { provider_requests '[.requests[].body | fromjson | .n // 1] | sort | map(tostring) | join(" ")'; }
exact() { # the counters of the contract agree
	jq -e '.samples == .samples_cached + .samples_fresh and
		.samples_duplicated <= .samples_fresh - .calls' "$M/stats/summary.json" >/dev/null ||
		{ cat "$M/stats/summary.json"; return 1; }
}

@test "n = 3: one call, three directories, and the same three again for nothing" {
	mount_inferfs
	ask_n a 3
	is "$(numbers a)" "0 1 2"
	is "$(cd "$R/a/samples" && echo *)" "0 1 2"
	is "$(cat "$R"/a/samples/*/text | xargs)" "sample #0 sample #1 sample #2"
	is "$(cat "$R/a/text")" "sample #0"
	is "$(calls_with)" 3
	is "$(jq -c '[.samples[] | [.cached, .duplicated]]' "$R/a/response.json")" \
		"[[false,false],[false,true],[false,true]]"
	is "$(jq -c '[.call.samples]' "$R/a/samples/1/meta.json")" "[3]"
	ask_n b 3
	is "$(numbers b)" "0 1 2"
	is "$(jq -c '[.samples[] | .cached] | unique' "$R/b/response.json")" "[true]"
	is "$(getfattr -n user.inferfs.cached --only-values "$R/b")" true
	ask_n c 5
	is "$(numbers c)" "0 1 2 3 4"
	is "$(calls_with)" "2 3"
	ask_n d 1
	is "$(numbers d)" 0
	is "$(provider_count)" 2
	is "$(cd "$M"/cache/*/*/samples && echo *)" "0 1 2 3 4"
	exact
	is "$(summary samples) $(summary samples_fresh) $(summary samples_duplicated)" "12 5 3"
}

@test "raw.json of each sample has its own choice only" {
	mount_inferfs
	ask_n a 2
	numbers a
	is "$(jq -r '.choices[]?.index' "$R/a/samples/0/raw.json" | sort -u)" 0
	is "$(jq -r '.choices[]?.index' "$R/a/samples/1/raw.json" | sort -u)" 1
}

@test "the usage of a call is divided so that sums are exact" {
	provider_script '[{"number":true,"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17}}]'
	mount_inferfs
	ask_n a 3
	numbers a
	is "$(jq -c '[.usage.input_tokens, .usage.output_tokens]' "$R/a/response.json")" "[10,7]"
	is "$(cat "$R"/a/samples/*/meta.json | jq -c '[.usage.input_tokens, .usage.output_tokens]' | xargs)" \
		"[10,3] [0,2] [0,2]"
	is "$(summary tokens_input) $(summary tokens_output)" "10 7"
}

@test "namespaces: every sample once inside one, the same ones in another, bought when there are no more" {
	mount_inferfs
	ask_ns a ns1 2
	is "$(numbers a)" "0 1"
	is "$(provider_count)" 1
	ask_ns b ns2 2
	is "$(numbers b)" "0 1"
	is "$(provider_count)" 1
	ask_ns c ns1 1
	is "$(numbers c)" 2
	is "$(calls_with)" "1 2"
	ask_ns d ns2 3
	is "$(numbers d)" "2 3 4"
	is "$(indices d)" "[2,3,4]"
	is "$(calls_with)" "1 2 2"
	exact
	is "$(jq -c '[.samples, .bought, .reused]' "$M/namespaces/ns1/usage.json")" "[3,3,0]"
	is "$(jq -c '[.samples, .bought, .reused]' "$M/namespaces/ns2/usage.json")" "[5,2,3]"
}

@test "the same request_id gets the same samples: after its file was removed, after a remount, with a larger n" {
	mount_inferfs
	ask_ns a ns 2
	ask_ns b ns 2
	is "$(numbers a b | xargs)" "0 1 2 3"
	rm "$P/a.json" "$P/b.json"
	ask_ns b ns 2
	is "$(numbers b)" "2 3"
	umount_inferfs
	remount
	ask_ns a ns 2
	is "$(numbers a)" "0 1"
	ask_ns a ns 3
	is "$(numbers a)" "0 1 4"
	mv "$P/b.json" "$P/renamed.json"
	ask_ns renamed ns 3
	is "$(numbers renamed | cut -c1-3)" "2 3"
	ask_n own 2 '"namespace":"ns","request_id":"a"'
	is "$(numbers own)" "0 1"
}

@test "rm -r of a namespace forgets what it was handed out; responses elsewhere stay" {
	mount_inferfs
	ask_ns a exp 2
	is "$(numbers a)" "0 1" # before the other one comes, or both are one call
	fop put "$M/namespaces/exp/prompts/b.json" '{"prompt":"q"}'
	timeout 20 cat "$M/namespaces/exp/responses/b/text"
	is "$(jq .samples[0].index "$M/namespaces/exp/responses/b/response.json")" 2
	rm -r "$M/namespaces/exp"
	[ ! -e "$M/namespaces/exp" ]
	is "$(numbers a)" "0 1"
	ask_ns c exp 1
	is "$(numbers c)" 0
	is "$(ls "$M/namespaces")" exp
	is "$(jq -c '[.requests, .samples, .bought]' "$M/namespaces/exp/usage.json")" "[1,1,0]"
	is "$(provider_count)" 2
}

@test "three namespaces at once want one sample each of a key: one call" {
	merging 500
	for i in 1 2 3; do
		ask_ns "s$i" "ns$i" 1
	done
	is "$(numbers s1 s2 s3 | xargs)" "0 0 0"
	is "$(provider_count)" 1
	is "$(jq -r '.samples[0].cached' "$R"/s*/response.json | sort | uniq -c | xargs)" "1 false 2 true"
}

@test "2, 3 and 1 samples together: one call with 6 in a namespace, one with 3 without" {
	merging 500
	ask_ns s1 ns 2
	ask_ns s3 ns 1
	ask_ns s2 ns 3
	is "$(numbers s1 s2 s3)" $'0 1\n2 3 4\n5'
	is "$(calls_with)" 6
	fop put "$P/t1.json" '{"prompt":"other","n":2}'
	fop put "$P/t2.json" '{"prompt":"other","n":3}'
	fop put "$P/t3.json" '{"prompt":"other"}'
	is "$(numbers t1 t2 t3)" $'6 7\n6 7 8\n6'
	is "$(calls_with)" "3 6"
	exact
}

@test "given out in the natural order of request ids, whatever the order of arrival" {
	merging 700
	for i in 10 9 2 1 11; do
		ask_ns "q$i" ns 1
	done
	is "$(numbers q1 q2 q9 q10 q11 | xargs)" "0 1 2 3 4"
	is "$(calls_with)" 5
}

@test "a request alone does not wait for others longer than the window; a hit not at all" {
	merging 300
	local start

	start=$(now_ms)
	ask_n a 2
	is "$(numbers a)" "0 1"
	[ $(($(now_ms) - start)) -ge 250 ]
	start=$(now_ms)
	ask_n b 2
	is "$(numbers b)" "0 1"
	[ $(($(now_ms) - start)) -lt 250 ]
}

@test "40 requests of a namespace: full calls, several of them in flight" {
	mount_inferfs "$(provider_config)"$'\n[merge]\nsize = 16\nwindow_ms = 1000'
	provider_script '[{"number":true,"barrier":"hold"}]'
	for i in $(seq 40); do
		ask_ns "q$i" ns 1
	done
	provider_waiting hold 3
	provider_release hold
	is "$(numbers $(seq -f 'q%g' 40) | sort -n | xargs)" "$(seq 0 39 | xargs)"
	is "$(calls_with)" "8 16 16"
	exact
}

@test "a provider that gives one of three: topped up until all are there" {
	provider_script '[{"number":true,"choices_max":1}]'
	mount_inferfs
	ask_n a 3
	is "$(numbers a)" "0 1 2"
	exact
}

@test "one choice fails: the others are kept, and one more is bought" {
	provider_script '[{"number":true,"times":1,"finish_reasons":[null,"error",null]},{"number":true}]'
	mount_inferfs
	ask_n a 3
	is "$(numbers a | tr ' ' '\n' | wc -l)" 3
	is "$(calls_with)" "1 3"
	exact
}

@test "a member is cancelled in mid-flight: the others get theirs" {
	merging 500
	provider_script '[{"number":true,"barrier":"hold"}]'
	ask_ns q1 ns 2
	ask_ns q2 ns 2
	ask_ns q3 ns 2
	provider_waiting hold 1
	echo cancel >"$R/q2/ctl"
	wait_status q2 cancelled
	provider_release hold
	is "$(numbers q1 q3)" $'0 1\n4 5'
	is "$(provider_count)" 1
	exact
	ask_ns q4 ns 2
	is "$(numbers q4)" "2 3"
	is "$(provider_count)" 1
}

@test "a backend without n: calls side by side" {
	mount_inferfs "[inferfs]
model = a/claude-haiku-4-5
[backend a]
type = anthropic
url = http://127.0.0.1:$PORT/anthropic
key_env = TEST_KEY
price = free"
	provider_hold
	ask_n a 4
	provider_waiting hold 4
	provider_release hold
	is "$(timeout 20 cat "$R/a/response.json" | jq '.samples | length')" 4
	is "$(provider_count)" 4
	is "$(jq -c '[.samples[].duplicated] | unique' "$R/a/response.json")" "[false]"
	exact
}

@test "n = 1000: as few calls as the provider takes" {
	mount_inferfs
	ask_n a 1000
	is "$(timeout $((50 * SLOW)) cat "$R/a/response.json" | jq '[.samples[].text] | unique | length')" 1000
	is "$(ls "$R/a/samples" | wc -l)" 1000
	is "$(cat "$R/a/samples/999/text")" "$(jq -r '.samples[999].text' "$R/a/response.json")"
	is "$(calls_with)" "104 128 128 128 128 128 128 128"
	exact
}

@test "modes: only never sends, bypass shares nothing, refresh replaces what is stored" {
	mount_inferfs
	ask_n a 2
	is "$(numbers a)" "0 1"
	ask_n b 2 '"cache":"only"'
	is "$(numbers b)" "0 1"
	fop put "$P/c.json" '{"prompt":"q","n":3,"cache":"only"}'
	wait_status c failed
	is "$(jq -r .errno "$R/c/error.json")" ENODATA
	ask_n d 2 '"cache":"bypass"'
	is "$(numbers d)" "2 3"
	ask_n e 2
	is "$(numbers e)" "0 1"
	ask_n f 2 '"cache":"refresh"'
	is "$(numbers f)" "4 5"
	ask_n g 2
	is "$(numbers g)" "4 5"
	is "$(numbers a)" "0 1"
	ask_n h 1 '"cache":"only","namespace":"x"'
	is "$(numbers h)" 4
	ask_n i 3 '"cache":"only","namespace":"x"'
	wait_status i failed
	is "$(jq -r .errno "$R/i/error.json")" ENODATA
}

@test "ask hands out no samples and says so" {
	mount_inferfs
	run "$TOOLS/errnoof" ask "$M/ask" '{"prompt":"q","n":2}'
	like "$output" EOPNOTSUPP
}
