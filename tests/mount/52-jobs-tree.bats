# responses/ of a job of many lines, through a mount
load ../lib/helpers

setup() {
	setup_dirs
	mount_inferfs
	P=$M/prompts R=$M/responses
}
teardown() { finish_test; }

lines() { # N [EXTRA FIELDS]: so many lines
	local i

	for ((i = 1; i <= $1; i++)); do
		printf '{"custom_id":"id%05d","prompt":"line %d"%s}\n' "$i" "$i" "${2:-}"
	done
}

@test "a job is listed as the contract says, while it runs and when it is done" {
	lines 3 ',"extra_body":{"delay_ms":600000}' >"$P/many.jsonl"
	like "$(cat "$R/many/status")" "queued|running"
	is "$(ls "$R/many" | tr '\n' ' ')" "ctl items status "
	is "$(stat -c '%s %Y' "$R/many/output.jsonl")" "0 0"
	is "$(ls "$R/many/items")" ""
	lines 3 >"$P/many.jsonl"
	is "$(wc -l <"$R/many/output.jsonl")" 3
	is "$(cat "$R/many/status")" done
	is "$(ls "$R/many" | tr '\n' ' ')" "ctl errors.jsonl items output.jsonl progress status stream usage.json "
	is "$(ls "$R/many/items" | tr '\n' ' ')" "id00001 id00002 id00003 "
	is "$(cat "$R/many/items/id00002/text")" "You said: line 2"
	is "$(cat "$R/many/items/id00002/entry/samples/0/text")" "You said: line 2"
	is "$(jq -r .custom_id "$R/many/output.jsonl" | tr '\n' ' ')" "id00001 id00002 id00003 "
	is "$(cat "$R/many/errors.jsonl")" ""
	for f in output.jsonl stream progress errors.jsonl usage.json; do
		is "$(stat -c %s "$R/many/$f")" "$(wc -c <"$R/many/$f")" "$f:"
	done
	like "$(cat "$R/many/progress")" "^3/3 failed=0"
}

@test "in a namespace, too; and what walks the tree neither hangs nor fails" {
	mkdir "$M/namespaces/exp1"
	lines 3 >"$M/namespaces/exp1/prompts/many.jsonl"
	R=$M/namespaces/exp1/responses
	is "$(wc -l <"$R/many/output.jsonl")" 3
	is "$(cat "$R/many/items/id00002/entry/samples/0/text")" "You said: line 2"
	lines 3 ',"extra_body":{"delay_ms":600000}' >"$M/namespaces/exp1/prompts/slow.jsonl"
	cp -r "$R" "$W/copy"
	is "$(cat "$W/copy/many/items/id00003/text")" "You said: line 3"
	tar -C "$R" -cf "$W/all.tar" .
	grep -rq "line 2" "$R"
}

@test "stream and progress are read as they come; Ctrl-C, O_NONBLOCK and the end" {
	lines 2 ',"extra_body":{"delay_ms":600000}' >"$P/many.jsonl"
	timeout -s INT 0.3 cat "$R/many/stream" && false
	like "$(timeout -s INT 0.3 cat "$R/many/progress"; true)" "^0/2"
	like "$(dd if="$R/many/stream" iflag=nonblock count=1 2>&1)" "Resource temporarily unavailable"
	like "$(dd if="$R/many/output.jsonl" iflag=nonblock count=1 2>&1)" "Resource temporarily unavailable"
	cat "$R/many/stream" >"$W/stream" &
	echo cancel >"$R/many/ctl"
	wait $! || true
	until_true 10 grep -q . "$R/many/status"
	is "$(cat "$R/many/status")" cancelled
	is "$(cat "$R/many/ctl")" retry
}

@test "rm -r of a job's response exits 0 and dismisses it; rm of the file takes it along" {
	lines 200 >"$P/many.jsonl"
	is "$(wc -l <"$R/many/output.jsonl")" 200
	rm -r "$R/many"
	[ ! -e "$R/many" ]
	[ -e "$P/many.jsonl" ]
	lines 200 >"$P/more.jsonl"
	is "$(wc -l <"$R/more/output.jsonl")" 200
	mv "$P/more.jsonl" "$P/moved.jsonl"
	is "$(wc -l <"$R/moved/output.jsonl")" 200
	is "$(cat "$R/moved/items/id00200/text")" "You said: line 200"
	rm "$P/moved.jsonl"
	[ ! -e "$R/moved" ]
}

@test "three thousand lines: items/ lists each once, in pages" {
	lines 3000 >"$P/many.jsonl"
	is "$(wc -l <"$R/many/output.jsonl")" 3000
	is "$(find "$R/many/items" -mindepth 1 -maxdepth 1 | wc -l)" 3000
	is "$(ls "$R/many/items" | sort -u | wc -l)" 3000
}
