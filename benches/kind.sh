#!/usr/bin/env bash
# Makes clusters of one node by the real kind and by us, turn by turn, and prints the seconds to the node's Ready.
# usage: benches/kind.sh [path to the binary] [turns] [node image]
set -euo pipefail

binary=$(realpath "${1:-target/release/tutorial}")
turns=${2:-3}
image=${3:-kindest/node:v1.34.2}
[[ -x $binary ]] || { echo "no binary at $binary: cargo build --release" >&2; exit 2; }
docker image inspect "$image" >/dev/null || { echo "the image $image is not here: docker pull $image" >&2; exit 2; }

scratch=$(mktemp -d)
export TUTORIAL_HOME=$scratch/home
finish() {
  kind delete cluster --name tutorial-bench-kind --kubeconfig "$scratch/kubeconfig" >/dev/null 2>&1 || true
  "$binary" cluster delete --sandbox kind --name tutorial-bench --yes >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap finish EXIT

now() { echo "$EPOCHREALTIME"; }
since() { awk -v from="$1" -v to="$(now)" 'BEGIN { printf "%.2f\n", to - from }'; }
median() { sort -n "$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
# The seconds since the call at which a line was written to our log.
at() { awk -v text="$1" 'index($0, text) { print $1; exit }' "$log"; }

for turn in $(seq "$turns"); do
  begin=$(now)
  kind create cluster --name tutorial-bench-kind --image "$image" --wait 120s --kubeconfig "$scratch/kubeconfig" 2>/dev/null
  since "$begin" >>"$scratch/kind"
  kind delete cluster --name tutorial-bench-kind --kubeconfig "$scratch/kubeconfig" 2>/dev/null

  begin=$(now)
  "$binary" cluster start --sandbox kind --image "$image" --name tutorial-bench >/dev/null 2>&1
  since "$begin" >>"$scratch/whole"
  log=$(find "$TUTORIAL_HOME" -name log -path '*tutorial-bench*' | head -n 1)
  at 'all nodes are ready' >>"$scratch/ready"
  # Our own share: what is neither the engine's making of containers, nor systemd's, kubeadm's and the kubelet's time.
  awk -v begin="$(at 'begun: making the nodes')" -v boot="$(at 'begun: starting Kubernetes')" \
    -v kubeadm="$(grep -m 1 -F '[init]' "$log" | awk '{ print $1 }')" \
    'BEGIN { printf "%.2f\n", begin + (kubeadm - boot) }' >>"$scratch/own"
  echo "turn $turn: kind $(tail -n 1 "$scratch/kind") s, ours $(tail -n 1 "$scratch/ready") s to Ready, $(tail -n 1 "$scratch/whole") s to the end"
  grep -E ' (begun|done): | all nodes' "$log" | sed 's/^/    /'
  "$binary" cluster delete --sandbox kind --name tutorial-bench --yes >/dev/null 2>&1
  rm -f "$log"
done
kind_time=$(median "$scratch/kind")
ready=$(median "$scratch/ready")
echo "kind create --wait: $kind_time s; ours to Ready: $ready s ($(awk -v a="$ready" -v b="$kind_time" 'BEGIN { printf "%.2f", a / b }') of it; bound 1, aim 0.9)"
echo "ours until all can be used: $(median "$scratch/whole") s; our own share: $(median "$scratch/own") s"
