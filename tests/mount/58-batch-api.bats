#!/usr/bin/env bats
# The providers' batch APIs, step by step: tests/tools/batchstep against the scripted server, at all four.
load ../lib/helpers

setup() {
	setup_dirs
	start_provider
	export BATCH_KEY=$TEST_KEY
}
teardown() { finish_test; }

at() { # TYPE: where it is below the server's address
	[ "$1" = openai ] && echo /v1 || echo "/$1"
}
ALL='mistral openai gemini anthropic'

# steps of one batch; its record is $W/NAME
step() { # TYPE[:MODEL] NAME STEP...
	timeout $((60 * SLOW)) "$TOOLS/batchstep" "$1" "http://127.0.0.1:$PORT$(at "${1%%:*}")" "$W/$2" "${@:3}"
}
last() { tail -n 1 <<<"$1"; }
prepare() { # TYPE NAME LINES [JSON]: written, and uploaded where there is an upload
	step "$1" "$2" write "${@:3}" >/dev/null
	[ "$1" = anthropic ] || step "$1" "$2" upload >/dev/null
}
settings() { provider_ctl batches -d "$1" >/dev/null; } # JSON OBJECT
creations() { # how many batches were made
	provider_requests '[.requests[]|select(.method=="POST" and (.path|test("/batches$|/batch/jobs$|:batchGenerateContent$")))]|length'
}

@test "from the file to the results, and nothing is left at the provider" {
	local t

	for t in $ALL; do
		provider_reset
		provider_key "$TEST_KEY"
		prepare $t a 500
		is "$(step $t a create)" "create ok $([ $t = anthropic ] && echo running || echo waiting) 0/500"
		is "$(last "$(step $t a wait)")" 'poll ok done 500/500'
		is "$(step $t a fetch)" \
			'fetch ok answers=500 errors=0 expired=0 cancelled=0 garbled=0 unknown=0 twice=0 missing=no'
		is "$(sort -n "$W/a.out" | md5sum)" "$(seq 0 499 | sed 's/.*/& echo: line &/' | md5sum)"
		# never in the order of the input
		[ "$(cut -d' ' -f1 "$W/a.out" | md5sum)" != "$(seq 0 499 | md5sum)" ]
		is "$(step $t a remove)" 'remove ok'
		is "$(step $t a remove)" 'remove ok' # again is fine
		unlike "$(provider_requests '[.requests[]|[.path,.body]]')" "$TEST_KEY"
		is "$(creations)" 1
	done
}

@test "a creation whose answer was lost is found, and there is one batch" {
	local t out

	for t in $ALL; do
		provider_reset
		prepare $t a 20
		is "$(step $t a find)" 'find ok none'
		provider_script '[{"path":"/batch","times":1,"lose":true},{"path":":batchGenerate","times":1,"lose":true}]'
		out=$(step $t a create) || true
		is "$(head -n 1 <<<"$out")" 'create EREMOTEIO unsure'
		like "$(step $t a find)" '^find ok (waiting|running) '
		provider_script '[]'
		is "$(last "$(step $t a wait)")" 'poll ok done 20/20'
		like "$(step $t a fetch)" '^fetch ok answers=20 '
		is "$(creations)" 1
	done
}

@test "it is found when it is over, too; others of the same size are not taken for it" {
	local t n

	for t in $ALL; do
		provider_reset
		for n in a b c; do
			prepare $t $n 12
		done
		for n in a b c; do
			step $t $n create >/dev/null
			step $t $n wait >/dev/null
			jq -c '.id = ""' <"$W/$n" >"$W/n" && mv "$W/n" "$W/$n"
		done
		for n in b c a; do
			like "$(step $t $n find)" '^find ok done '
			step $t $n poll >/dev/null
			like "$(step $t $n fetch)" '^fetch ok answers=12 .*unknown=0'
		done
	done
}

@test "429 and 500 at each step: tried again, but never a creation that may have worked" {
	local t s

	for t in $ALL; do
		provider_reset
		step $t a write 10 >/dev/null
		for s in upload create wait fetch cancel remove; do
			[ $t:$s = anthropic:upload ] && continue
			provider_script '[{"path":"/","times":2,"status":429}]'
			like "$(last "$(step $t a $s)")" "^[a-z]+ ok" "$t $s"
			[ $s = create ] && continue
			# POSTs are matched without a path, all else with one
			provider_script '[{"path":"/","times":2,"status":500}]'
			like "$(last "$(step $t a $s)")" "^[a-z]+ ok" "$t $s"
		done
		is "$(provider_requests '[.requests[]|select(.path|test("jobs$|batches$|:batchGen"))|select(.method=="POST")]|length')" 3
		provider_reset
		prepare $t b 3
		provider_script '[{"path":"/","times":1,"status":500}]'
		is "$(step $t b create | head -n 1)" 'create EREMOTEIO unsure'
		is "$(creations)" 1
	done
}

@test "every state of every provider" {
	local t

	for t in $ALL; do
		provider_reset
		settings '{"states":["waiting","waiting","running","cancelling","done"]}'
		prepare $t a 4
		step $t a create >/dev/null
		is "$(step $t a wait | wc -l)" 4
		settings '{"states":["running","failed"],"why":"no credit left"}'
		prepare $t a 4
		step $t a create >/dev/null
		if [ $t = anthropic ]; then
			is "$(last "$(step $t a wait)")" 'poll ok done 0/0'
		else
			is "$(last "$(step $t a wait)")" 'poll ok failed 0/4 why=no credit left'
		fi
		settings '{"hold":true}'
		prepare $t b 4
		step $t b create >/dev/null
		like "$(step $t b poll poll poll)" '(waiting|running) 0/4$'
		provider_ctl advance -d '' >/dev/null
		provider_ctl advance -d '' >/dev/null
		like "$(step $t b poll)" 'done 4/4$'
	done
}

@test "expired and cancelled: half is answered, the rest is told apart or missing" {
	local t what half=10

	for t in $ALL; do
		for what in expired cancelled; do
			provider_reset
			settings "{\"states\":[\"running\",\"$what\"]}"
			prepare $t a 20
			step $t a create >/dev/null
			if [ $t = anthropic ]; then
				like "$(last "$(step $t a wait)")" '^poll ok done 10/20'
			else
				like "$(last "$(step $t a wait)")" "^poll ok $what "
			fi
			case $t:$what in
			openai:expired | anthropic:expired) like "$(step $t a fetch)" "answers=$half .*expired=$half .*missing=no" ;;
			openai:* | anthropic:*) like "$(step $t a fetch)" "answers=$half .*cancelled=$half .*missing=no" ;;
			mistral:*) like "$(step $t a fetch)" "answers=$half .*missing=yes" ;;
			gemini:*) like "$(step $t a fetch)" "answers=0 .*missing=yes" ;;
			esac
		done
		provider_reset
		prepare $t a 6
		step $t a create >/dev/null
		is "$(step $t a cancel)" 'cancel ok'
		is "$(step $t a cancel)" 'cancel ok'
		like "$(last "$(step $t a wait)")" "^poll ok $([ $t = anthropic ] && echo 'done' || echo cancelled) "
		is "$(step $t a cancel)" 'cancel ok' # it is over: the poll told
	done
}

@test "lines refused, duplicate, garbled, missing, huge, or somebody else's: each is told, the others are read" {
	local t

	for t in $ALL; do
		provider_reset
		settings '{"lines":[{"match":"line 2\"","as":"refused"},{"match":"line 3\"","as":"duplicate"},
			{"match":"line 4\"","as":"garbled"},{"match":"line 5\"","as":"missing"},{"match":"line 6\"","as":"unknown"},
			{"match":"line 7\"","as":"huge"},{"match":"line 8\"","as":"expired"},{"match":"line 9\"","as":"cancelled"}]}'
		prepare $t a 20
		step $t a create wait >/dev/null
		case $t in
		# a service that has no results for what it did not run, and one that has one word for both
		mistral) like "$(step $t a fetch)" 'answers=14 errors=1 expired=0 cancelled=0 garbled=1 unknown=1 twice=1 missing=yes' ;;
		gemini) like "$(step $t a fetch)" 'answers=14 errors=2 expired=0 cancelled=1 garbled=1 unknown=1 twice=1 missing=yes' ;;
		*) like "$(step $t a fetch)" 'answers=14 errors=1 expired=1 cancelled=1 garbled=1 unknown=1 twice=1 missing=yes' ;;
		esac
	done
}

@test "a download that breaks is begun again; results that are gone are told" {
	local t

	for t in $ALL; do
		provider_reset
		prepare $t a 200
		step $t a create wait >/dev/null
		provider_script '[{"path":"/content","times":1,"reset_after_pieces":1},{"path":":download","times":1,"reset_after_pieces":1},
			{"path":"/results","times":1,"reset_after_pieces":1}]'
		like "$(step $t a fetch)" 'answers=200 errors=0 .*unknown=0 .*missing=no'
		step $t a remove >/dev/null
		like "$(step $t a fetch)" 'gone'
	done
}

@test "a request that the model refuses is that line's error; a file the provider refuses is the batch's" {
	local t

	for t in mistral openai gemini; do
		provider_reset
		provider_script '[{"path":"ompletions","match":"line 1\"","status":400},{"path":"generateContent","match":"line 1\"","status":400}]'
		prepare $t a 3
		step $t a create wait >/dev/null
		like "$(step $t a fetch)" 'answers=2 errors=1 '
		grep -q '^1 EINVAL$' "$W/a.out"
	done
	provider_reset
	step openai b write 2 >/dev/null
	sed -i 's/"method":"POST"/"method":"GET"/' "$W/b.in"
	step openai b upload create >/dev/null
	like "$(last "$(step openai b wait)")" '^poll ok failed 0/2 why=custom_id and method'
}

@test "Gemini: a file that is processed first is waited for; embeddings go in a batch of their own kind" {
	settings '{"processing":3}'
	prepare gemini a 5
	is "$(provider_requests '[.requests[]|select(.method=="GET" and (.path|contains("/files/")))]|length')" 3
	like "$(step gemini a create)" '^create ok waiting'
	step gemini:echo-embed e write 3 '{"endpoint":"embedding","input":"some words"}' upload create wait >/dev/null
	like "$(step gemini:echo-embed e fetch)" 'answers=3 errors=0'
	is "$(provider_requests '[.requests[]|select(.path|endswith(":asyncBatchEmbedContent"))]|length')" 1
}

@test "Mistral and OpenAI: embeddings, completions, fill-in-the-middle" {
	local k

	for k in mistral:embedding openai:embedding mistral:fim openai:completion openai:responses; do
		case ${k#*:} in
		embedding) step "${k%:*}:echo-embed" a write 3 '{"endpoint":"embedding","input":["a","b"]}' ;;
		fim) step "${k%:*}" a write 3 '{"endpoint":"fim","prompt":"a","suffix":"b"}' ;;
		completion) step "${k%:*}" a write 3 '{"endpoint":"completion","prompt":"a"}' ;;
		*) step "${k%:*}" a write 3 '{"endpoint":"responses"}' ;;
		esac >/dev/null
		step "${k%:*}" a upload create wait >/dev/null
		like "$(step "${k%:*}" a fetch)" 'answers=3 errors=0' "$k"
	done
}
