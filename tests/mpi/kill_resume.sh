#!/usr/bin/env bash
# kill_resume.sh ROUNDS SEED [RANKS [KILLS]]: whatever is killed whenever, resuming ends with the bits of an
# undisturbed run.
#
# A round starts the job on up to RANKS (5) ranks, kills a random process of it (mpirun or a rank) with
# SIGKILL at a random time or while a checkpoint is being written, and resumes on another number; a resume may
# be killed again, up to KILLS (5) times in all. After each kill
# the result, where there is one, must open in h5py, and what it calls done must hold numbers.
# shellcheck source=tests/mpi/common.sh
. "$(dirname "$0")/common.sh"

rounds=${1:-3}
RANDOM=${2:-1}
max_ranks=${3:-5}
max_kills=${4:-5}

# Odd rounds have many short items, even ones two long items, which live through kills by their checkpoints.
sets_of_round() {
    if (($1 % 2)); then
        SETS=(data.limit=48 "sampling.samples=${SAMPLES:-400}" run.checkpoint_seconds=0.1)
    else
        SETS=(data.limit=2 "sampling.samples=$((${SAMPLES:-400} * 24))" run.checkpoint_seconds=0.1)
    fi
}

# Random choices are made in this shell, not in a $(...), which would not follow the seed.
choose_delay() { # DELAY: milliseconds below $1
    DELAY=$(((RANDOM * 32768 + RANDOM) % $1))
}

milliseconds() {
    echo $(($(date +%s%N) / 1000000))
}

for kind in 1 2; do
    sets_of_round "$kind"
    forget_result "reference-$kind.h5"
    start=$(milliseconds)
    run_whole 3 "reference-$kind.h5" "${SETS[@]}" || fail "the undisturbed run ended with exit code $?"
    undisturbed_ms[kind]=$(($(milliseconds) - start))
    echo "undisturbed, kind $kind: ${undisturbed_ms[kind]} ms"
done

# Kills one random process of the run, and says which in VICTIM. Fails if there is none left.
kill_one() {
    local all pid
    mapfile -t all < <(pgrep -s "$RUN_PID")
    ((${#all[@]} > 0)) || return 1
    pid=${all[RANDOM % ${#all[@]}]}
    VICTIM=rank
    if [[ $pid == "$RUN_PID" ]]; then
        VICTIM=leader # mpirun, or the only rank
    fi
    kill -KILL "$pid" 2>/dev/null
}

is_writing_checkpoint() {
    compgen -G "$1.partial/*.tmp" >/dev/null
}

# A checkpoint is written in a few milliseconds: waits for one, at most $2 milliseconds.
catch_checkpoint() {
    local end=$(($(milliseconds) + $2))
    until is_writing_checkpoint "$1" || (($(milliseconds) > end)); do
        :
    done
}

# Where a kill found the run: this shows that the test reaches what it is for.
phase() {
    if is_writing_checkpoint "$1"; then
        echo "checkpoint"
    elif [[ -e $1 ]]; then
        echo "run"
    elif compgen -G "$1.*" | grep -qvE '\.(log|events\.jsonl)$'; then
        echo "layout"
    else
        echo "start"
    fi
}

declare -A seen=([start]=0 [layout]=0 [run]=0 [checkpoint]=0)
bad=0
out=killed.h5
printf '%5s %4s  %-60s %s\n' round kind "ranks, victim, time, phase, done" verdict
for ((round = 1; round <= rounds; round++)); do
    kind=$((2 - round % 2))
    sets_of_round "$kind"
    forget_result "$out"
    story=
    verdict=
    kept=0 # finished items that a kill must leave alone
    for ((kill = 0; ; kill++)); do
        ranks=$((1 + RANDOM % max_ranks))
        start_run "$ranks" "$out" "${SETS[@]}"
        # The first run is always hit, a resume two times in three; one kill in three comes early, when the
        # file is being laid out, one in four of the others in the middle of a checkpoint.
        if ((kill < max_kills && (kill == 0 || RANDOM % 3 > 0))); then
            span=${undisturbed_ms[kind]}
            if ((RANDOM % 3 == 0)); then
                span=$((span < 700 ? span : 700))
            fi
            choose_delay "$span"
            sleep "$(printf '%d.%03d' $((DELAY / 1000)) $((DELAY % 1000)))"
            if ((span > 700 && RANDOM % 4 == 0)); then
                catch_checkpoint "$out" "$span"
            fi
            where=$(phase "$out")
            if kill_one; then
                seen[$where]=$((seen[$where] + 1))
                finish_run 30 "$out.log"
                # A user may start again at once or later: the next run has to cope with dying ranks.
                if ((RANDOM % 2)); then
                    wait_for_orphans 30
                fi
                story+="$ranks $VICTIM ${DELAY}ms $where"
                if [[ -e $out ]]; then
                    if ! done=$("$PYTHON" "$SAME_BITS" --opens "$out" 2>&1); then
                        verdict="DOES NOT OPEN: $done"
                        break
                    fi
                    story+=" $done"
                    if ((${done%% *} < kept)); then
                        verdict="LOST FINISHED ITEMS: there were $kept"
                        break
                    fi
                    kept=${done%% *}
                fi
                story+="; "
                continue
            fi
        fi
        finish_run "$LIMIT_S"
        if ((RUN_CODE != 0)); then
            verdict="EXIT CODE $RUN_CODE: $(tail -n 3 "$out.log")"
            break
        fi
        story+="$ranks whole"
        if ! verdict=$(expect_same "reference-$kind.h5" "$out"); then
            verdict="DIFFERS: $verdict"
            break
        fi
        leftovers=$(compgen -G "$out.*" | grep -vE '\.(log|events\.jsonl)$')
        if [[ -n $leftovers ]]; then
            verdict="LEFT BEHIND: $leftovers"
            break
        fi
        verdict=same
        break
    done
    wait_for_orphans 30
    if [[ $verdict != same ]]; then
        bad=$((bad + 1))
        cp -r "$out" "bad-round-$round.h5" 2>/dev/null
    fi
    printf '%5d %4d  %-60s %s\n' "$round" "$kind" "$story" "$verdict"
done

echo "kills before the file: ${seen[start]}, while it was laid out: ${seen[layout]}, after: ${seen[run]}," \
    "in the middle of a checkpoint: ${seen[checkpoint]}; times that mpirun alone hung: $N_MPIRUN_HUNG"
((bad == 0)) || fail "$bad of $rounds rounds"
if ((rounds >= 20 && (seen[run] + seen[checkpoint] == 0 || seen[start] + seen[layout] == 0))); then
    fail "no kill came before the file was there, or none after: the times do not fit this machine"
fi
