"""A run with a fault in it, and the same command again without: what the sweeps over faults have in common."""
import concurrent.futures
import re
import shutil

import bad_input

SGDIST = bad_input.SGDIST
WORK = bad_input.WORK.resolve()


def fresh(name):
    folder = WORK / name
    if folder.exists():
        shutil.rmtree(folder)
    bad_input.good_folder(folder)
    return folder


def complaints(done, folder, code, word, reason):
    """The run ended with this exit code, one line with this word, which says the reason, and left nothing behind."""
    bad, out = [], done.stdout
    lines = [line for line in out.splitlines() if word in line]
    if done.returncode != code:
        bad.append(f"exit code {done.returncode}, expected {code}")
    if len(lines) != 1:
        bad.append(f"{len(lines)} lines with '{word}', expected one")
    if not all(re.search(reason, line) for line in lines):
        bad.append(f"the message does not say /{reason}/")
    bad += [f"the output has /{pattern}/" for pattern in bad_input.NEVER if re.search(pattern, out)]
    left = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".lock", ".tmp")]
    if left:
        bad.append(f"left behind: {', '.join(left)}")
    return bad


def judge(title, folder, result, whole, broken, blame, again):
    """broken() and again() run the program in the folder, blame(done) lists what was wrong with the first of them; the
    result must then be that of an undisturbed run, `whole`. The failure as a text, or ""."""
    output = ""
    try:
        done = broken()
        output = done.stdout
        bad = blame(done)
        done = again()
        if done.returncode != 0:
            bad.append(f"the same command again: exit code {done.returncode}")
            output += done.stdout
        else:
            same = bad_input.run([SGDIST, "diff", str(whole), str(result)], folder)
            if same.returncode != 0:
                bad.append("the same command again: other bits")
                output += same.stdout
    except bad_input.subprocess.TimeoutExpired:
        bad = [f"no end in {bad_input.TIMEOUT_S} s"]
    if not bad:
        shutil.rmtree(folder)
        return ""
    return "\n".join([f"FAILED: {title}   (see {folder})"] + [f"  - {text}" for text in bad]
                     + [f"  | {line}" for line in output.splitlines()[:12]])


def sweep(points, judge_point, what):
    """Judges all points, some at a time, and prints the failures; the exit code."""
    with concurrent.futures.ThreadPoolExecutor(bad_input.PARALLEL) as pool:
        failures = [text for text in pool.map(lambda point: judge_point(*point), points) if text]
    print("\n".join(failures + [f"{len(points) - len(failures)} of {len(points)} {what} ended well"]))
    return 1 if failures or not points else 0
