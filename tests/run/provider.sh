#!/usr/bin/env bash
# provider.sh DIRECTORY   tests/provider/selftest.sh, if there is one, against DIRECTORY/provider
#
# Its own ok/not ok lines count; a script that prints none counts as one test.
set -u
script=tests/provider/selftest.sh
[ -e $script ] || exit 0
out=$(INFERFS_BUILD=$1 setpriv --pdeathsig TERM timeout -k 5 "${TEST_SECONDS:-120}" bash $script 2>&1 </dev/null)
status=$?
printf '%s\n' "$out"
if [ $status != 0 ] && ! grep -q '^not ok' <<<"$out"; then
	echo "not ok provider selftest: exit status $status"
elif ! grep -Eq '^(not )?ok' <<<"$out"; then
	echo "ok provider selftest"
fi
exit $status
