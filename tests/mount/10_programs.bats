# what people write prompts with: each leaves one request, whole, sent once
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	mount_inferfs
	P=$M/prompts
	cd "$W" || return 1
}
teardown() {
	cd "$TOP" || return 1
	finish_test
}

Q='{"prompt":"Why is the sky blue?","temperature":0.5}'

once() { # NAME PROMPT: it was asked once and is answered
	is "$(answer "$1")" "echo: $2"
	sent "$2"
}
rewrite_setup() { # a request that has been answered: what follows rewrites it
	fop put "$P/q.json" "$Q"
	once q "Why is the sky blue?"
}

@test "sh -c 'echo > f' is one request" {
	Q=$Q P=$P sh -c 'echo "$Q" > "$P/q.json"'
	once q "Why is the sky blue?"
}

@test "bash's echo > f is one request" {
	echo "$Q" >"$P/q.json"
	once q "Why is the sky blue?"
}

@test "(cat a; cat b) > f.json is one request: the whole" {
	printf '{"prompt":"Why is ' >a
	printf 'the sky blue?"}' >b
	(cat a; cat b) >"$P/q.json"
	once q "Why is the sky blue?"
}

@test "(cat a; cat b) > n.txt is one request: the whole" {
	printf 'first half, ' >a
	printf 'second half\n' >b
	(cat a; cat b) >"$P/n.txt"
	once n "first half, second half"
}

@test "a group of three commands into one text file is one request" {
	{ echo one; sh -c 'echo two'; cat <<<three; } >"$P/n.txt"
	once n $'one\ntwo\nthree'
}

@test "append by >> after the first part continues the request under the same name" {
	printf 'a' >"$P/n.txt"
	once n a
	printf 'b\n' >>"$P/n.txt"
	is "$(answer n)" "echo: ab"
	sent a ab
}

@test "dd bs=1 is one request" {
	echo "$Q" >q
	dd if=q of="$P/q.json" bs=1 status=none
	once q "Why is the sky blue?"
}

@test "tee is one request" {
	echo "$Q" | tee "$P/q.json" >/dev/null
	once q "Why is the sky blue?"
}

@test "cp, cp -a and install are one request each" {
	echo '{"prompt":"by cp"}' >a.json
	echo '{"prompt":"by cp -a"}' >b.json
	echo '{"prompt":"by install"}' >c.json
	cp a.json "$P"
	cp -a b.json "$P"
	install -m 600 c.json "$P"
	is "$(answer a)" "echo: by cp"
	is "$(answer b)" "echo: by cp -a"
	is "$(answer c)" "echo: by install"
	sent "by cp" "by cp -a" "by install"
	is "$(stat -c %Y "$P/b.json")" "$(stat -c %Y b.json)"
}

@test "cp -a of a tree sends every request in it once" {
	mkdir -p tree/one/two
	for i in 1 2 3; do
		echo "{\"prompt\":\"top $i\"}" >tree/t$i.json
		echo "deep $i" >tree/one/two/d$i.txt
	done
	cp -a tree "$P"
	is "$(answer tree/t2)" "echo: top 2"
	is "$(answer tree/one/two/d3)" "echo: deep 3"
	sent "top 1" "top 2" "top 3" "deep 1" "deep 2" "deep 3"
}

@test "mv from another file system is one request" {
	echo "$Q" >q.json
	mv q.json "$P"
	once q "Why is the sky blue?"
}

@test "mv of a finished file to a request name sends it at once" {
	echo "$Q" >"$P/q.part"
	sent
	mv "$P/q.part" "$P/q.json"
	once q "Why is the sky blue?"
}

@test "rsync -a sends once, a second run sends nothing, a changed file is sent" {
	mkdir src
	echo "$Q" >src/q.json
	echo other >src/n.txt
	rsync -a src/ "$P/"
	is "$(answer n)" "echo: other"
	once2() { sent "Why is the sky blue?" other; }
	is "$(answer q)" "echo: Why is the sky blue?"
	once2
	rsync -a src/ "$P/"
	once2
	echo changed >src/n.txt
	rsync -a --checksum src/ "$P/"
	is "$(answer n)" "echo: changed"
	rsync -a --inplace src/ "$P/"
	sent "Why is the sky blue?" other changed
}

@test "tar x sends each file once" {
	mkdir src
	echo "$Q" >src/q.json
	echo other >src/n.md
	tar -C src -cf a.tar .
	tar -C "$P" -xf a.tar
	is "$(answer n)" "echo: other"
	is "$(answer q)" "echo: Why is the sky blue?"
	sent "Why is the sky blue?" other
}

@test "git init, add, commit, checkout of an old version" {
	git config --global user.name t
	git config --global user.email t@example.org
	mkdir "$P/repo"
	fop put "$P/repo/q.json" "$Q"
	is "$(answer repo/q)" "echo: Why is the sky blue?"
	(cd "$P/repo" && git init -q . && git add . && git commit -qm one) 2>&1
	sent "Why is the sky blue?"
	fop put "$P/repo/q.json" '{"prompt":"second"}'
	is "$(answer repo/q)" "echo: second"
	(cd "$P/repo" && git commit -qam two && git checkout -q HEAD~1 -- q.json && git status --short) 2>&1
	is "$(answer repo/q)" "echo: Why is the sky blue?"
	# the old version's answer is in the cache
	sent "Why is the sky blue?" second
	(cd "$P/repo" && git fsck 2>&1)
}

@test "python's atomic write (temporary name, fsync, replace) is one request" {
	python3 - "$P/q.json" "$Q" <<'PY'
import os, sys, tempfile
d = os.path.dirname(sys.argv[1])
fd, tmp = tempfile.mkstemp(dir=d)
with os.fdopen(fd, "w") as f:
    f.write(sys.argv[2])
    f.flush()
    os.fsync(f.fileno())
os.replace(tmp, sys.argv[1])
PY
	once q "Why is the sky blue?"
}

@test "writes in pieces and out of order are one request" {
	fop open "$P/q.json" w,creat , pwrite 0 10 '"out of order"}' , pwrite 0 0 '{"prompt":' , close 0
	once q "out of order"
}

@test "a file written through two descriptors of one process is one request" {
	fop open "$P/n.txt" w,creat , dup 0 , write 0 one, , close 0 , write 1 two , close 1
	once n "one,two"
}

@test "sed -i rewrites and sends once" {
	rewrite_setup
	sed -i 's/blue/red/' "$P/q.json"
	is "$(answer q)" "echo: Why is the sky red?"
	sent "Why is the sky blue?" "Why is the sky red?"
}

@test "an emacs-style save (backup by renaming, new file) sends the new text once and nothing else" {
	rewrite_setup
	mv "$P/q.json" "$P/q.json~"
	fop put "$P/q.json" '{"prompt":"saved"}'
	is "$(answer q)" "echo: saved"
	sent "Why is the sky blue?" saved
	is "$(cat "$P/q.json~")" "$Q"
}

@test "an emacs-style save with its lock link and auto-save file sends once" {
	rewrite_setup
	ln -s me@here.1:2 "$P/.#q.json"
	fop put "$P/#q.json#" '{"prompt":"half a'
	mv "$P/q.json" "$P/q.json~"
	fop open "$P/q.json" w,creat,excl , write 0 '{"prompt":"saved"}' , fsync 0 , close 0
	rm "$P/#q.json#" "$P/.#q.json"
	is "$(answer q)" "echo: saved"
	sent "Why is the sky blue?" saved
}

@test "saving the same by an emacs-style rename buys nothing" {
	rewrite_setup
	mv "$P/q.json" "$P/q.json~"
	fop put "$P/q.json" "$Q"
	once q "Why is the sky blue?"
}

vim_saves() { # ARGUMENT...
	command -v vim >/dev/null || skip "there is no vim here"
	rewrite_setup
	TERM=dumb timeout $((20 * SLOW)) vim "$@" -c '%s/blue/green/' -c wq "$P/q.json" </dev/null >vim.out 2>&1
	is "$(answer q)" "echo: Why is the sky green?"
	sent "Why is the sky blue?" "Why is the sky green?"
	is "$(find "$P" -name '*q.json*')" "$P/q.json" "what vim left behind:"
}

@test "vim -u NONE -es saves once" {
	vim_saves -u NONE -es
}

@test "vim with its default configuration saves once" {
	vim_saves --not-a-term -N
}

@test "vim with a backup by renaming saves once" {
	vim_saves -u NONE -es --cmd 'set writebackup backupcopy=no'
}

@test "vim writes a new request once" {
	command -v vim >/dev/null || skip "there is no vim here"
	TERM=dumb timeout $((20 * SLOW)) vim -u NONE -es -c 'call setline(1, "hello from vim")' -c wq "$P/v.txt" </dev/null
	once v "hello from vim"
}

@test "make writes a request, and its answer is a target that is out of date until it is there" {
	printf '%s\n\t%s\n' >"$P/Makefile" \
		'report: ../responses/q/text' 'cp $< ../../report' \
		'q.json: q.in' "sed 's/COLOUR/blue/' \$< >\$@" \
		'../responses/q/text: q.json' 'cat $@ >/dev/null'
	echo '{"prompt":"Why is the sky COLOUR?"}' >"$P/q.in"
	make -C "$P" report >make.out 2>&1 || { cat make.out; false; }
	is "$(cat report)" "echo: Why is the sky blue?"
	make -q -C "$P" ../responses/q/text q.json
	once q "Why is the sky blue?"
}

@test "a prompt of a megabyte arrives whole" {
	head -c 700000 /dev/urandom | base64 -w 76 >big.txt
	cp big.txt "$P/big.txt"
	answer big >out
	{ printf 'echo: '; cat big.txt; } | cmp - out
	is "$(provider_count)" 1
}
