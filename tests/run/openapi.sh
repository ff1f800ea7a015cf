#!/usr/bin/env bash
# openapi.sh DIRECTORY        every body the contract suite makes against the providers' own descriptions
# openapi.sh DIRECTORY sent   the same with every body that the last run of the mount tests sent
#
# DIRECTORY is the build's; mount.sh leaves what was sent in DIRECTORY/bodies.  The descriptions lie beside the checkout (or in $INFERFS_OPENAPI); the validator comes from
# npm, in the versions of tests/openapi/package.json, and stays below build/.  Without one of them the suite is skipped.
set -u
cd "$(dirname "$0")/../.." || exit 1
descriptions=${INFERFS_OPENAPI:-../shared/protocols/openapi}
place=build/openapi
log=build/logs/openapi-npm.log
suite=openapi
[ "${2:-}" != sent ] || suite=bodies

skip() { # WHY
	echo "ok $suite # SKIP $1"
	exit 0
}

[ -d "$descriptions" ] || skip "no descriptions of the providers at $descriptions"
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	skip "node or npm is not installed"
fi
[ $suite = openapi ] || [ -d "$1/bodies" ] || skip "no mount test has run in $1 since it was cleaned"
mkdir -p $place build/logs
cp tests/openapi/*.js $place/
if ! cmp -s tests/openapi/package.json $place/package.json || [ ! -d $place/node_modules ]; then
	rm -rf $place/node_modules $place/package.json
	cp tests/openapi/package.json $place/package.new
	mv $place/package.new $place/package.json
	if ! timeout -k 5 90 npm install --prefix $place --no-package-lock --no-audit --no-fund --ignore-scripts \
		>$log 2>&1 </dev/null; then
		rm -f $place/package.json
		skip "npm could not install the validator (see $log)"
	fi
fi
[ $suite = openapi ] || exec node $place/validate.js "$descriptions" "$1/bodies"
if ! "$1/unit/test_contract" --bodies $place/bodies.jsonl >$place/contract.log 2>&1; then
	echo "not ok openapi: the bodies could not be made (see $place/contract.log)"
	exit 1
fi
exec node $place/validate.js "$descriptions" $place/bodies.jsonl
