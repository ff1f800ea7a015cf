#!/usr/bin/env bats
# Samples and namespaces at each of the five providers: what a person sees is the same, what is sent is not.
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses N=$M/namespaces
	provider_script '[{"number":true}]'
}
teardown() { finish_test; }

MANY='openai mistral gemini' # those that give several choices in one call
ALONE='anthropic ollama'     # those that give one
at() { # TYPE: where it is below the server's address
	[ "$1" = openai ] && echo /v1 || echo "/$1"
}
mount_all() { # [LINE]...: a backend for each type, called by it; the lines go into each
	local t config='[inferfs]'$'\nmodel = openai/small'

	for t in $MANY $ALONE; do
		config+=$'\n'$(printf '%s\n' "[backend $t]" "type = $t" "url = http://127.0.0.1:$PORT$(at "$t")" \
			'price = free' 'key_env = TEST_KEY' 'backoff_ms = 2' 'backoff_max_ms = 10' \
			'breaker_failures = 0' "$@")
	done
	mount_inferfs "$config"
}
put() { # STEM TYPE N [MEMBERS]
	fop put "$P/$1.json" "{\"model\":\"$2/small\",\"prompt\":\"a joke\",\"n\":$3${4:+,$4}}" >/dev/null
}
jokes() { # STEM...: the samples of each, a line a request
	local s

	for s; do
		timeout $((30 * SLOW)) cat "$R/$s/response.json" | jq -r '[.samples[].text | ltrimstr("sample #")] | join(" ")'
	done
}
# how many choices each call asked for, in the words of each provider
wanted() {
	provider_requests '[.requests[] | select(.method == "POST") | .body | fromjson
		| .n // .generationConfig.candidateCount // 1] | sort | map(tostring) | join(" ")'
}
different() { # "3 1 2": as many as there are words, no two the same
	is "$(tr ' ' '\n' <<<"$1" | sort -u | wc -l)" "$(wc -w <<<"$1")" "$1:"
}
names() { (cd "$1" && echo *); } # DIRECTORY
errno_of() { jq -r .errno "$R/$1/error.json"; } # STEM

@test "n = 3 is one call where the provider gives choices, and three calls where it does not" {
	local t

	mount_all
	for t in $MANY $ALONE; do
		provider_reset
		provider_script '[{"number":true}]'
		put "$t" "$t" 3
		different "$(jokes "$t")"
		is "$(names "$R/$t/samples")" '0 1 2' "$t"
		is "$(jokes "$t" | wc -w)" 3 "$t"
		if [[ " $MANY " == *" $t "* ]]; then
			is "$(wanted)" 3 "$t"
			is "$(jq -c '[.samples[].duplicated]' "$R/$t/response.json")" '[false,true,true]' "$t"
		else
			is "$(wanted)" '1 1 1' "$t"
			is "$(jq -c '[.samples[].duplicated] | unique' "$R/$t/response.json")" '[false]' "$t"
		fi
	done
	is "$(summary calls) $(summary samples_fresh) $(summary samples_duplicated)" '9 15 6'
}

@test "each sample's files hold its own choice, in the provider's own words, too" {
	local t i

	mount_all
	for t in $MANY $ALONE; do
		put "$t" "$t" 2
		different "$(jokes "$t")"
		for i in 0 1; do
			is "$(cat "$R/$t/samples/$i/text")" "$(jq -r ".samples[$i].text" "$R/$t/response.json")" "$t $i"
			like "$(cat "$R/$t/samples/$i/raw.json")" "sample( | ?#)?" "$t $i"
			jq -e .finish_reason "$R/$t/samples/$i/meta.json" >/dev/null ||
				jq -e .finish_reason "$R/$t/samples/$i/response.json" >/dev/null
		done
		is "$(cat "$R/$t/text")" "$(cat "$R/$t/samples/0/text")" "$t: text is the first one"
	done
}

@test "a stored sample is bought once: n = 2, then 4 buys two more, then 3 buys none" {
	local t first

	mount_all
	for t in $MANY $ALONE; do
		provider_reset
		provider_script '[{"number":true}]'
		put "$t-two" "$t" 2
		first=$(jokes "$t-two")
		put "$t-four" "$t" 4
		like "$(jokes "$t-four")" "^$first " "$t"
		different "$(jokes "$t-four")"
		put "$t-three" "$t" 3
		is "$(jokes "$t-three")" "$(jokes "$t-four" | cut -d' ' -f1-3)" "$t"
		if [[ " $MANY " == *" $t "* ]]; then
			is "$(wanted)" '2 2' "$t"
		else
			is "$(wanted)" '1 1 1 1' "$t"
		fi
		is "$(getfattr -n user.inferfs.cached --only-values "$R/$t-three")" true "$t"
	done
}

@test "a namespace hands out each sample once; the next one replays them and pays nothing" {
	local t

	mount_all
	for t in $MANY $ALONE; do
		provider_reset
		provider_script '[{"number":true}]'
		put "$t-1" "$t" 2 "\"namespace\":\"$t-first\""
		jokes "$t-1" >"$W/1"
		put "$t-2" "$t" 1 "\"namespace\":\"$t-first\""
		different "$(echo "$(cat "$W/1") $(jokes "$t-2")")"
		put "$t-3" "$t" 3 "\"namespace\":\"$t-second\""
		is "$(jokes "$t-3")" "$(cat "$W/1") $(jokes "$t-2")" "$t"
		is "$(jq -c '[.samples,.bought,.reused]' "$N/$t-first/usage.json")" '[3,3,0]' "$t"
		is "$(jq -c '[.samples,.bought,.reused]' "$N/$t-second/usage.json")" '[3,0,3]' "$t"
		is "$(getfattr -n user.inferfs.namespace --only-values "$R/$t-3")" "$t-second"
	done
	is "$(ls "$N" | wc -l)" 10
}

@test "the same requests below namespaces/NAME/ get the same samples as with \"namespace\"" {
	local t

	mount_all
	for t in $MANY $ALONE; do
		mkdir -p "$N/$t/prompts"
		fop put "$N/$t/prompts/a.json" "{\"model\":\"$t/small\",\"prompt\":\"a joke\"}" >/dev/null
		timeout 20 cat "$N/$t/responses/a/text" >"$W/a"
		put "$t" "$t" 1 "\"namespace\":\"$t\""
		different "$(sed 's/sample #//' "$W/a") $(jokes "$t")"
		rm -r "${N:?}/$t"
		put "$t-anew" "$t" 2 "\"namespace\":\"$t\""
		is "$(jokes "$t-anew" | cut -d' ' -f1)" "$(sed 's/sample #//' "$W/a")" "$t: forgotten, so from the first again"
	done
}

@test "the provider refuses: every sample of the request fails, none is stored" {
	local t

	provider_script '[{"status":400,"body":{"error":{"message":"not that"}}}]'
	mount_all 'retries = 0'
	for t in $MANY $ALONE; do
		put "$t" "$t" 3
		wait_status "$t" failed
		is "$(errno_of "$t")" EINVAL "$t"
		is "$(jq -r .backend "$R/$t/error.json")" "$t"
		like "$(cat "$R/$t/text" 2>&1)" 'Invalid argument$' "$t"
		is "$(names "$R/$t")" 'ctl error.json request.json status usage.json' "$t"
	done
	is "$(stored_objects)" 0
	is "$(summary samples_fresh)" 0
}

@test "one of the calls breaks off: it is made again, the others are not" {
	local t

	mount_all 'retries = 2'
	for t in $ALONE; do
		provider_reset
		provider_script '[{"number":true,"times":1,"reset":true},{"number":true}]'
		put "$t" "$t" 3
		different "$(jokes "$t")"
		is "$(jokes "$t" | wc -w)" 3 "$t"
		is "$(provider_count)" 4 "$t"
	done
	for t in $MANY; do
		provider_reset
		provider_script '[{"number":true,"times":1,"reset":true},{"number":true}]'
		put "$t" "$t" 3
		different "$(jokes "$t")"
		is "$(wanted)" '3 3' "$t"
	done
}

@test "fewer choices come than were asked for: the rest is bought, not made up" {
	local t

	mount_all
	for t in $MANY; do
		provider_reset
		provider_script '[{"number":true,"times":1,"choices_max":2},{"number":true}]'
		put "$t" "$t" 4
		different "$(jokes "$t")"
		is "$(jokes "$t" | wc -w)" 4 "$t"
		is "$(wanted)" '2 4' "$t"
	done
}
