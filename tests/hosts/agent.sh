#!/usr/bin/env bash
# agent.sh [-OPTION...] HOST COMMAND...: what ssh is on a cluster, for the hosts of network.sh.
while [[ $1 == -* ]]; do
    shift
done
host=$1
shift
# shellcheck disable=SC2016 # expanded on the host
exec ip netns exec "$NETWORK$host" unshare --uts --mount --pid --fork --kill-child --mount-proc --propagation private \
    bash -c 'hostname "$1" && mount -t tmpfs -o size=1g tmpfs /dev/shm || exit 1; bash -c "$2"; exit $?' host "$host" "$*"
