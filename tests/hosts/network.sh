# shellcheck shell=bash
# Four hosts on one machine: network namespaces with an Ethernet bridge between them. Sourced.
#
#     network_reason            why there can be none here; nothing if there can be
#     network_up N              hosts h1 to hN, 10.77.0.1 to 10.77.0.N
#     network_mpirun N SLOTS ARGUMENT...    mpirun on h1 over all hosts
#     network_rate I RATE       limits what host I sends, for instance 100mbit; `off` ends that
#     network_cut I             host I's cable is pulled out
#     network_join I            and put back
#     network_down              ends all processes of the hosts, removes everything
#
# A host has its own name, addresses, /dev/shm and process numbers. Nothing outside the namespaces is touched. There is
# no ssh: Open MPI starts its daemons through tests/hosts/agent.sh.

network_reason() {
    if ((EUID != 0)); then
        echo "not root"
    elif ! command -v ip tc >/dev/null; then
        echo "ip is missing (Debian: iproute2)"
    elif ! unshare --uts --net --mount --pid --fork --mount-proc hostname none 2>/dev/null; then
        echo "this system allows no namespaces (unshare --uts --net --mount --pid)"
    elif ! { ip netns add sgprobe && ip -n sgprobe link add probe type bridge; } 2>/dev/null; then
        echo "this system has no bridges or network namespaces"
    fi
    ip netns del sgprobe 2>/dev/null
}

# Names carry the number of the shell, so that two tests do not meet.
network_up() {
    local i
    HOSTS=$1
    export NETWORK=sg$$
    ip netns add "${NETWORK}s" || return 1
    ip -n "${NETWORK}s" link add br0 type bridge && ip -n "${NETWORK}s" link set br0 up || return 1
    for ((i = 1; i <= HOSTS; i++)); do
        ip netns add "${NETWORK}h$i" && ip -n "${NETWORK}h$i" link set lo up &&
            ip link add veth0 netns "${NETWORK}h$i" type veth peer name "p$i" netns "${NETWORK}s" &&
            ip -n "${NETWORK}s" link set "p$i" master br0 up &&
            ip -n "${NETWORK}h$i" addr add "10.77.0.$i/24" dev veth0 &&
            ip -n "${NETWORK}h$i" link set veth0 up || return 1
    done
}

network_mpirun() {
    local n=$1 slots=$2 hosts='' i
    shift 2
    for ((i = 1; i <= n; i++)); do
        hosts+=",h$i:$slots"
    done
    OMPI_MCA_plm_rsh_agent=$SOURCE/tests/hosts/agent.sh OMPI_MCA_plm=rsh OMPI_MCA_ras=^slurm \
        OMPI_MCA_btl_tcp_if_include=10.77.0.0/24 OMPI_MCA_oob_tcp_if_include=10.77.0.0/24 \
        exec "$SOURCE/tests/hosts/agent.sh" h1 exec mpirun --bind-to none --host "${hosts#,}" "$(printf '%q ' "$@")"
}

network_rate() {
    ip netns exec "${NETWORK}h$1" tc qdisc del dev veth0 root 2>/dev/null
    [[ $2 == off ]] || ip netns exec "${NETWORK}h$1" tc qdisc add dev veth0 root tbf rate "$2" burst 64k latency 50ms
}

network_cut() {
    ip -n "${NETWORK}s" link set "p$1" down
}

network_join() {
    ip -n "${NETWORK}s" link set "p$1" up
}

network_kill() {
    local pids
    pids=$(ip netns pids "${NETWORK}h$1" 2>/dev/null)
    # shellcheck disable=SC2086 # a list
    [[ -z $pids ]] || kill -KILL $pids 2>/dev/null
}

network_down() {
    local i
    [[ -n ${NETWORK-} ]] || return 0
    for ((i = 1; i <= HOSTS; i++)); do
        network_kill "$i"
        ip netns del "${NETWORK}h$i" 2>/dev/null
    done
    ip netns del "${NETWORK}s" 2>/dev/null
}
