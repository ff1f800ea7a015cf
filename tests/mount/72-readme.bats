# what the README and the examples show works as it stands there
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup() { setup_dirs; }
teardown() {
	cd "$TOP" || return 1
	finish_test
}

@test "every command of README.md runs, block after block" {
	awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' README.md >"$W/readme.sh"
	[ "$(wc -l <"$W/readme.sh")" -gt 30 ]
	cd "$W"
	PATH=$BUILD:$PATH timeout $((60 * SLOW)) bash -eu "$W/readme.sh" >"$W/out" 2>&1 3>&- </dev/null || {
		cat "$W/out"
		return 1
	}
	grep -qx 'You said: Why is the sky blue?' "$W/out"
	grep -q 'did you mean "temperature"' "$W/out"
	if mounted "$HOME/llm"; then return 1; fi
}

@test "README.md's configuration is one that inferfs takes" {
	awk '/^```ini$/ { on = 1; n++; next } /^```/ { on = 0 } on { print > (dir "/" n ".ini") }' dir="$W" README.md
	mkdir -p "$HOME/.config/inferfs"
	install -m 600 /dev/null "$HOME/.config/inferfs/mistral.key"
	echo some-key-1 >"$HOME/.config/inferfs/mistral.key"
	cp -p "$HOME/.config/inferfs/mistral.key" "$HOME/.config/inferfs/lab.key"
	for n in 1 2; do
		daemon_run "$W/$n.ini" "$M" -o "state=$STATE,log_file=$LOG"
		umount_inferfs
	done
}

examples() { # MOUNT or "": each script alone, and in a mount that is there
	local s

	for s in ask defaults failure stream cache; do
		INFERFS_MOUNT=$1 PATH=$BUILD:$PATH timeout $((30 * SLOW)) "examples/$s.sh" >"$W/out" 2>&1 3>&- || {
			echo "examples/$s.sh:"
			cat "$W/out"
			return 1
		}
		grep -q 'You said: \|max_tokens' "$W/out"
	done
	printf 'a b\nc d\n' | INFERFS_MOUNT=$1 PATH=$BUILD:$PATH timeout $((30 * SLOW)) examples/many.sh >"$W/out" 3>&-
	is "$(cat "$W/out")" $'a b\tYou said: a b\nc d\tYou said: c d'
}

@test "every example runs by itself" {
	examples ""
}

@test "every example runs in a mount that is there, and cleans up behind it" {
	mount_inferfs
	examples "$M"
	is "$(ls -A "$M/prompts")" ""
}

@test "the Makefile example makes summaries, and again only what changed" {
	mount_inferfs
	cp "$TOP/examples/Makefile.summaries" "$W"
	cd "$W"
	echo first >a.txt
	echo second >b.txt
	make -s -f Makefile.summaries M="$M" TEXTS='a.txt b.txt'
	like "$(cat a.summary)" 'You said: Summarise'
	like "$(cat b.summary)" second
	run -0 make -q -f Makefile.summaries M="$M" TEXTS='a.txt b.txt'
	touch -d '+1 minute' b.txt
	run -1 make -q -f Makefile.summaries M="$M" TEXTS='a.txt b.txt'
}

@test "the Makefile example evaluates 200 questions, 3 models, 5 samples each; the second time for nothing" {
	start_provider
	provider_script '[{"number":true,"text":"It is 42."}]'
	mount_inferfs "$(printf '[backend %s]\ntype = openai\nurl = http://127.0.0.1:%s/v1\nprovider = openai\nprice = list\nkey_env = TEST_KEY\n' \
		one "$PORT" two "$PORT" three "$PORT")"
	cp "$TOP/examples/Makefile.evaluate" "$W"
	cd "$W"
	seq -f 'What is %g?'$'\t''42' 200 >questions.tsv
	evaluate() { make -s -j 16 -f Makefile.evaluate M="$M" MODELS='one/gpt-4.1 two/gpt-4.1 three/gpt-4.1-mini' "$@"; }
	evaluate >"$W/first"
	like "$(head -n 1 "$W/first")" '^one/gpt-4.1: 1000 of 1000$'
	unlike "$(tail -n 1 "$W/first")" 'cost: 0 USD'
	is "$(provider_count) $(summary samples_fresh) $(summary unpriced)" "600 3000 0"
	local cost

	cost=$(summary total_cost)
	evaluate clean
	evaluate >"$W/second"
	like "$(tail -n 1 "$W/second")" '^cost: 0 USD, saved: [0-9.e-]*[1-9]'
	is "$(provider_count) $(summary total_cost)" "600 $cost"
	run -0 make -q -f Makefile.evaluate M="$M" MODELS='one/gpt-4.1 two/gpt-4.1 three/gpt-4.1-mini'
}
