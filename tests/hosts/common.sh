# shellcheck shell=bash
# Shared by the tests over several hosts; sourced. Exit codes: 0 passed, 1 failed, 77 skipped.
# shellcheck source=tests/mpi/common.sh
. "$SOURCE/tests/mpi/common.sh"
# shellcheck source=tests/hosts/network.sh
. "$SOURCE/tests/hosts/network.sh"

reason=$(network_reason)
if [[ -n $reason ]]; then
    echo "skipped: $reason"
    exit 77
fi
unset OMPI_MCA_btl_vader_backing_directory # each host has a /dev/shm of its own
trap 'network_down; clean_up' EXIT
network_up 4 || fail "the network did not come up"

# start_hosts RANKS OUT SET...: starts a run spread over the four hosts, as start_run does on one.
start_hosts() {
    local ranks=$1 out=$2
    shift
    run_command 1 "$@"
    COMMAND=(mpirun --map-by node -n "$ranks" "${COMMAND[@]}")
    (network_mpirun 4 8 "${COMMAND[@]:1}") </dev/null >"$out.log" 2>&1 &
    RUN_PID=$!
}

# As run_whole, on all hosts.
run_hosts() {
    start_hosts "$@"
    finish_run "$LIMIT_S"
    ((RUN_CODE == 0)) || tail -n 20 "$2.log"
    return "$RUN_CODE"
}
