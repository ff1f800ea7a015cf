#!/usr/bin/env bats
# Jobs of the providers' batch APIs: .batch.jsonl
load ../lib/helpers
load ../lib/sent
load ../lib/batches

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
}
teardown() { finish_test; }

@test "a job goes out as one batch at each provider, and comes back in the order of its lines" {
	local t

	mount_batches
	for t in $ALL; do
		requests $t 1 50 | job $t
		is "$(texts $t | md5sum)" "$(seq 50 | sed 's/.*/l& echo: line &/' | md5sum)" "$t"
		is "$(status_of $t)" done
		is "$(usage_of $t '[.total,.done,.failed,.bought,.cached]')" '[50,50,0,50,0]'
		is "$(usage_of $t '[.batches[]|[.backend,.requests,.state]]')" "[[\"$t\",50,\"done\"]]"
		is "$(wc -l <"$R/$t/stream")" 50
	done
	is "$(creations)" 4
	is "$(singles)" 0
	is "$(summary calls)" 200
	until_true 10 nothing_left
}

@test "stored lines are not sent; n samples are n lines; equal lines share a sample" {
	mount_batches
	requests openai 1 5 | sed 's/custom_id":"l/custom_id":"x/' >"$W/warm"
	cp "$W/warm" "$P/warm.jsonl"
	timeout 20 cat "$R/warm/output.jsonl" >/dev/null
	{ requests openai 1 8; requests openai 8 8 | sed s/l8/twin/; requests openai 9 9 '"n":3'; } | job j
	is "$(texts j | wc -l)" 10
	is "$(usage_of j '[.done,.failed,.cached,.samples,.bought,.reused]')" '[10,0,6,12,6,6]'
	is "$(output j | jq -c 'select(.custom_id=="l9")|[.response.samples[].index]')" '[0,1,2]'
	is "$(usage_of j '[.batches[].requests]')" '[6]'
	is "$(summary samples_fresh)" 11
	requests openai 1 9 | job again
	is "$(texts again | wc -l)" 9
	is "$(usage_of again '[.cached,.batches]')" '[9,[]]'
	is "$(creations)" 1
}

@test "the creation's answer is lost: it is found" {
	local t

	expect_log ' warning a batch pauses and goes on by itself: '
	mount_batches
	for t in $ALL; do
		provider_reset
		provider_script '[{"path":"/batch","times":1,"lose":true},{"path":":batchGenerate","times":1,"lose":true}]'
		requests $t 1 12 | job $t
		is "$(texts $t | grep -c echo)" 12 $t
		is "$(creations)" 1 $t
	done
}

@test "lines that fail fail alone; retry asks them again" {
	local t

	mount_batches
	for t in $ALL; do
		provider_reset
		settings '{"lines":[{"match":"line 3\"","as":"refused"}]}'
		requests $t 1 6 | job $t
		is "$(texts $t | grep -c echo)" 5 $t
		is "$(status_of $t)" done
		is "$(usage_of $t '[.done,.failed,.bought]')" '[6,1,5]'
		like "$(cat "$R/$t/errors.jsonl")" '"custom_id": ?"l3"'
		settings '{}'
		echo retry >"$R/$t/ctl"
		until_true 10 eval '[ "$(usage_of $t .failed)" = 0 ]'
		is "$(texts $t | grep -c echo)" 6 $t
		is "$(creations)" 2
		is "$(provider_requests '[.requests[]|select(.method=="POST")]|length > 0')" true
	done
}

@test "expired or cancelled there: half is answered, the rest goes out again, and then fails" {
	local t what n

	mount_batches 'resubmit = 1'
	for t in $ALL; do
		for what in expired cancelled; do
			provider_reset
			settings "{\"states\":[\"running\",\"$what\"]}"
			requests $t 1 20 | sed "s/line/$what line/" | job $t-$what
			# ten of twenty, then five of ten; Gemini gives nothing of such a batch
			n=$([ $t = gemini ] && echo 0 || echo 15)
			is "$(texts $t-$what | grep -c echo)" $n "$t $what"
			is "$(creations)" 2 "$t $what"
			is "$(usage_of $t-$what '[.done,.failed,.bought]')" "[20,$((20 - n)),$n]"
			is "$(texts $t-$what | grep -v echo | cut -d' ' -f2 | sort -u)" \
				"$([ $what = expired ] && echo ETIMEDOUT || echo ECANCELED)" "$t $what"
		done
	done
}

@test "what comes to nothing is handed in again as often as resubmit says, through every state" {
	local t n left

	settings '{"states":["waiting","running","finalizing","cancelling","expired"]}'
	for n in 0 2; do
		mount_batches "resubmit = $n"
		for t in $ALL; do
			requests $t 1 12 | sed "s/line/again $n/" | job $t-$n
		done
		for t in $ALL; do
			# every second one is answered: 6, 3 and 2 of 12, 6 and 3; Gemini gives nothing
			left=$([ $n = 0 ] && echo 6 || echo 1)
			[ $t = gemini ] && left=12
			is "$(texts $t-$n | grep -c ETIMEDOUT)" $left "$t $n"
			is "$(usage_of $t-$n '[.done,.failed,.bought]')" "[12,$left,$((12 - left))]" "$t $n"
			is "$(made_at $t)" "$([ $n = 0 ] && echo 1 || echo 4)" "$t $n"
		done
		until_true 10 nothing_left
		umount_inferfs
	done
	is "$(there '[.files[]|select(.deleted|not)]')" '[]' "files that are left"
}

@test "results that are missing, doubled, garbled, huge or somebody else's: every line is final, its neighbours unharmed" {
	local t bad

	expect_log ' warning a line of the results of a batch is passed over: '
	settings '{"lines":[{"match":"line 2\"","as":"refused"},{"match":"line 3\"","as":"duplicate"},
		{"match":"line 4\"","as":"garbled"},{"match":"line 5\"","as":"missing"},{"match":"line 6\"","as":"unknown"},
		{"match":"line 7\"","as":"huge"},{"match":"line 8\"","as":"expired"},{"match":"line 9\"","as":"cancelled"}]}'
	mount_batches 'resubmit = 1'
	for t in $ALL; do
		requests $t 1 12 | job $t
	done
	for t in $ALL; do
		bad=$'l2 EINVAL\nl4 ECANCELED\nl5 ECANCELED\nl6 ECANCELED\n'
		case $t in
		mistral) bad+=$'l8 ECANCELED\nl9 ECANCELED' ;; # they have no results at all
		gemini) bad+=$'l8 EREMOTEIO\nl9 ECANCELED' ;; # its word for that is the one for a slow server
		*) bad+=$'l8 ETIMEDOUT\nl9 ECANCELED' ;;
		esac
		is "$(texts $t | grep -v ': line')" "$bad" $t
		is "$(texts $t | grep -c ': line')" 6 $t
		is "$(usage_of $t '[.total,.done,.failed,.bought]')" '[12,12,6,6]' $t
		is "$(there "[.batches[]|select(.at==\"$t\")|.requests]|sort")" '[5,12]' "$t: what was refused is not asked again"
	done
	is "$(summary samples_fresh) $(summary samples) $(summary calls)" '24 24 24'
	until_true 10 nothing_left
	is "$(there '[.files[]|select(.deleted|not)]')" '[]' "files that are left"
}

@test "a batch that fails as a whole; a key that is rejected" {
	mount_batches 'resubmit = 0'
	settings '{"states":["running","failed"],"why":"no credit left"}'
	requests openai 1 4 | job a
	is "$(output a | jq -r .error.errno | sort -u)" EREMOTEIO
	like "$(output a)" 'no credit left'
	is "$(status_of a)" failed
	provider_reset
	provider_key another
	requests openai 1 4 | job b
	is "$(output b | jq -r .error.errno | sort -u)" EKEYREJECTED
	is "$(creations)" 0
}

@test "ctl cancel: the batch is cancelled there, what was answered is kept" {
	local t

	mount_batches
	for t in $ALL; do
		provider_reset
		settings '{"hold":true}'
		requests $t 1 10 | job $t
		until_true 10 eval '[ "$(creations)" = 1 ]'
		has_batch $t
		echo cancel >"$R/$t/ctl"
		wait_status $t cancelled
		is "$(usage_of $t '[.done,.cancelled]')" '[10,10]'
		settings '{}'
		until_true 10 nothing_left
		# its even lines had run
		requests $t 1 10 | sed 's/custom_id":"l/custom_id":"k/' | job $t-again
		is "$(texts $t-again | grep -c echo)" 10
		is "$(usage_of $t-again '[.bought,.cached]')" "$([ $t = gemini ] && echo '[10,0]' || echo '[5,5]')" $t
	done
}

@test "ctl cancel in the middle of a look: the batch is cancelled at once, not after the pause" {
	local t

	settings '{"hold":true}'
	mount_batches
	umount_inferfs
	sed -i 's/^poll_\(m[a-z]*\)_s.*/poll_\1_s = 100/' "$W/config.ini"
	provider_script '[{"method":"GET","path":"/batches/","barrier":"look"},{"method":"GET","path":"/batch/jobs/","barrier":"look"}]'
	remount
	for t in $ALL; do
		requests $t 1 4 | job $t
	done
	provider_waiting look 4
	for t in $ALL; do
		echo cancel >"$R/$t/ctl"
		wait_status $t cancelled
	done
	provider_release look
	until_true 10 eval '[ "$(there "[.batches[].state]|unique")" = "[\"cancelling\"]" ]'
}

@test "rm of the prompt: the batch is cancelled, and nothing is left, also over a restart" {
	mount_batches
	settings '{"hold":true}'
	requests openai 1 10 | job j
	has_batch openai
	rm "$P/j.batch.jsonl"
	[ ! -e "$R/j" ]
	kill9
	remount
	settings '{}'
	until_true 10 nothing_left
	is "$(ls "$STATE/jobs")" ''
	like "$(provider_requests '[.requests[].path]')" 'cancel'
	is "$(summary samples_fresh)" 5
}

@test "a changed file: what is on its way stays there, what is new goes out" {
	mount_batches
	settings '{"hold":true}'
	requests openai 1 10 | job j
	has_batch openai
	requests openai 4 12 | job j
	until_true 10 eval '[ "$(creations)" = 2 ]'
	settings '{}'
	is "$(texts j | cut -d' ' -f1 | xargs)" "$(seq -f l%g 4 12 | xargs)"
	is "$(texts j | grep -c echo)" 9
	is "$(usage_of j '[.batches[].requests]|sort')" '[2,10]'
	is "$(summary samples_fresh)" 12
}

@test "a backend without a batch API: refused when it is the only one, else the line's error" {
	mount_inferfs "$(provider_config)"$'\n'"[backend o]"$'\n'"type = ollama"$'\n'"url = http://127.0.0.1:$PORT/ollama"$'\n[batch]\npoll_min_s = 0.02'
	run fop put "$P/a.batch.jsonl" '{"model":"o/x","prompt":"hi"}'
	like "$output" EOPNOTSUPP
	like "$(cat "$R/a/error.json")" '\.jsonl'
	printf '%s\n' '{"custom_id":"l1","model":"o/x","prompt":"hi"}' '{"custom_id":"l2","prompt":"hi"}' | job b
	is "$(texts b | xargs)" 'l1 EOPNOTSUPP l2 echo: hi'
}

@test "a namespace: every line its own sample, the same again for the same job" {
	local first

	mount_batches
	for i in $(seq 6); do echo '{"prompt":"same","temperature":1,"namespace":"a"}'; done | job j
	first=$(output j | jq -c '[.response.samples[0].index]')
	is "$(sort -u <<<"$first" | wc -l)" 6
	is "$(usage_of j '[.bought,.samples]')" '[6,6]'
	rm "$P/j.batch.jsonl"
	for i in $(seq 6); do echo '{"prompt":"same","temperature":1,"namespace":"a"}'; done | job j
	is "$(output j | jq -c '[.response.samples[0].index]')" "$first"
	is "$(creations)" 1
	is "$(summary samples_fresh)" 6
}

@test "past the cache: equal lines have answers of their own, and a crash does not buy them twice" {
	mount_batches
	settings '{"hold":true}'
	for i in 1 2 3; do echo "{\"custom_id\":\"l$i\",\"prompt\":\"same\",\"cache\":\"bypass\"}"; done | job j
	has_batch openai
	kill9
	remount
	settings '{}'
	is "$(texts j | grep -c echo)" 3
	is "$(usage_of j '[.bought,.samples]')" '[3,3]'
	is "$(creations)" 1
	is "$(stored_objects)" 0
}

@test "images of lines are in the batch" {
	mount_batches
	base64 -d <<<iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg== >"$W/i.png"
	cp "$W/i.png" "$P/i.png"
	echo '{"prompt":"what?","images":["i.png"]}' | job j
	is "$(texts j)" '1 echo: what?'
	like "$(provider_requests '.requests[]|select(.path=="/v1/files")|.body')" 'iVBORw0KGgo'
}

@test "what it costs: half of what the same lines cost one by one" {
	local one

	mount_batches
	umount_inferfs
	sed -i 's/^price = free/price = list\nprovider = openai/' "$W/config.ini"
	remount
	requests openai 1 4 | sed s/small/gpt-4o-mini/ >"$W/lines"
	cp "$W/lines" "$P/a.jsonl"
	timeout 20 cat "$R/a/output.jsonl" >/dev/null
	one=$(usage_of a .cost_usd)
	sed 's/"line/"LINE/' "$W/lines" | job b
	is "$(texts b | grep -c echo)" 4
	is "$(jq -n "$one > 0 and ($one / 2 - $(usage_of b .cost_usd) | fabs) < 1e-12")" true
	is "$(usage_of b .unpriced)" 0
}
