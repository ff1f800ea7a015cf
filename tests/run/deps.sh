#!/usr/bin/env bash
# deps.sh check|install SET...   what the build (or the tests) need and this machine lacks
#
# A row is: set, probe, Debian package.  Probes: cmd:NAME, pc:PKGCONFIG, file:GLOB.  A library built by hand therefore
# counts as present, and a second run installs nothing.
set -u

rows() {
	cat <<'ROWS'
build cmd:gcc                                          gcc
build file:/usr/include/stdio.h                        libc6-dev
build cmd:pkg-config                                   pkg-config
build pc:fuse3                                         libfuse3-dev
build pc:libcurl                                       libcurl4-openssl-dev
build pc:jansson                                       libjansson-dev
build pc:openssl                                       libssl-dev
build pc:sqlite3                                       libsqlite3-dev
build pc:inih                                          libinih-dev
run   cmd:fusermount3                                  fuse3
test  cmd:fusermount3                                  fuse3
test  file:/etc/ssl/certs/ca-certificates.crt          ca-certificates
test  pc:cmocka                                        libcmocka-dev
test  pc:libmicrohttpd                                 libmicrohttpd-dev
test  cmd:bats                                         bats
test  cmd:clang                                        clang
test  file:/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a libclang-rt-14-dev
test  cmd:llvm-symbolizer                              llvm
test  cmd:clang-format                                 clang-format
test  cmd:clang-tidy                                   clang-tidy
test  cmd:cppcheck                                     cppcheck
test  cmd:ctags                                        universal-ctags
test  cmd:shellcheck                                   shellcheck
test  cmd:mandoc                                       mandoc
test  cmd:setfattr                                     attr
test  cmd:curl                                         curl
test  cmd:jq                                           jq
test  cmd:rsync                                        rsync
test  cmd:pkill                                        procps
test  cmd:sqlite3                                      sqlite3
test  cmd:openssl                                      openssl
test  cmd:nginx                                        nginx
test  cmd:python3                                      python3
test  file:/usr/lib/python3/dist-packages/numpy        python3-numpy
test  cmd:script                                       bsdutils
test  cmd:node                                         nodejs
test  cmd:npm                                          npm
ROWS
}

present() { # PROBE
	case $1 in
	cmd:*) command -v "${1#cmd:}" >/dev/null 2>&1 ;;
	pc:*) pkg-config --exists "${1#pc:}" 2>/dev/null ;;
	file:*) compgen -G "${1#file:}" >/dev/null ;;
	esac
}

missing() { # SET...: the packages to install, one a line
	local set probe package wanted
	while read -r set probe package; do
		for wanted in "$@"; do
			if [ "$set" = "$wanted" ] && ! present "$probe"; then
				echo "$package"
			fi
		done
	done < <(rows) | sort -u
}

refuse() { # WHY
	echo "inferfs: these packages are missing and $1: ${packages[*]}" >&2
	exit 1
}

mode=$1
shift
mapfile -t packages < <(missing "$@")
[ ${#packages[@]} -gt 0 ] || exit 0
[ "$mode" = install ] || refuse "'make deps' installs them"
command -v apt-get >/dev/null || refuse "there is no apt-get here to install them with"
as_root=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || refuse "installing them needs root, or sudo"
	as_root=(sudo)
fi
mkdir -p build/logs
log=build/logs/deps.log
echo "installing: ${packages[*]}"
apt() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" </dev/null
}
{
	apt update
	apt install -y --no-install-recommends "${packages[@]}"
} >"$log" 2>&1 || refuse "apt-get could not install them (see $log)"
mapfile -t packages < <(missing "$@")
[ ${#packages[@]} -eq 0 ] || refuse "are still not found after installing them"
