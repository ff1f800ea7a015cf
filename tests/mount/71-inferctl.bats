# inferctl: works through the files of the mount, finds the mount, says what is wrong
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup() {
	setup_dirs
	case $BATS_TEST_DESCRIPTION in
	verify* | usage*) return ;;
	esac
	mount_inferfs
}
teardown() {
	cd "$TOP" || return 1
	finish_test
}
ctl() { timeout $((20 * SLOW)) "$INFERCTL" -m "$M" "$@" 3>&-; }

@test "usage errors exit 2, help exits 0" {
	run -2 "$INFERCTL"
	like "$output" usage
	run -2 "$INFERCTL" frobnicate
	like "$output" 'no command'
	run -2 "$INFERCTL" wiat x
	like "$output" 'do you mean wait\?'
	run -2 "$INFERCTL" wait
	run -2 "$INFERCTL" -m
	run -2 "$INFERCTL" -x stats
	for c in ask wait watch status cancel retry stats verify; do
		run -0 "$INFERCTL" help "$c"
		like "$output" "usage: inferctl .*$c"
	done
	run -0 "$INFERCTL" --version
	run -0 "$INFERCTL" help
}

@test "usage: no mount at all is said" {
	cd "$W"
	run -1 "$INFERCTL" -m "$W" stats
	like "$output" 'is no inferfs mount'
}

@test "the mount is found by -m, by INFERFS_MOUNT, and around the working directory" {
	run -0 "$INFERCTL" -m "$M" ask one
	is "$output" "You said: one"
	INFERFS_MOUNT=$M run -0 "$INFERCTL" ask two
	is "$output" "You said: two"
	mkdir "$M/prompts/deep"
	cd "$M/prompts/deep"
	run -0 "$INFERCTL" ask three
	is "$output" "You said: three"
}

@test "ask: words, standard input, JSON, and what failed" {
	is "$(ctl ask why is it so)" "You said: why is it so"
	is "$(echo 'from a pipe' | ctl ask)" "You said: from a pipe"
	is "$(echo 'from a pipe' | ctl ask -)" "You said: from a pipe"
	is "$(ctl ask '{"prompt":"json","system":"s"}')" "You said: json"
	run -1 ctl ask '{"promt":"x"}'
	like "$output" 'did you mean "prompt"'
	run -1 ctl ask '{"prompt":"x","extra_body":{"error":"EBUSY"}}'
	like "$output" 'EBUSY'
	run -2 ctl ask ''
}

@test "wait: done is silent, failed says why, paths in all forms" {
	mkdir "$M/prompts/any"
	ask_file any/a '{"prompt":"x","extra_body":{"delay_ms":50}}'
	cd "$M"
	for p in any/a any/a.json prompts/any/a.json responses/any/a responses/any/a/text "$M/prompts/any/a.json"; do
		run -0 ctl wait "$p"
		is "$output" ""
	done
	ask_file bad '{"prompt":"x","extra_body":{"error":"EREMOTEIO"}}'
	run -1 ctl wait any/a bad
	like "$output" 'bad: .*EREMOTEIO'
	run -1 ctl wait nosuch
	like "$output" 'no such request'
}

@test "watch prints the answer, status the state" {
	ask_file a '{"prompt":"one two three","extra_body":{"tokens_per_s":50}}'
	is "$(ctl watch a)" "You said: one two three"
	is "$(ctl status a)" "a: done"
	is "$(ctl status --json a | jq -r .status)" "done"
	is "$(ctl status --json a | jq -r .error)" null
	: >"$M/prompts/empty.json"
	is "$(ctl status empty)" "empty: draft"
}

@test "cancel and retry write the word; when it does not apply they say so" {
	ask_file slow '{"prompt":"x","extra_body":{"delay_ms":600000}}'
	run -0 ctl cancel slow
	wait_status slow cancelled
	run -1 ctl cancel slow
	like "$output" 'it is cancelled, so there is nothing to cancel'
	run -0 ctl retry slow
	like "$(ctl status slow)" 'slow: (queued|running)'
}

@test "stats are the numbers of summary.json" {
	ctl ask x >/dev/null
	is "$(ctl stats | awk '$1 == "requests" { print $2 }')" "$(summary requests)"
	is "$(ctl stats --json)" "$(cat "$M/stats/summary.json")"
	run -2 ctl stats x
}

@test "verify: whole objects are counted, a flipped bit is found, another name too" {
	mount_inferfs
	for i in 1 2 3; do
		ask_file "a$i" "{\"prompt\":\"$i\"}"
		answer "a$i" >/dev/null
	done
	until_true 10 bash -c "[ \"\$(find '$CACHE/objects' -type f | wc -l)\" = 3 ]"
	run -0 "$INFERCTL" verify "$CACHE"
	is "$output" "3 objects, 0 damaged"
	f=$(find "$CACHE/objects" -type f | head -n 1)
	cp "$f" "$W/whole"
	rm "$f"
	sed 's/You said/Xou said/' "$W/whole" >"$f"
	run -1 "$INFERCTL" verify "$CACHE"
	like "$output" "$f: "
	like "$output" "3 objects, 1 damaged"
	cp "$W/whole" "$f"
	cp "$f" "${f%.0.json}.1.json"
	run -1 "$INFERCTL" verify "$CACHE"
	like "$output" "4 objects, 1 damaged"
	mv "${f%.0.json}.1.json" "${f%/*}/stray"
	run -1 "$INFERCTL" verify "$CACHE"
	like "$output" "not the name of an object"
}

@test "verify: what is no store is said" {
	run -1 "$INFERCTL" verify "$W"
	like "$output" 'is no disk store'
}
