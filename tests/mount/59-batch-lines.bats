#!/usr/bin/env bats
# What a line of a .batch.jsonl may ask for, at the four providers that take batches.
load ../lib/helpers
load ../lib/sent
load ../lib/batches

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
	N=$M/namespaces
}
teardown() { finish_test; }

texts() { output "$1" | jq -r '.custom_id + ": " + (.error.errno // ([.response.samples[].text] | join(", ")))'; }

@test "n and namespaces: each line of a namespace gets samples of its own" {
	local t

	provider_script '[{"number":true}]'
	mount_batches
	for t in $ALL; do
		printf '{"custom_id":"a%s","model":"'"$t"'/small","prompt":"q","n":%s,"namespace":"'"$t"'"}\n' 1 2 2 1 | job "$t"
		is "$(output "$t" | jq -r '.response.samples[].text' | sort -u | wc -l)" 3 "$t"
		is "$(output "$t" | jq -c '[.custom_id,(.response.samples|length)]' | paste -sd' ')" '["a1",2] ["a2",1]' "$t"
		is "$(usage_of "$t" '[.samples,.bought,.reused]')" '[3,3,0]' "$t"
		is "$(jq -c '[.samples,.bought,.reused]' "$N/$t/usage.json")" '[3,3,0]' "$t"
	done
	is "$(creations)" 4
}

@test "another namespace replays a batch's samples: no batch is made, and none by a .jsonl either" {
	local t

	provider_script '[{"number":true}]'
	mount_batches
	for t in $ALL; do
		printf '{"custom_id":"a%s","model":"'"$t"'/small","prompt":"q","namespace":"one"}\n' 1 2 3 >"$W/one"
		job "$t" <"$W/one"
		output "$t" | jq -r '.response.samples[0].text' | sort >"$W/first"
		sed s/one/two/ "$W/one" | job "$t-two"
		is "$(output "$t-two" | jq -r '.response.samples[0].text' | sort)" "$(cat "$W/first")" "$t"
		is "$(usage_of "$t-two" '[.samples,.bought,.reused,.batches]')" '[3,0,3,[]]' "$t"
		sed s/one/three/ "$W/one" >"$P/$t-three.jsonl"
		is "$(output "$t-three" | jq -r '.response.samples[0].text' | sort)" "$(cat "$W/first")" "$t"
	done
	is "$(creations)" 4
	is "$(jq -c '[.samples,.bought]' "$N/one/usage.json" "$N/two/usage.json" "$N/three/usage.json" | paste -sd' ')" \
		'[12,12] [12,0] [12,0]'
}

@test ".defaults.json holds for the lines of a batch" {
	mount_batches
	mkdir "$P/d"
	echo '{"model":"mistral/large","namespace":"exp"}' >"$P/d/.defaults.json"
	printf '%s\n' '{"custom_id":"a","prompt":"one"}' '{"custom_id":"b","prompt":"two","model":"gemini/small"}' \
		'{"custom_id":"c","prompt":"three","namespace":null}' | job d/j
	is "$(texts d/j)" $'a: echo: one\nb: echo: two\nc: echo: three'
	is "$(output d/j | jq -r '[.response.backend,.response.namespace // "-"] | join(" ")' | paste -sd,)" \
		'mistral exp,gemini exp,mistral -'
	is "$(jq -r .samples "$N/exp/usage.json")" 2
}

@test "lines of four providers in one file are four batches, and one output in the file's order" {
	local t i

	mount_batches
	for i in 1 2 3; do
		for t in $ALL; do
			echo "{\"custom_id\":\"$t$i\",\"model\":\"$t/small\",\"prompt\":\"line $i\"}"
		done
	done | job j
	is "$(output j | jq -r .custom_id | paste -sd' ')" "$(jq -r .custom_id "$W/in" | paste -sd' ')"
	is "$(texts j | sed 's/.*: echo/echo/' | sort | uniq -c | xargs)" '4 echo: line 1 4 echo: line 2 4 echo: line 3'
	is "$(usage_of j '[.batches[].requests] | sort')" '[3,3,3,3]'
	is "$(creations)" 4
}

@test "cache modes: only sends nothing, what is stored is a hit, bypass is bought" {
	provider_script '[{"number":true}]'
	mount_batches
	echo '{"custom_id":"a","prompt":"q"}' | job warm
	is "$(output warm | jq -r .error)" null
	printf '%s\n' '{"custom_id":"hit","prompt":"q"}' '{"custom_id":"only","prompt":"q","cache":"only"}' \
		'{"custom_id":"never","prompt":"unknown","cache":"only"}' | job j
	is "$(output j | jq -c '[.custom_id,(.error.errno // .response.samples[0].cached)]' | paste -sd' ')" \
		'["hit",true] ["only",true] ["never","ENODATA"]'
	is "$(creations)" 1
	echo '{"custom_id":"bypass","prompt":"q","cache":"bypass"}' | job past
	is "$(output past | jq -c '.response.samples[0].cached')" false
	is "$(creations)" 2
}

@test "an image beside the file goes into the batch; one that is not there is its line's error" {
	local png=iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg== t

	mount_batches
	mkdir "$P/d"
	base64 -d <<<"$png" >"$P/d/dot.png"
	for t in $ALL; do
		printf '{"custom_id":"%s","model":"'"$t"'/small","prompt":"see","images":["%s.png"]}\n' yes dot no gone | job "d/$t"
		is "$(texts "d/$t")" $'yes: echo: see\nno: EINVAL' "$t"
		is "$(jq -r .error.line "$R/d/$t/errors.jsonl")" 2 "$t"
	done
}

@test "the provider refuses a line of the batch: its own error, at each of them" {
	local t

	provider_ctl batches -d '{"lines":[{"match":"bad word","as":"refused"}]}' >/dev/null
	mount_batches
	for t in $ALL; do
		printf '{"custom_id":"%s","model":"'"$t"'/small","prompt":"%s"}\n' a good b 'bad word' c fine | job "$t"
		is "$(texts "$t")" $'a: echo: good\nb: EINVAL\nc: echo: fine' "$t"
		is "$(status_of "$t")" done
		is "$(jq -r .error.backend "$R/$t/errors.jsonl")" "$t"
		is "$(jq -r '.error.provider_message | length > 0' "$R/$t/errors.jsonl")" true "$t: in its words"
		is "$(jq -c .provider_message "$R/$t/items/b/error.json")" "$(jq -c .error.provider_message "$R/$t/errors.jsonl")" "$t"
		like "$(cat "$R/$t/items/b/text" 2>&1)" 'Invalid argument$'
	done
}

@test "one line more than a batch takes: two batches, and after a kill only what is new goes into a third" {
	settings '{"hold":true}'
	mount_batches
	seq 50001 | sed 's/.*/{"prompt":"&"}/' | job j
	until_true 40 eval '[ "$(grep -c "taken by openai" "$LOG")" = 2 ]'
	is "$(there '[.batches[].requests]|sort')" '[1,50000]'
	kill9
	remount
	seq 50002 | sed 's/.*/{"prompt":"&"}/' | job j
	until_true 40 eval '[ "$(made_at openai)" -gt 2 ]'
	is "$(there '[.batches[].requests]|sort')" '[1,1,50000]'
	rm "$P/j.batch.jsonl"
	until_true 20 eval '[ "$(there "[.batches[].state]|unique")" = "[\"cancelling\"]" ]'
}
