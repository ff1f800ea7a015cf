#!/usr/bin/env bash
# run.sh   what takes too long for every day: the same tests as `make mount`, with more of everything
set -u
cd "$(dirname "$0")/../.." || exit 1
REPLAY_KEYS=50 REPLAY_IDS=20 REPLAY_ORDERS=20 TEST_SECONDS=1500 FILE_SECONDS=1800 \
	exec tests/run/mount.sh tests/mount/54-replay.bats
