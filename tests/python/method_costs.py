"""How often the network runs for all methods of a job together, and for each alone.

    method_costs.py SGDIST JOB WHOLE.h5 [KEY=VALUE ...]     WHOLE.h5 is the result of JOB with these settings, by one run

The run must have counted what the plan foretold (items/forwards, items/backwards); a job of one entry of the
same methods must cost as much as maps/<label>'s account in the whole says, so that what the whole costs less is
what its methods share.
"""
import subprocess
import sys
import tempfile

import h5py
import numpy as np

SHARING = ["smoothgrad", "smoothgrad_squared", "vargrad"]  # equal noise, equal reading: one sweep, one gradient
LISTED = ["adaptgrad-none-c0.95", "adaptgrad-none-c0.99", "adaptgrad-extra-c0.95", "adaptgrad-extra-c0.99"]


def counts(path):
    with h5py.File(path) as f:
        run = f["performance/forwards"].shape[0]
        measured = [int(f[f"performance/{name}"][:].sum()) for name in ("forwards", "gradients")]
        planned = [int(f[f"items/{name}"][:].sum()) for name in ("forwards", "backwards")]
        assert run >= 1 and measured == planned, f"{path}: counted {measured}, planned {planned}"
        account = {label: [int(f[f"cost/{label}/{name}"][:].sum()) for name in ("forwards", "backwards")]
                   for label in f["cost"]}
        return planned, account, np.asarray(f["items/seconds"]), {label: f[f"cost/{label}/seconds"][:] for label in f["cost"]}


def alone(sgdist, job, settings, entry):
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/alone.h5"
        subprocess.run([sgdist, job, "--quiet", "--set", f"study.output={out}", "--set", f"methods={entry}"]
                       + [word for s in settings for word in ("--set", s)], check=True)
        return counts(out)[0]


def main(sgdist, job, whole, *settings):
    total, account, seconds, shares = counts(whole)
    sharing = alone(sgdist, job, settings, f"[{', '.join(SHARING)}]")
    for method in SHARING:
        assert alone(sgdist, job, settings, f"[{method}]") == sharing == account[method], (method, sharing, account[method])
    assert alone(sgdist, job, settings, "[smoothgrad, smooth_grad_cam_plus_plus]") == sharing  # a layer of the same pass
    both = alone(sgdist, job, settings, "[left_ig, right_ig]")
    assert both == account["left_ig"] == account["right_ig"], (both, account["left_ig"])
    for method in ("integrated_gradients", "guided_ig", "grad_cam", "smoothdiff", "noisegrad", "expected_gradients", "sobel"):
        assert alone(sgdist, job, settings, f"[{method}]") == account[method], (method, account[method])
    for label in LISTED:
        assert label in account, f"no label {label}: {sorted(account)}"
    apart = np.sum(list(account.values()), axis=0)
    assert total[0] < apart[0] and total[1] < apart[1], (total, apart)
    for label, part in shares.items():
        assert np.all(part >= 0) and np.all(part <= 1.05 * seconds), (label, part, seconds)
    print(f"{len(account)} maps: {total[0]} forward and {total[1]} backward passes together, {apart[0]} and {apart[1]} each alone")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
