#!/usr/bin/env bash
# Write text twice, on the golden model and on the simulated Verilog, and compare.
# usage: demo.sh FOLDER PROMPT TOKENS; `summand` must be on PATH, and FOLDER filled by `make demo`.
set -euo pipefail
folder=$1 prompt=$2 tokens=$3

write() {
  summand run "$folder/smollm2" --config smollm2 --device "$1" \
    --prompt "$prompt" --tokens "$tokens" | tee "$folder/$1.txt"
}

echo "== Verilog: $folder/verilog"
ls "$folder/verilog"
echo "== Layers of the model, RTL against the golden model: $folder/verified.json"
python -c 'import json, sys
r = json.load(open(sys.argv[1]))
print({k: r[k] for k in ("exact", "cycles", "stream_beats", "plane_words", "macs", "seconds")})' \
  "$folder/verified.json"
echo "== Text from the golden model"
write golden
echo "== The same text, every linear layer computed by the generated Verilog"
write sim
cmp "$folder/golden.txt" "$folder/sim.txt"
echo "== Both wrote the same."
