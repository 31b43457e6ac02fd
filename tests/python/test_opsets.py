"""`sgdist list ops` says of every operator the operator sets that ONNX's own schemas say (Debian's python3-onnx)."""
import subprocess
import sys

try:
    from onnx import defs
except ImportError:
    sys.exit(77)

FIRST, LAST = 7, 17
AHEAD = {"Mish"}    # of operator set 18, taken in earlier ones too

born, gone = {}, {}
for schema in defs.get_all_schemas_with_history():
    if schema.domain == "":
        born[schema.name] = min(born.get(schema.name, schema.since_version), schema.since_version)
        if schema.deprecated:
            gone[schema.name] = schema.since_version

text = subprocess.run([sys.argv[1], "list", "ops"], stdout=subprocess.PIPE, check=True, text=True).stdout
rows = [line.split() for line in text.splitlines() if " opset " in line]
assert len(rows) > 100, text
for name, _, first, _, last in rows:
    if name not in AHEAD:
        want = max(FIRST, born[name]), min(LAST, gone.get(name, LAST + 1) - 1)
        assert (int(first), int(last)) == want, f"{name}: {first} to {last}, ONNX says {want}"
print(f"{len(rows)} operators")
