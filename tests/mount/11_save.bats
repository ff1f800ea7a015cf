# saving again: the same, something else, while the first runs; removing
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	mount_inferfs
	P=$M/prompts R=$M/responses
}
teardown() { finish_test; }

put() { fop put "$P/$1" "$2"; } # FILE TEXT
prompt() { put "$1.json" "{\"prompt\":\"$2\"}"; } # STEM TEXT

@test "the same file written twice is sent once" {
	is "$(prompt a x)" "put ok"
	is "$(answer a)" "echo: x"
	prompt a x
	prompt a x
	is "$(status_of a)" "done"
	sent x
}

@test "the same request in other words (spaces, order, final newline) buys nothing" {
	put a.json '{"prompt":"x","temperature":0}'
	put b.txt x
	is "$(answer a)$(answer b)" "echo: xecho: x"
	put a.json $'{ "temperature": 0.0,\n "prompt": "x" }\n'
	put b.txt $'x\n'
	put b.txt $'x\r\n'
	is "$(answer a)$(answer b)" "echo: xecho: x"
	sent x x
}

@test "one final newline, LF or CRLF, is not part of a text prompt" {
	put a.txt $'one\n'
	put b.txt $'two\r\n'
	put c.md $'three\n\n'
	put d.md $' four '
	for f in a b c d; do answer $f >/dev/null; done
	sent one two $'three\n' ' four '
}

@test "the same under another name is a hit" {
	prompt a x
	answer a
	prompt b x
	is "$(answer b)" "echo: x"
	sent x
}

@test "the same with bypass buys again, and neither reads nor stores" {
	put a.json '{"prompt":"x","cache":"bypass"}'
	answer a
	put a.json '{"prompt":"x","cache":"bypass"}'
	is "$(answer a)" "echo: x"
	sent x x
	is "$(stored_objects)" 1 "the fence's:"
}

@test "the same after its cache entry was evicted changes nothing and buys nothing" {
	prompt a x
	answer a
	rm -r "$M"/cache/*
	prompt a x
	is "$(answer a)" "echo: x"
	sent x
}

@test "a save of the same while the first runs joins it: one call" {
	provider_hold
	prompt a x
	provider_waiting hold 1
	is "$(prompt a x)" "put ok"
	provider_release hold
	is "$(answer a)" "echo: x"
	sent x
}

@test "a save of something else while the first runs: the old call is cancelled a second later" {
	provider_script '[{"match":"first","piece_barriers":{"1":"hold"}}]'
	prompt a first
	provider_waiting hold 1
	local begin
	begin=$(now_ms)
	is "$(prompt a second)" "put ok"
	is "$(answer a)" "echo: second"
	is "$(provider_aborted 0)" 0 "the first call at once:"
	is "$(provider_aborted 1)" 1
	[ $(($(now_ms) - begin)) -ge 900 ]
	provider_release hold
	sent first second
	is "$(provider_requests '[.requests[] | select(.aborted) | .body | fromjson | .messages[0].content][0]')" first
}

@test "a change that is taken back within the second cancels nothing and pays once" {
	provider_script '[{"match":"first","barrier":"hold"},{"match":"second","barrier":"hold2"}]'
	prompt a first
	provider_waiting hold 1
	prompt a second
	provider_waiting hold2 1
	prompt a first
	provider_release hold
	is "$(answer a)" "echo: first"
	is "$(provider_aborted 1)" 1
	provider_release hold2
	sent first second
}

@test "rm of a running request: its response is gone before rm returns, the call a second later" {
	provider_hold
	prompt a x
	provider_waiting hold 1
	rm "$P/a.json"
	[ ! -e "$R/a" ]
	is "$(ls "$R")" ""
	is "$(provider_aborted 1)" 1
	provider_release hold
	sent x
}

@test "rm of a running request does not cancel it for another who waits for the same" {
	provider_hold
	prompt a x
	prompt b x
	provider_waiting hold 1
	rm "$P/a.json"
	(exec 3>&-; timeout 2 "$TOOLS/park" 1 "$R/b/text") >"$W/parked" || true # longer than the second
	provider_release hold
	is "$(answer b)" "echo: x"
	is "$(provider_aborted 0)" 0
	sent x
}

@test "a reader of a removed request is told so" {
	provider_hold
	prompt a x
	provider_waiting hold 1
	"$TOOLS/park" 4 "$R/a/text" >"$W/out" 2>"$W/err" 3>&- &
	until_true 10 grep -q parked "$W/out" || { cat "$W/out" "$W/err"; false; }
	rm "$P/a.json"
	wait $! && false
	grep -q 'Operation canceled' "$W/err" || { cat "$W/out" "$W/err"; false; }
	provider_release hold
}

@test "rm of a prompt that is done takes the response with it, and the cache stays" {
	prompt a x
	answer a
	rm "$P/a.json"
	[ ! -e "$R/a" ]
	prompt b x
	is "$(answer b)" "echo: x"
	sent x
}

@test "a final text that is open keeps its bytes when the prompt is rewritten" {
	prompt a one
	answer a
	exec 7<"$R/a/text"
	prompt a two
	is "$(answer a)" "echo: two"
	is "$(cat <&7)" "echo: one"
	exec 7<&-
}

@test "until the new text is checked the old response stays, also after O_TRUNC" {
	prompt a one
	answer a
	exec 7>"$P/a.json"
	is "$(stat -c %s "$P/a.json")" 0
	is "$(answer a)" "echo: one"
	printf '{"prompt":"t' >&7
	is "$(answer a)" "echo: one"
	printf 'wo"}' >&7 # the shell's own close checks it, complete as it is now
	is "$(status_of a)" queued
	sent one
	exec 7>&-
	is "$(answer a)" "echo: two"
	sent one two
}

@test "truncating a prompt to nothing makes it a draft" {
	prompt a one
	answer a
	: >"$P/a.json"
	wait_status a draft
	sent one
}

@test "touch, chmod, xattrs and reading send nothing" {
	prompt a x
	answer a
	touch "$P/a.json"
	chmod 600 "$P/a.json"
	setfattr -n user.note -v hello "$P/a.json"
	is "$(getfattr --only-values -n user.note "$P/a.json" 2>/dev/null)" hello
	cat "$P/a.json" >/dev/null
	exec 7<>"$P/a.json"
	exec 7>&-
	is "$(answer a)" "echo: x"
	sent x
}

@test "mv of a prompt moves its response along and sends nothing" {
	prompt a x
	answer a
	mkdir "$P/d"
	mv "$P/a.json" "$P/d/b.json"
	[ ! -e "$R/a" ]
	is "$(answer d/b)" "echo: x"
	is "$(getfattr --only-values -n user.inferfs.request_id "$R/d/b" 2>/dev/null)" d/b
	is "$(jq -r .request_id "$R/d/b/response.json")" d/b
	sent x
}

@test "mv of a running prompt moves the running request" {
	provider_hold
	prompt a x
	provider_waiting hold 1
	mv "$P/a.json" "$P/b.json"
	[ ! -e "$R/a" ]
	is "$(status_of b)" running
	provider_release hold
	is "$(answer b)" "echo: x"
	sent x
}

@test "mv of a directory moves every response in it and sends nothing" {
	mkdir -p "$P/d/e"
	prompt d/a one
	prompt d/e/b two
	answer d/a
	answer d/e/b
	put d/draft.part '{"prompt":"never"}'
	mv "$P/d" "$P/n"
	[ ! -e "$R/d" ]
	is "$(answer n/a)" "echo: one"
	is "$(answer n/e/b)" "echo: two"
	is "$(jq -r .request_id "$R/n/e/b/response.json")" n/e/b
	sent one two
}

@test "a directory's name under responses/ is never an old one" {
	mkdir "$P/d" "$P/e"
	prompt d/a one
	prompt e/a two
	is "$(answer d/a)$(answer e/a)" "echo: oneecho: two"
	is "$(fop exchange "$P/d" "$P/e")" "exchange ok"
	is "$(answer d/a)$(answer e/a)" "echo: twoecho: one"
	rm -r "$P/d"
	[ ! -e "$R/d" ]
	prompt d three
	is "$(answer d)" "echo: three"
	rm "$P/d.json"
	mv "$P/e" "$P/d"
	is "$(answer d/a)" "echo: one"
	[ ! -e "$R/e" ]
	is "$(ls "$R")" d
	sent one three two
}

@test "RENAME_EXCHANGE exchanges the responses" {
	prompt a one
	prompt b two
	answer a
	answer b
	is "$(fop exchange "$P/a.json" "$P/b.json")" "exchange ok"
	is "$(answer a)$(answer b)" "echo: twoecho: one"
	is "$(cat "$P/a.json")" '{"prompt":"two"}'
	sent one two
}

@test "RENAME_NOREPLACE onto another prompt is EEXIST and changes nothing" {
	prompt a one
	prompt b two
	answer a
	answer b
	is "$(fop noreplace "$P/a.json" "$P/b.json")" "noreplace EEXIST"
	is "$(answer a)$(answer b)" "echo: oneecho: two"
	sent one two
}

@test "mv over another prompt: the response comes along, the other's goes" {
	prompt a one
	prompt b two
	answer a
	answer b
	mv -f "$P/a.json" "$P/b.json"
	[ ! -e "$R/a" ]
	is "$(answer b)" "echo: one"
	sent one two
}

@test "mv to a name that is no request ends it, mv back is answered from the cache" {
	prompt a x
	answer a
	mv "$P/a.json" "$P/a.json~"
	[ ! -e "$R/a" ]
	mv "$P/a.json~" "$P/a.json"
	is "$(answer a)" "echo: x"
	sent x
}

@test "O_SYNC: close returns when the answer is there" {
	is "$(fop open "$P/a.json" w,creat,sync , write 0 '{"prompt":"x"}' , close 0 | tail -n 1)" "close ok"
	is "$(status_of a)" "done"
	is "$(fop open "$P/n.txt" w,creat,sync , write 0 text , close 0 | tail -n 1)" "close ok"
	is "$(status_of n)" "done"
	sent x text
}

@test "everything in prompts/ and every answer is there again after a remount, and nothing is sent" {
	prompt a x
	answer a
	mkdir "$P/d"
	put d/notes.org "some notes"
	put d/n.txt text
	answer d/n
	ln -s ../a.json "$P/d/link"
	chmod 640 "$P/a.json"
	touch -d 2020-02-02T02:02:02.123456789Z "$P/d/notes.org"
	setfattr -n user.k -v v "$P/d/notes.org"
	umount_inferfs
	remount
	is "$(stat -c '%a %s' "$P/a.json")" "640 14"
	is "$(stat -c %.9Y "$P/d/notes.org")" 1580608922.123456789
	is "$(cat "$P/d/notes.org")" "some notes"
	is "$(readlink "$P/d/link")" ../a.json
	is "$(getfattr --only-values -n user.k "$P/d/notes.org" 2>/dev/null)" v
	is "$(status_of a) $(status_of d/n)" "done done"
	is "$(answer a)$(answer d/n)" "echo: xecho: text"
	prompt a x
	sent x text
}

@test "a file that appears in the state directory is a draft" {
	echo '{"prompt":"x"}' >"$STATE/prompts/a.json"
	is "$(status_of a)" draft
	is "$(ls "$R/a")" $'ctl\nstatus'
	timeout 10 cat "$R/a/text" 2>"$W/err" && false
	grep -q 'No data available' "$W/err"
	touch "$P/a.json"
	sent
	prompt a x
	is "$(answer a)" "echo: x"
	sent x
}
