#!/usr/bin/env bash
# clients.sh DIRECTORY   what the inferfs in DIRECTORY sends against what the official client libraries send
#
# The libraries come from npm, in the versions of tests/clients/package.json, and stay below build/; nothing of them is
# part of this repository.  Without them, or without FUSE, the suite is skipped.
set -u
cd "$(dirname "$0")/../.." || exit 1
place=build/clients
log=build/logs/clients-npm.log

skip() { # WHY
	echo "ok clients # SKIP $1"
	exit 0
}

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	skip "node or npm is not installed"
fi
[ "$(node -p 'process.versions.node.split(".")[0] >= 20')" = true ] || skip "node $(node -v) is older than 20"
if [ ! -w /dev/fuse ] || ! command -v fusermount3 >/dev/null; then
	skip "there is no FUSE here"
fi
command -v openssl >/dev/null || skip "openssl is not installed"
mkdir -p $place build/logs
rm -f $place/*.js
cp tests/clients/*.js $place/
if ! cmp -s tests/clients/package.json $place/package.json || [ ! -d $place/node_modules ]; then
	rm -rf $place/node_modules $place/package.json
	cp tests/clients/package.json $place/package.new
	mv $place/package.new $place/package.json
	if ! timeout -k 5 150 npm install --prefix $place --no-package-lock --no-audit --no-fund --ignore-scripts \
		>$log 2>&1 </dev/null; then
		rm -f $place/package.json
		skip "npm could not install the libraries (see $log)"
	fi
fi
exec node $place/clients.js "$1"
