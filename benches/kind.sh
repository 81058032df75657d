#!/usr/bin/env bash
# Makes clusters of one node by the real kind and by us, turn by turn, then plays the course on one of ours; prints
# each figure beside its bound, and ends with 1 where a bound is missed.
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
  "$binary" cluster delete --name tutorial-bench --yes >/dev/null 2>&1 || true
  "$binary" remove --dir "$scratch/course" --yes >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap finish EXIT

now() { echo "$EPOCHREALTIME"; }
since() { awk -v from="$1" -v to="$(now)" 'BEGIN { printf "%.2f\n", to - from }'; }
median() { sort -n "$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }
# The seconds since the call at which a line was written to our log.
at() { awk -v text="$1" 'index($0, text) { print $1; exit }' "$log"; }

# What is ours of the time to the last line of the log: what no wait for others covers, that is for the engine to
# make the containers, for systemd to boot in them, for kubeadm, and for the kubelet and the pods to be ready.
own_share() {
  awk '
    $2 == "begun:" || $2 == "done:" {
      name = $0; sub(/^ *[0-9.]+ (begun|done): /, "", name)
      if ($1 > total) total = $1
      if (name !~ /^(making the nodes|waiting for the nodes to boot|starting Kubernetes. control plane|joining the worker nodes|waiting for the cluster to be ready)$/) next
      if ($2 == "begun:") { from[name] = $1 } else { begin[++count] = from[name]; end[count] = $1 }
    }
    END {
      for (i = 1; i <= count; i++)
        for (j = i + 1; j <= count; j++)
          if (begin[j] < begin[i]) {
            swap = begin[i]; begin[i] = begin[j]; begin[j] = swap
            swap = end[i]; end[i] = end[j]; end[j] = swap
          }
      until = 0
      for (i = 1; i <= count; i++) {
        if (begin[i] < until) begin[i] = until
        if (end[i] > begin[i]) { waited += end[i] - begin[i]; until = end[i] }
      }
      printf "%.2f %.3f\n", total - waited, (total - waited) / total
    }' "$log"
}

failed=0
# bound NAME FIGURE BOUND UNIT
bound() {
  if awk -v figure="$2" -v bound="$3" 'BEGIN { exit !(figure != "" && figure + 0 <= bound) }'; then verdict=ok; else
    verdict=MISSED
    failed=1
  fi
  printf '%-44s %8s %-4s bound %6s  %s\n' "$1" "$2" "$4" "$3" "$verdict"
}

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
  read -r seconds share < <(own_share)
  echo "$seconds" >>"$scratch/own"
  echo "$share" >>"$scratch/share"
  echo "turn $turn: kind $(tail -n 1 "$scratch/kind") s, ours $(tail -n 1 "$scratch/ready") s to Ready, $(tail -n 1 "$scratch/whole") s to the end, $seconds s of it our own"
  grep -E ' (begun|done): | all nodes' "$log" | sed 's/^/    /'
  "$binary" cluster delete --name tutorial-bench --yes >/dev/null 2>&1
  rm -f "$log"
done

begin=$(now)
if ! "$binary" start gitops-with-werf --dir "$scratch/course" --sandbox kind --image "$image" --autoplay --yes \
  >"$scratch/autoplay" 2>&1; then
  tail -n 20 "$scratch/autoplay" >&2
  echo "the course does not pass" >&2
  exit 1
fi
autoplay=$(since "$begin")

kind_time=$(median "$scratch/kind")
ready=$(median "$scratch/ready")
echo "kind create cluster --wait: $kind_time s; ours to Ready: $ready s, until all can be used: $(median "$scratch/whole") s; our own: $(median "$scratch/own") s"
bound "to Ready, beside kind (the aim is 0.9)" "$(ratio "$ready" "$kind_time")" 1 ""
bound "our own share of the whole" "$(median "$scratch/share")" 0.1 ""
bound "the whole course by --autoplay" "$autoplay" 300 s
exit "$failed"
