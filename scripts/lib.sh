# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts of this folder (`. "$(dirname "$0")/lib.sh"`): messages, cache, lock, checksums, packages.
# Everything a script says goes to stderr; stdout carries only its result.
# shellcheck shell=bash

set -euo pipefail
umask 022

# shellcheck disable=SC2034 # used by those who source this file
culvert_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
culvert_script=$(basename "$0")
culvert_cache=${CULVERT_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or CULVERT_CACHE}/.cache}/culvert}

say() { printf '%s: %s\n' "$culvert_script" "$*" >&2; }

# fail MESSAGE [EXIT-CODE]: what failed, on what, and the remedy.
fail() {
  say "error: $1"
  exit "${2:-1}"
}

# logged COMMAND..: runs it with its output in a file of the cache; shows the end of that only if it fails.
logged() {
  local log=$culvert_cache/logs/$culvert_script.log code=0
  mkdir -p "$culvert_cache/logs"
  "$@" >>"$log" 2>&1 </dev/null || code=$?
  [ "$code" != 0 ] || return 0
  say "failed with exit code $code: $*"
  tail -n 30 "$log" >&2
  say "whole log: $log"
  return "$code"
}

# scratch NAME: makes an empty directory in the cache, on the same file system as the result, and sets `work` to it.
# It goes when the script ends, however it ends.
scratch() {
  mkdir -p "$culvert_cache"
  work=$(mktemp -d "$culvert_cache/$1.XXXXXX")
  # shellcheck disable=SC2064 # the name as it is now
  trap "rm -rf '$work'" EXIT
}

# locked NAME SECONDS: holds the lock until the script ends, so that two builds do not fetch or build the same thing.
locked() {
  mkdir -p "$culvert_cache/locks"
  exec 9>"$culvert_cache/locks/$1"
  flock -n 9 && return 0
  say "waiting for another run that holds the lock '$1'"
  flock -w "$2" 9 || fail "lock $culvert_cache/locks/$1 still held after $2 s (is another build stuck?)" 75
}

# check_sha256 SUM FILE
check_sha256() {
  local found
  found=$(sha256sum <"$2" | cut -d' ' -f1)
  [ "$found" = "$1" ] ||
    fail "$2: sha256 is $found, expected $1 (damaged or replaced download: remove it and try again)" 65
}

# missing_packages NAME..: prints those that are not installed. No network, a few milliseconds.
missing_packages() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p') || true
  comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$installed")
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "'$*' needs root and sudo is not installed (run 'scripts/install-deps' as root once)" 77
  fi
}

# install_packages NAME..: does nothing, quickly, when all are there.
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Use-Pty=0 -o DPkg::Lock::Timeout=600
    -o Acquire::Retries=3)
  # Package lists may be absent (container images): refresh them only then.  They may also name versions that have since
  # gone: then refresh and try again.
  "${apt[@]}" install --simulate "${missing[@]}" >/dev/null 2>&1 || logged as_root "${apt[@]}" update
  local install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")
  if ! logged as_root "${install[@]}"; then
    say "trying once more with fresh package lists"
    logged as_root "${apt[@]}" update
    logged as_root "${install[@]}"
  fi
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" = 0 ] || fail "still not installed: ${missing[*]} (see the messages of apt-get above)" 69
}
