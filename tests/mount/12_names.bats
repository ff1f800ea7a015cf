# which files are requests, and which names exclude each other
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
}
teardown() { finish_test; }

put() { fop put "$P/$1" "$2"; }
prompt() { put "$1.json" "{\"prompt\":\"$2\"}"; }
responses() { (cd "$R" && find . -mindepth 1 -type d ! -path './fence*' | sort | tr '\n' ' '); }

@test "hidden files, README in any case and other suffixes are only stored" {
	mount_inferfs
	mkdir -p "$P/.git/x" "$P/d"
	for f in .hidden.json .x.txt README.md readme.txt ReadMe.json READMEfirst.md notes.org image.png noext a.json~ a.jsonx \
		.git/a.json .git/x/b.txt; do
		is "$(put "$f" '{"prompt":"never"}')" "put ok" "$f"
		is "$(cat "$P/$f")" '{"prompt":"never"}'
	done
	sent
	is "$(responses)" "./d "
}

@test "below a directory with .noinfer nothing is sent, and its removal sends nothing either" {
	mount_inferfs
	mkdir -p "$P/data/sub"
	put data/.noinfer ''
	prompt data/a x
	prompt data/sub/b y
	sent
	[ ! -e "$R/data/sub/b" ]
	rm "$P/data/.noinfer"
	is "$(status_of data/sub/b)" draft
	sent
	prompt data/sub/b y
	is "$(answer data/sub/b)" "echo: y"
	sent y
}

@test "a directory that is renamed out of hiding holds drafts" {
	mount_inferfs
	mkdir "$P/.d"
	prompt .d/a x
	mv "$P/.d" "$P/d"
	is "$(status_of d/a)" draft
	sent
}

@test "symbolic links are never requests" {
	mount_inferfs
	prompt a x
	answer a
	ln -s a.json "$P/s.json"
	ln -s /etc/passwd "$P/p.txt"
	is "$(cat "$P/s.json")" '{"prompt":"x"}'
	[ ! -e "$R/s" ] && [ ! -e "$R/p" ]
	fop put "$P/s.json" '{"prompt":"through the link"}'
	is "$(answer a)" "echo: through the link"
	sent x "through the link"
}

@test "hard links, FIFOs, devices and sockets are EPERM" {
	mount_inferfs
	prompt a x
	is "$(fop link "$P/a.json" "$P/b.json")" "link EPERM"
	is "$(fop link "$P/a.json" "$P/b")" "link EPERM"
	is "$(fop mkfifo "$P/f")" "mkfifo EPERM"
	mknod "$P/n" c 1 3 2>"$W/err" && false
	grep -q 'not permitted' "$W/err"
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$P/s" 2>"$W/err" && false
	grep -q 'not permitted' "$W/err"
	answer a
}

@test "two requests with one stem in a directory: the second is EEXIST" {
	mount_inferfs
	prompt sky x
	is "$(code_of open "$P/sky.txt" w,creat)" EEXIST
	is "$(code_of open "$P/sky.jsonl" w,creat)" EEXIST
	put other.part hello
	is "$(fop rename "$P/other.part" "$P/sky.md")" "rename EEXIST"
	is "$(fop mkdir "$P/sky")" "mkdir EEXIST"
	is "$(cat "$P/other.part")" hello
	put sky.png "is no request"
	mkdir "$P/dir"
	is "$(code_of open "$P/dir.json" w,creat)" EEXIST
	is "$(fop rename "$P/sky.json" "$P/dir.json")" "rename EEXIST"
	is "$(fop rename "$P/dir" "$P/sky")" "rename EEXIST"
	is "$(answer sky)" "echo: x"
	# the same stem elsewhere is another request
	prompt dir/sky y
	is "$(answer dir/sky)" "echo: y"
	# and the name is free again when its holder is gone
	rm "$P/sky.json"
	put sky.txt z
	is "$(answer sky)" "echo: z"
	sent x y z
}

@test "mv from one request suffix to another of the same stem is allowed" {
	mount_inferfs
	put a.txt hello
	answer a
	is "$(fop rename "$P/a.txt" "$P/a.md")" "rename ok"
	is "$(answer a)" "echo: hello"
	sent hello
}

@test "suffixes chooses what is a request" {
	mount_inferfs "$(provider_config | sed 's/^\[inferfs\]$/&\nsuffixes = .ask .json/')"
	put a.ask "plain text"
	put b.txt "no request"
	prompt c x
	is "$(answer a)" "echo: plain text"
	is "$(answer c)" "echo: x"
	[ ! -e "$R/b" ]
	sent "plain text" x
}

@test "a file of many requests is a job; an unusable one is refused at close, and the sentence says why" {
	mount_inferfs
	is "$(put many.jsonl '{"prompt":"x"}')" "put ok"
	is "$(jq -r .response.samples[0].text "$R/many/output.jsonl")" "echo: x"
	is "$(put bad.jsonl $'{"promt":"x"}\n')" "put EINVAL"
	is "$(status_of bad)" failed
	like "$(jq -r .message "$R/bad/error.json")" .
	sent x
}

@test "responses/ mirrors the directories and nothing else" {
	mount_inferfs
	mkdir -p "$P/a/b" "$P/.hid"
	prompt a/b/q x
	put a/b/readme.txt none
	answer a/b/q
	is "$(cd "$R" && find . -type d ! -path '*/samples*' | sort | tr '\n' ' ')" ". ./a ./a/b ./a/b/q "
	rmdir "$P/a" 2>/dev/null && false
	rm -r "$P/a"
	[ ! -e "$R/a" ]
}

@test "names in Unicode and with spaces, quotes and newlines are requests like any other" {
	mount_inferfs
	for name in 'größe' '天空' 'two words' "it's" $'new\nline' '%41' '-dash' 'a.b'; do
		prompt "$name" "$name" >/dev/null || prompt "$name" plain
		answer "$name" >/dev/null
	done
	is "$(ls "$R" | wc -l)" 9 "a newline makes nine lines of eight names:"
}
