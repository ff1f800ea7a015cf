#!/usr/bin/env bats
# .batch.jsonl at the four providers with the daemon killed at every point of a batch's life: one batch there, every
# line final with its own answer, nothing bought twice, no file left.
load ../lib/helpers
load ../lib/batches

setup() {
	setup_dirs
	start_provider
}
teardown() { finish_test; }

# ---- at the named points of the daemon (base/fault.h): one daemon for each provider, all four at once ----

one_point() { # TYPE POINT: in a state directory of its own, below $W
	local pid made

	made=$(made_at "$1")
	rm -rf "$STATE" "$CACHE"
	DAEMON_ENV=("INFERFS_FAULT=$2")
	mount_batches
	pid=$(daemon_pid)
	requests "$1" 1 20 | job j
	wait_gone "$pid" 20
	DAEMON_ENV=()
	remount
	is "$(texts j | md5sum)" "$(seq 20 | sed 's/.*/l& echo: line &/' | md5sum)" "$1 $2" || return
	is "$(usage_of j '[.done,.failed,.bought]')" '[20,0,20]' "$1 $2" || return
	is "$(made_at "$1")" $((made + 1)) "$1 $2: batches" || return
	is "$(summary samples_fresh) $(summary samples) $(summary calls)" '20 20 20' "$1 $2" || return
	until_true 10 nothing_left || return
	umount_inferfs
}
all_points() { # TYPE
	local p

	W=$W/$1
	M=$W/m STATE=$W/state CACHE=$W/cache LOG=$W/log
	mkdir -p "$M"
	for p in batch-staged:1 batch-uploaded:1 batch-uploaded:2 batch-created:1 batch-polled:1 object:7 \
		batch-fetched:1 batch-removed:1; do
		one_point "$1" "$p" || { echo "$1 $p: failed"; tail -n 5 "$LOG"; return 1; }
	done
	log_is_quiet || return
}

@test "killed at every point of the daemon" {
	local t pids=() pid bad=0

	for t in $ALL; do
		all_points "$t" >"$W/said.$t" 2>&1 3>&- &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || bad=1
	done
	[ $bad = 0 ] || { cat "$W"/said.*; false; }
	is "$(singles)" 0
	is "$(there '[.files[]|select(.deleted|not)]')" '[]' "files that are left"
}

# ---- in the middle of each request: all four providers' batches in one mount ----

# METHOD:PART OF A PATH; the first that fits counts
CREATE='POST:/batches POST:/batch/jobs POST::batchGenerateContent'
LISTS='GET:/batches GET:/batch/jobs'
POLL='GET:/batches/ GET:/batch/jobs/'
FETCH='GET:/content GET::download GET:/results'
CANCEL='POST:cancel'
DELETE='DELETE:/'
# Anthropic has no files: it is held in its creation
UPLOAD='POST:/files POST:/messages/batches'
# what is removed before the file that was uploaded
REMOVED_FIRST='DELETE:file-out- DELETE:file-err- DELETE:/v1beta/batches/'

rules() { # MEMBERS METHOD:PATH...
	local r

	for r in "${@:2}"; do
		echo "{\"method\":\"${r%%:*}\",\"path\":\"${r#*:}\"$1},"
	done
}
# NAME METHOD:PATH...: nothing of it is done; it is done, and not answered; the answer stops in its middle
held() { rules ",\"barrier\":\"$1\"" "${@:2}"; }
unanswered() { rules ",\"piece_barriers\":{\"0\":\"$1\"}" "${@:2}"; }
halved() { rules ",\"piece_barriers\":{\"1\":\"$1\"}" "${@:2}"; }
passing() { rules '' "$@"; } # METHOD:PATH...: no later rule is for these
hold() { provider_script "[${1%,}]"; } # RULES
hold_until() { # NAME N RULES: from now on; and N of them are held
	hold "$3"
	[ "$(daemon_pid)" ] || remount
	provider_waiting "$1" "$2" || { echo "not $2 are held at $1"; there .; return 1; }
}
kill_at() { # NAME N RULES
	hold_until "$@"
	kill9
}
four_jobs() {
	local t

	for t in $ALL; do
		requests "$t" 1 12 | job "$t"
	done
}
go_on() { # nothing is held any more
	hold ''
	[ "$(daemon_pid)" ] || remount
}
nothing_there() { # the files are gone, there and here
	until_true 10 nothing_left
	is "$(there '[.files[]|select(.deleted|not)]')" '[]' "files that are left"
}

@test "killed in every request and every state" {
	local t s

	settings '{"hold":true,"states":["waiting","running","finalizing","cancelling","done"],
		"lines":[{"match":"line 3\"","as":"refused"}]}'
	mount_batches
	hold "$(held upload $UPLOAD)"
	four_jobs
	kill_at upload 4 "$(held upload $UPLOAD)"
	kill_at uploaded 4 "$(unanswered uploaded POST:/v1/files POST:/v1beta/files/)$(
		held uploaded POST:/messages/batches)"
	kill_at create 4 "$(held create $CREATE)"
	is "$(there '.batches')" '[]'
	kill_at created 4 "$(unanswered created $CREATE)"
	is "$(there '[.batches[].at]|sort')" '["anthropic","gemini","mistral","openai"]'
	kill_at find 4 "$(held find $LISTS)"
	for s in waiting running finalizing cancelling; do
		kill_at "$s" 4 "$(held "$s" $POLL)"
		is "$(there '[.batches[].state]|unique')" "$([ $s = waiting ] && echo '["running","waiting"]' || echo "[\"$s\"]")"
		provider_ctl advance -d '' >/dev/null
	done
	kill_at ended 4 "$(held ended $FETCH)"
	is "$(there '[.batches[].state]|unique')" '["done"]'
	hold_until half 4 "$(halved half $FETCH)"
	until_true 10 eval '[ "$(stored_objects)" -ge 16 ]'
	kill9
	kill_at errors 4 "$(held errors GET:file-err- $DELETE)"
	kill_at remove 4 "$(held remove $DELETE)"
	kill_at removing 4 "$(passing $REMOVED_FIRST)$(held removing $DELETE)"
	kill_at removed 4 "$(passing $REMOVED_FIRST)$(unanswered removed $DELETE)"
	go_on
	for t in $ALL; do
		is "$(texts $t)" "$(seq 12 | sed 's/.*/l& echo: line &/; s/l3 .*/l3 EINVAL/')" $t
		is "$(status_of $t)" done
		is "$(usage_of $t '[.total,.done,.failed,.bought]')" '[12,12,1,11]' $t
		is "$(made_at $t)" 1 $t
	done
	is "$(summary samples_fresh) $(summary samples) $(summary calls)" '44 44 44'
	is "$(singles)" 0
	nothing_there
}

@test "killed while it is cancelled: what was answered is kept, and there is no second batch" {
	local t

	settings '{"hold":true}'
	mount_batches
	hold "$(held poll $POLL)"
	four_jobs
	provider_waiting poll 4
	for t in $ALL; do
		echo cancel >"$R/$t/ctl"
		wait_status $t cancelled
	done
	kill9
	kill_at cancel 4 "$(held cancel $CANCEL)"
	is "$(there '[.batches[].state]|unique')" '["running","waiting"]'
	kill_at sent 4 "$(unanswered sent $CANCEL)"
	is "$(there '[.batches[].state]|unique')" '["cancelling"]'
	kill_at cancelling 4 "$(held cancelling $POLL)"
	provider_ctl advance -d '' >/dev/null
	is "$(there '[.batches[].state]|unique')" '["cancelled"]'
	# Gemini has no results of such a batch
	kill_at over 4 "$(held over $FETCH $DELETE)"
	kill_at half 4 "$(halved half $FETCH)$(held half $DELETE)"
	kill_at remove 4 "$(held remove $DELETE)"
	go_on
	nothing_there
	for t in $ALL; do
		is "$(usage_of $t '[.done,.cancelled]')" '[12,12]' $t
		is "$(made_at $t)" 1 $t
	done
	is "$(summary samples_fresh)" 18
	settings '{}'
	for t in $ALL; do
		requests $t 1 12 | sed 's/custom_id":"l/custom_id":"k/' | job $t-again
		is "$(texts $t-again | grep -c echo)" 12 $t
		is "$(usage_of $t-again '[.bought,.cached]')" "$([ $t = gemini ] && echo '[12,0]' || echo '[6,6]')" $t
	done
	is "$(summary samples_fresh)" 48
}

@test "cancelled and killed in the creation: one that was made is found and cancelled, none is made later" {
	local t p

	settings '{"hold":true}'
	mount_batches
	for p in 0 1; do
		hold "$([ $p = 0 ] && held create0 $CREATE || unanswered create1 $CREATE)"
		for t in $ALL; do
			requests $t 1 12 | sed "s/line/$p/" | job $t-$p
		done
		provider_waiting create$p 4
		for t in $ALL; do
			echo cancel >"$R/$t-$p/ctl"
			wait_status $t-$p cancelled
		done
		kill9
		settings '{}'
		go_on
		nothing_there
		for t in $ALL; do
			is "$(made_at $t)" $p "$t $p"
		done
	done
	is "$(there '[.batches[].state]|unique')" '["cancelled"]'
}

@test "killed between an end without answers and the next try: no try too many, none too few" {
	local t what n

	for what in failed expired cancelled; do
		provider_reset
		rm -rf "$STATE" "$CACHE"
		settings "{\"states\":[\"running\",\"$what\"],\"why\":\"no credit left\"}"
		mount_batches 'resubmit = 1'
		hold "$(held first $POLL)"
		four_jobs
		kill_at first 4 "$(held first $POLL)"
		# the first batch is tidied up, the second on its way there: Gemini's is held before, with its file
		hold_until second 8 "$(held second $DELETE $UPLOAD POST:/batch \
			POST::batchGenerateContent)"
		kill9
		go_on
		for t in $ALL; do
			# half of twelve, then half of six; Gemini gives nothing of such a batch, nobody of a failed one
			case $t:$what in
			gemini:* | *:failed) n=0 ;;
			*) n=9 ;;
			esac
			# what failed as a whole has another word at Anthropic: it ended, and no line has a result
			is "$(texts $t | grep -c echo || true)" $n "$t $what"
			is "$(made_at $t)" 2 "$t $what"
			is "$(usage_of $t '[.done,.failed,.bought]')" "[12,$((12 - n)),$n]" "$t $what"
		done
		nothing_there
		umount_inferfs
	done
}
