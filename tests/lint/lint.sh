#!/usr/bin/env bash
# lint.sh   every check that needs no running program; prints "ok NAME" or "not ok NAME" (breaches before it, as "# ")
#
# Walls fail, aims are only reported.  A new check is one more `check` line at the end.
set -u
cd "$(dirname "$0")/../.." || exit 1
jobs=${JOBS:-2}
here=tests/lint
unset MAKEFLAGS MFLAGS MAKELEVEL
mapfile -t code < <(find src -name '*.[ch]' 2>/dev/null | sort)
failed=0

check() { # NAME TOOL COMMAND...: one result; skipped when the tool is not installed
	local name=$1 tool=$2 out
	shift 2
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "ok $name # SKIP $tool is not installed"
	elif out=$("$@" 2>&1); then
		echo "ok $name"
	else
		printf '%s\n' "$out" | head -n 80 | sed 's/^/# /'
		echo "not ok $name"
		failed=1
	fi
}

made() { # TARGET: its stamps below build/lint, as many as can be made
	make -s -k -j"$jobs" "$1"
}

layers() {
	awk -f "$here/layers.awk" "$here/layers.txt" "${code[@]}"
}

budgets() { # prints its own results
	local tags
	tags=$(mktemp)
	ctags --languages=C --langmap=C:.c.h --kinds-C=fpsmv --fields=fksSen --excmd=number -f - "${code[@]}" |
		grep -v '^!' >"$tags"
	awk -f "$here/strip.awk" -f "$here/budgets.awk" "$tags" "${code[@]}" || failed=1
	rm -f "$tags"
}

nonblank() { # LISTED FILES on stdin: their lines that are not empty
	xargs -r cat | grep -c '[^[:space:]]'
}

test_ratio() {
	local c t
	c=$(find src -name '*.[ch]' | nonblank)
	t=$(find tests -regextype posix-extended -regex '.*\.(c|h|bats|bash|sh|js)' -not -path 'tests/lint/*' \
		-not -path 'tests/run/*' -not -path 'tests/data/*' | nonblank)
	awk -v c="$c" -v t="$t" 'BEGIN {
		printf "# test lines per line of src: %d / %d = %.2f   (aim: 1.5)\n", t, c, c ? t / c : 0
		print (t < c ? "not ok" : "ok") " test-ratio"
		exit t < c }' || failed=1
}

scripts() { # what shellcheck reads: by name, or by the first line
	{ git ls-files -co --exclude-standard 2>/dev/null || find . -type f -not -path "./build/*"; } | while read -r f; do
		case $f in
		*.sh | *.bash | .ci/run) echo "$f" ;;
		*.bats | *.c | *.h | *.json | *.md | tests/data/* | tests/fuzz/corpus/*) ;;
		*) [ -f "$f" ] && head -c 64 "$f" | head -n 1 | grep -aEq '^#!.*[ /](ba|da)?sh' && echo "$f" ;;
		esac
	done
}

shell() {
	local list bats
	mapfile -t list < <(scripts)
	mapfile -t bats < <(find tests -name '*.bats' | sort)
	# SC2317: it takes a function that is called by name, or in a trap, for unreachable
	[ ${#list[@]} -eq 0 ] || shellcheck -x -e SC2317 "${list[@]}" || return 1
	# bats runs each test in a subshell, which shellcheck takes for a lost assignment; "done" is a word of
	# status files; helpers.bash reads what a test sets
	[ ${#bats[@]} -eq 0 ] || shellcheck -S warning -e SC2030,SC2031,SC1010,SC2034 "${bats[@]}"
}

pages() { # the manual pages are right, and say something about everything that has a name
	local word page missing=0
	mandoc -Tlint -W warning src/man/* || return 1
	while read -r page word; do
		grep -qw -- "$word" "src/man/$page" && continue
		echo "src/man/$page says nothing about $word"
		missing=1
	done < <(
		sed -n 's/^\t{ "\([a-z0-9_]*\)", KEYS_.*/inferfs.5 \1/p' src/main/config_keys.c
		sed -n 's/^\t"  \([a-z_]*\)[= ].*/inferfs.1 \1/p' src/main/options.c
		sed -n 's/^\t{ "\([a-z]*\)", ".*/inferctl.1 \1/p' src/ctl/main.c
		sed -n 's/^\t[a-z]* (\*\([a-z_]*\))(.*/inferfs-cache-engine.3 \1/p' src/include/inferfs/cache_engine.h
		sed -n 's/^\t{ "\([a-z_]*\)", TYPE_.*/inferfs.5 \1/p' src/core/request_fields.c
	)
	return "$missing"
}

check layers awk layers
check man mandoc pages
if command -v ctags >/dev/null; then budgets; else echo "ok budgets # SKIP ctags is not installed"; fi
test_ratio
check format clang-format made fmt-check
check shellcheck shellcheck shell
check headers gcc made headers
check gcc-werror gcc made lint-gcc
check clang-werror clang made lint-clang
check cppcheck cppcheck made cppcheck
check clang-tidy clang-tidy made tidy
exit $failed
