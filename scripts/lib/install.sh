# shellcheck shell=bash
# Finds PostgreSQL, Redis (or Valkey) and Chromium, and on Debian and Ubuntu installs what is missing.
# Elsewhere one sentence says what to install. Needs common.sh.

LIB=$(cd "${BASH_SOURCE[0]%/*}" && pwd)

on_debian() { have apt-get && have dpkg; }

# apt_install PACKAGE...: as root, or through sudo. Without a package it only fetches the lists.
apt_install() {
  if (($#)); then note "installing with apt: $*"; else note "fetching apt's package lists"; fi
  if [[ $EUID -eq 0 ]]; then
    bash "$LIB/apt-install" "$@" >&2
  elif have sudo && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
    sudo bash "$LIB/apt-install" "$@" >&2
  else
    note "that needs root, or sudo without a password"
    return 1
  fi
}

# apt_offers PACKAGE MAJOR: apt has it, in that version or later.
apt_offers() {
  local version
  version=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *//p')
  [[ -n $version && $version != "(none)" && $version != *snap* ]] || return 1
  version=${version#*:}
  [[ ${version%%[!0-9]*} -ge $2 ]]
}

# apt_lists: a fresh machine or container has no package lists yet.
apt_lists() {
  local known
  known=$(apt-cache policy postgresql 2>/dev/null) || true
  [[ $known == *"Candidate: "[0-9]* ]] || apt_install
}

# ---- PostgreSQL 15 or later ---------------------------------------------------------------------

# postgres_bin newest|MAJOR: the folder with initdb, pg_ctl and psql of the newest PostgreSQL here, or of that major.
postgres_bin() {
  local dir version best=0 found=
  for dir in "${PG_BIN:-}" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin \
    /usr/local/opt/postgresql*/bin "$(pg_config --bindir 2>/dev/null)"; do
    [[ -x $dir/postgres && -x $dir/initdb && -x $dir/pg_ctl && -x $dir/psql ]] || continue
    version=$("$dir/postgres" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
    [[ $1 == newest || $version == "$1" ]] || continue
    if ((version >= 15 && version > best)); then
      best=$version found=$dir
    fi
  done
  [[ -n $found ]] && echo "$found"
}

need_postgres() {
  postgres_bin newest >/dev/null && return
  if on_debian; then
    apt_lists
    if apt_offers postgresql 15 && apt_install postgresql; then
      postgres_bin newest >/dev/null && return
    fi
  fi
  note "PostgreSQL 15 or later is missing: install its server (https://www.postgresql.org/download/), or set DATABASE_URL to one."
  return 1
}

# ---- Redis 7.0 or later, or Valkey 8 or later ---------------------------------------------------

redis_bin() { # the server program
  local name path version
  for name in redis-server valkey-server; do
    path=$(command -v "$name") || continue
    version=$("$path" --version | sed -n 's/.*v=\([0-9]*\).*/\1/p')
    ((${version:-0} >= 7)) && echo "$path" && return
  done
  return 1
}

redis_cli_bin() { # beside the server it belongs to
  local server
  server=$(redis_bin) && command -v "${server%-server}-cli"
}

need_redis() {
  redis_cli_bin >/dev/null && return
  if on_debian; then
    apt_lists
    if { apt_offers redis-server 7 && apt_install redis-server; } ||
      { apt_offers valkey-server 8 && apt_install valkey-server; }; then
      redis_cli_bin >/dev/null && return
    fi
  fi
  note "Redis 7.0 or later (or Valkey 8) is missing: install its server (https://redis.io/docs/), or set REDIS_URL to one."
  return 1
}

# ---- Chromium -----------------------------------------------------------------------------------

# chromium_bin: $CHROMIUM, or the system's. Google's own Chrome is not looked for: it no longer loads an
# extension from a folder on the command line.
chromium_bin() {
  if [[ -n ${CHROMIUM:-} ]]; then
    [[ -x $CHROMIUM ]] && echo "$CHROMIUM"
    return
  fi
  command -v chromium || command -v chromium-browser || {
    local mac=/Applications/Chromium.app/Contents/MacOS/Chromium
    [[ -x $mac ]] && echo "$mac"
  }
}

need_chromium() {
  chromium_bin >/dev/null && return
  if on_debian; then
    apt_lists
    if apt_offers chromium 120 && apt_install chromium; then
      chromium_bin >/dev/null && return
    fi
  fi
  note "Chromium 120 or later is missing: install it, or set CHROMIUM to its program."
  return 1
}

# ---- Go and Node --------------------------------------------------------------------------------

need_go() { # 1.26 or later; an older go from 1.21 on fetches the right one by itself when it may
  local version
  version=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  ((${version:-0} >= 26)) && return
  note "Go 1.26 or later is missing: install it from https://go.dev/dl/."
  return 1
}

need_node() { # 20 or later, with npm
  local version
  version=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p')
  ((${version:-0} >= 20)) && have npm && return
  note "Node 20 or later with npm is missing: install it from https://nodejs.org/."
  return 1
}

need_c_compiler() { # the race detector links with one
  have gcc || have clang || { on_debian && apt_install gcc libc6-dev; } || {
    note "a C compiler is missing, the race detector needs one: install gcc or clang."
    return 1
  }
}
