#!/usr/bin/env bash
# Measures what a learner waits for, with the release binary in an empty home directory, and prints a table. Exits with
# 1 where a bound is missed.
# usage: benches/measure.sh [path to the binary]
set -euo pipefail

binary=$(realpath "${1:-target/release/tutorial}")
[[ -x $binary ]] || { echo "no binary at $binary: cargo build --release" >&2; exit 2; }

scratch=$(mktemp -d)
export HOME=$scratch/home TUTORIAL_HOME=$scratch/home/tutorial GIT_CONFIG_NOSYSTEM=1
mkdir -p "$HOME" "$scratch/bin"
ln -s "$binary" "$scratch/bin/kubectl"
workspace=$TUTORIAL_HOME/gitops-with-werf
finish() {
  "$binary" stop --dir "$workspace" >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap finish EXIT

now_ms() { local time=${EPOCHREALTIME/[.,]/}; echo $((time / 1000)); }
missed=()
# What, measured, the bound that it may not exceed.
row() {
  printf '%-52s %10s   %s\n' "$1" "$2" "$3"
  if [[ $2 =~ ^[0-9]+$ ]]; then (($2 <= $3)) || missed+=("$1: $2, the bound is $3"); else missed+=("$1: not measured"); fi
}
median() { sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

# The time from a process's start to the first line that it prints.
first_line_ms() {
  local begin
  begin=$(now_ms)
  "$binary" start --yes --dir "$1" 2>/dev/null </dev/null | { IFS= read -r _; echo $(($(now_ms) - begin)); cat >/dev/null; }
}

# The time until a sandbox of a new workspace has answered a list of namespaces.
answering_ms() {
  local begin
  begin=$(now_ms)
  "$binary" cluster start --name "$1" >/dev/null 2>&1
  "$binary" cluster kubeconfig --name "$1" >"$scratch/$1.kubeconfig" 2>/dev/null
  KUBECONFIG=$scratch/$1.kubeconfig "$scratch/bin/kubectl" get namespaces >/dev/null
  echo $(($(now_ms) - begin))
  "$binary" cluster delete --name "$1" --yes >/dev/null 2>&1 || true
}

# From `git commit` of a new page until the roll-out is complete and the page is served.
commit_to_page_ms() {
  local begin
  cd "$workspace/demo-app"
  eval "$("$binary" env --dir "$workspace" 2>/dev/null)"
  sed "s/>v[0-9]*</>v$1</" public/index.html >public/index.html.new
  mv public/index.html.new public/index.html
  begin=$(now_ms)
  git commit -qam "Say v$1"
  werf converge --env development >/dev/null
  until curl -fs "$URL_DEVELOPMENT" | grep -q ">v$1<"; do sleep 0.01; done
  echo $(($(now_ms) - begin))
}

printf '%-52s %10s   %s\n' what measured bound
row "binary, MB" "$(($(stat -c %s "$binary" 2>/dev/null || stat -f %z "$binary") / 1000000))" "30"

for run in 1 2 3 4 5; do
  first_line_ms "$scratch/first-$run"
  "$binary" stop --dir "$scratch/first-$run" >/dev/null 2>&1 || true
done | median >"$scratch/first"
row "start to the first lesson text, ms (median of 5)" "$(cat "$scratch/first")" "100"

for run in 1 2 3 4 5; do answering_ms "bench-$run"; done | median >"$scratch/answering"
row "start to \`kubectl get namespaces\`, ms (median of 5)" "$(cat "$scratch/answering")" "300"

begin=$(now_ms)
"$binary" start gitops-with-werf --autoplay --yes --sandbox embedded >"$scratch/autoplay.log" 2>&1 ||
  { tail -20 "$scratch/autoplay.log" >&2; echo "the autoplay failed" >&2; exit 1; }
row "the course by --autoplay, s" "$((($(now_ms) - begin) / 1000))" "15"

process=$(sed -n 's/.*"process": *\([0-9]*\).*/\1/p' "$workspace/.tutorial/cluster/running.json" | head -1)
row "background process at the course's end, MiB" "$(($(ps -o rss= -p "$process") / 1024))" "40"

"$binary" goto dismiss --dir "$workspace" >/dev/null 2>&1
for run in 101 102 103 104 105; do (commit_to_page_ms "$run"); done | median >"$scratch/commit"
row "commit to rolled-out page, ms (median of 5)" "$(cat "$scratch/commit")" "1000"

if ((${#missed[@]})); then
  printf 'missed: %s\n' "${missed[@]}" >&2
  exit 1
fi
