#!/usr/bin/env bats
# Requests that share a call: what happens to one of them harms no other, none hangs, and the counters stay exact.
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
	provider_script '[{"number":true}]'
}
teardown() { finish_test; }

merging() { # the mount waits half a second for equal requests
	mount_inferfs "$(provider_config)"$'\n[merge]\nwindow_ms = 500'
}
ask_ns() { # STEM N [MEMBERS]: in a namespace, where each has samples of its own
	fop put "$P/$1.json" "{\"prompt\":\"q\",\"n\":$2,\"namespace\":\"ns\"${3:+,$3}}" >/dev/null
}
numbers() { # STEM...: of the samples that each has, a line a request
	local s

	for s; do
		timeout $((30 * SLOW)) cat "$R/$s/response.json" |
			jq -r '[.samples[].text | ltrimstr("sample #")] | join(" ")'
	done
}
calls_with() { provider_requests '[.requests[].body | fromjson | .n // 1] | sort | map(tostring) | join(" ")'; }
statuses() { [ "$(cat "$R"/q?/status | sort | uniq -c | xargs)" = "$1" ]; } # "N WORD..."
errno_of() { jq -r .errno "$R/$1/error.json"; } # STEM
# samples, cached, fresh, duplicated, calls of the mount, and what the contract says of them
counters() { # WANTED
	is "$(jq -c '[.samples,.samples_cached,.samples_fresh,.samples_duplicated,.calls]' "$M/stats/summary.json")" "$1" counters
	jq -e '.samples == .samples_cached + .samples_fresh and .samples_duplicated <= .samples_fresh - .calls
		and .in_flight == 0 and .queued == 0' "$M/stats/summary.json" >/dev/null
}
namespace() { # WANTED: requests, samples, bought, reused, duplicated
	is "$(jq -c '[.requests,.samples,.bought,.reused,.duplicated]' "$M/namespaces/ns/usage.json")" "$1" namespace
}
# what the requests' own usage.json say, summed: tokens in and out; what was booked is the mount's sum
tokens_are_booked() { # STEM...
	local s

	is "$(for s; do cat "$R/$s/usage.json"; done | jq -sc '[([.[].usage.input_tokens]|add),([.[].usage.output_tokens]|add)]')" \
		"$(jq -c '[.tokens_input,.tokens_output]' "$M/stats/summary.json")" tokens
}

@test "one has little time: it fails in its time, the others get theirs, and its samples are not lost" {
	merging
	provider_script '[{"number":true,"barrier":"hold"}]'
	ask_ns q1 1
	ask_ns q2 2 "\"timeout\":$((2 * SLOW))"
	ask_ns q3 3
	provider_waiting hold 1
	wait_status q2 failed
	is "$(errno_of q2)" ETIMEDOUT
	is "$(status_of q1) $(status_of q3)" 'running running'
	provider_release hold
	is "$(numbers q1 q3)" $'0\n3 4 5'
	counters '[6,0,6,5,1]'
	namespace '[2,4,4,0,3]'
	ask_ns q4 2
	is "$(numbers q4)" '1 2'
	counters '[8,2,6,5,1]'
	namespace '[3,6,4,2,3]'
	is "$(calls_with)" 6
}

@test "one's choice fails: the others are done before it is asked again, alone" {
	merging
	provider_script '[{"number":true,"times":1,"finish_reasons":[null,"error",null]},{"number":true,"barrier":"again"}]'
	ask_ns q1 1
	ask_ns q2 1
	ask_ns q3 1
	provider_waiting again 1
	until_true 10 statuses '2 done 1 running'
	provider_release again
	is "$(numbers q1 q2 q3 | sort | xargs)" '0 2 3'
	is "$(calls_with)" '1 3'
	counters '[3,0,3,1,2]'
	namespace '[3,3,3,0,1]'
}

@test "one's answer is empty, one's is refused, one's is cut: each has its own, and none is asked again" {
	merging
	provider_script '[{"choices":["whole","","no","cut"],"finish_reasons":["stop","stop","content_filter","length"]}]'
	for i in 1 2 3 4; do
		ask_ns q$i 1
	done
	is "$(numbers q1 q2 q3 q4)" $'whole\n\nno\ncut'
	is "$(jq -r '.samples[0].finish_reason' "$R"/q?/response.json | xargs)" 'stop stop content_filter length'
	is "$(stat -c %s "$R/q2/text")" 0
	is "$(calls_with)" 4
	counters '[4,0,4,3,1]'
	namespace '[4,4,4,0,3]'
	tokens_are_booked q1 q2 q3 q4
}

@test "one of three comes: the first is done, the others are bought, each once" {
	merging
	provider_script '[{"number":true,"choices_max":1,"times":1},{"number":true,"choices_max":1,"barrier":"hold"}]'
	ask_ns q1 1
	ask_ns q2 1
	ask_ns q3 1
	provider_waiting hold 1
	is "$(numbers q1)" 0
	is "$(status_of q2) $(status_of q3)" 'running running'
	provider_release hold
	is "$(numbers q2 q3 | xargs)" '1 2'
	is "$(calls_with)" '1 1 3' # it is known by then what comes
	counters '[3,0,3,0,3]'
	namespace '[3,3,3,0,0]'
	tokens_are_booked q1 q2 q3
}

@test "an answer without choices: all fail soon, and a request for something else does not notice" {
	merging
	provider_script '[{"match":"other","number":true},{"body":{"object":"chat.completion","choices":[]},"content_type":"application/json"}]'
	ask_ns q1 1
	ask_ns q2 2
	fop put "$P/other.json" '{"prompt":"other","n":2}'
	wait_status q1 failed
	wait_status q2 failed
	is "$(errno_of q1) $(errno_of q2)" 'EBADMSG EBADMSG'
	is "$(numbers other)" '0 1'
	is "$(provider_count)" 2
	counters '[2,0,2,1,1]'
}

@test "whoever is cancelled, the first, the last or all but one: the others get theirs" {
	local gone left

	merging
	for gone in 'q1' 'q4' 'q1 q2 q3' 'q2 q4'; do
		rm -f "$P"/q*.json
		[ ! -e "$M/namespaces/ns" ] || rm -r "$M/namespaces/ns"
		[ "$(stored_objects)" = 0 ] || rm -r "$M"/cache/*
		provider_reset
		provider_script '[{"number":true,"barrier":"hold"}]'
		for i in 1 2 3 4; do
			ask_ns q$i $i
		done
		provider_waiting hold 1
		for i in $gone; do
			echo cancel >"$R/$i/ctl"
			wait_status "$i" cancelled
		done
		provider_release hold
		left=$(for i in q1 q2 q3 q4; do [[ " $gone " == *" $i "* ]] || echo $i; done)
		for i in $left; do
			is "$(numbers $i | wc -w)" "${i#q}" "$gone: $i"
		done
		is "$(numbers $left | tr ' ' '\n' | sort | uniq -d)" '' "$gone: nobody has another's"
		is "$(calls_with)" 10 "$gone"
	done
	counters '[40,0,40,36,4]'
}

@test "the call fails: all of its members do, and another key's do not; retry asks for all of them again" {
	merging
	provider_script '[{"match":"\"q\"","status":403,"times":1},{"number":true}]'
	ask_ns q1 1
	ask_ns q2 2
	fop put "$P/other.json" '{"prompt":"other","n":2}'
	is "$(numbers other)" '0 1'
	wait_status q1 failed
	wait_status q2 failed
	is "$(errno_of q1) $(errno_of q2)" 'EKEYREJECTED EKEYREJECTED'
	counters '[2,0,2,1,1]'
	echo retry >"$R/q1/ctl"
	echo retry >"$R/q2/ctl"
	is "$(numbers q1 q2 | wc -w)" 3
	is "$(calls_with)" '2 3 3'
	counters '[5,0,5,3,2]'
	namespace '[2,3,3,0,2]'
}

@test "calls side by side: the one that fails costs its own request only" {
	mount_inferfs "[inferfs]
model = a/claude-haiku-4-5
[merge]
window_ms = 500
[backend a]
type = anthropic
url = http://127.0.0.1:$PORT/anthropic
key_env = TEST_KEY
price = free"
	provider_script '[{"times":1,"status":400},{"barrier":"hold"}]'
	for i in 1 2 3; do
		ask_ns q$i 1
	done
	provider_waiting hold 2
	until_true 10 statuses '1 failed 2 running'
	provider_release hold
	until_true 10 statuses '2 done 1 failed'
	is "$(cat "$R"/q?/response.json 2>/dev/null | jq -r '.samples[0].text' | sort -u)" 'echo: q'
	is "$(provider_count)" 3
	counters '[2,0,2,0,2]'
}

@test "a thousand samples, and with them one, three, one that is cancelled and one whose time is over" {
	mount_inferfs "$(provider_config)"$'\n[merge]\nwindow_ms = 700'
	provider_script '[{"number":true,"barrier":"hold"}]'
	ask_ns one 1
	ask_ns gone 5 # cancelled
	ask_ns many 1000
	ask_ns late 7 "\"timeout\":$((3 * SLOW))"
	ask_ns three 3
	provider_waiting hold 10 # 6, then 1000 in eight, then 10
	echo cancel >"$R/gone/ctl"
	wait_status gone cancelled
	wait_status late failed
	is "$(errno_of late)" ETIMEDOUT
	provider_release hold
	is "$(numbers one three many | wc -w)" 1004
	is "$(numbers one three many | tr ' ' '\n' | sort | uniq -d)" '' "nobody has another's"
	is "$(ls "$R/many/samples" | wc -l)" 1000
	is "$(jq -r .samples_fresh "$M/stats/summary.json")" 1016
	is "$(provider_requests '[.requests[].body | fromjson | .n // 1] | add')" 1016
	is "$(jq -c '.samples_duplicated == .samples_fresh - .calls' "$M/stats/summary.json")" true
	namespace "[3,1004,1004,0,$((1004 - $(jq .calls "$M/namespaces/ns/usage.json")))]"
	is "$(jq .calls "$M/stats/summary.json")" "$(provider_count)"
	ask_ns after 12
	is "$(numbers one three many after | tr ' ' '\n' | sort -u | wc -l)" 1016
	is "$(jq -c '[.samples,.samples_cached,.samples_fresh]' "$M/stats/summary.json")" '[1028,12,1016]'
}
