# shellcheck shell=bash
# A private PostgreSQL: own folder, own port on the loopback only, own passwords. Needs common.sh and install.sh.
#
#   postgres_start DIR durable|fast    sets POSTGRES_URL
#   postgres_stop DIR
#
# "durable" keeps its data and syncs it to disk; "fast" starts empty each time and syncs nothing (tests).
# The service signs in as `ctd`: owner of the database `clicktodial`, may make roles and databases, inherits
# nothing from the roles that it is a member of, and is no superuser.

POSTGRES_USER=postgres # PostgreSQL refuses to run as root; this one then

# postgres_as COMMAND...: as the user that owns the data.
postgres_as() {
  if [[ $EUID -eq 0 ]]; then
    id "$POSTGRES_USER" >/dev/null 2>&1 || POSTGRES_USER=nobody
    setpriv --reuid="$POSTGRES_USER" --regid="$(id -g "$POSTGRES_USER")" --clear-groups -- "$@"
  else
    "$@"
  fi
}

# postgres_home DIR: makes DIR and prints where it really is. A checkout under /root is closed to the user
# `postgres`; DIR is then a link to a folder that is not.
postgres_home() {
  local dir=$1 home
  if [[ ! -e $dir ]]; then
    rm -f "$dir" # a link to nowhere
    mkdir -p "$dir" && chmod 711 "$dir"
  fi
  if ! postgres_as test -x "$dir"; then
    home=/var/lib/clicktodial/$(printf %s "$dir" | cksum | tr ' ' -)
    rm -rf "$dir" "$home"
    mkdir -p "$home" && chmod 711 "${home%/*}" "$home"
    ln -s "$home" "$dir"
  fi
  (cd "$dir" && pwd -P)
}

postgres_pid() { # HOME
  daemon_pid "$1/data/postmaster.pid" "$1/data"
}

postgres_stop() {
  local home pid
  home=$(cd "$1" 2>/dev/null && pwd -P) || return 0
  if pid=$(postgres_pid "$home"); then
    # INT ends the sessions and closes in order; QUIT at once, for data that nobody will read again
    if [[ $(cat "$home/mode" 2>/dev/null) == fast ]]; then
      stop_process "$pid" QUIT
    else
      stop_process "$pid" INT QUIT
    fi
  fi
}

postgres_remove() { # DIR, with its data
  local home
  postgres_stop "$1"
  home=$(cd "$1" 2>/dev/null && pwd -P) && rm -rf "$home"
  rm -rf "$1"
}

# Our whole configuration. Its log holds no row and no number: no statement, no parameter, no detail, and of an
# error in a statement nothing at all ("log" here is above "error"; the service reports its own errors).
postgres_settings() { # PORT durable|fast
  cat <<END
listen_addresses = '127.0.0.1'
port = $1
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 300
shared_buffers = '128MB'
timezone = 'UTC'
log_timezone = 'UTC'
log_destination = 'stderr'
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_statement = none
log_min_duration_statement = -1
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_checkpoints = off
log_autovacuum_min_duration = -1
log_line_prefix = '%m [%p] '
END
  if [[ $2 == fast ]]; then
    printf '%s = off\n' fsync synchronous_commit full_page_writes
  fi
}

postgres_locale() { # knows upper and lower case of all letters, if the machine has one that does
  locale -a 2>/dev/null | grep -ixE 'c\.utf-?8' | head -n 1 || true
}

postgres_create() { # BIN HOME durable|fast
  local bin=$1 home=$2 locale
  rm -rf "$home/data" "$home/log" "$home/created"
  mkdir -p "$home/data" "$home/log"
  keep_secret "$home/superuser" random_hex 24 >/dev/null
  (umask 077 && cat "$home/superuser" >"$home/log/pwfile")
  if [[ $EUID -eq 0 ]]; then
    postgres_as true # says who that is
    chown -R "$POSTGRES_USER" "$home/data" "$home/log"
  fi
  chmod 700 "$home/data" "$home/log"
  locale=$(postgres_locale)
  local options=(--pgdata="$home/data" --username=postgres --pwfile="$home/log/pwfile" --auth=scram-sha-256 --encoding=UTF8
    --locale="${locale:-C}" --no-instructions)
  if [[ $3 == fast ]]; then options+=(--no-sync); fi
  (cd "$home" && postgres_as "$bin/initdb" "${options[@]}" >/dev/null) || return 1
  rm -f "$home/log/pwfile"
}

# postgres_superuser HOME: psql as the superuser, who is for this set-up only.
postgres_superuser() {
  local home=$1 port
  port=$(cat "$home/port")
  PGPASSWORD=$(cat "$home/superuser") PGOPTIONS='' "$(postgres_bin newest)/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
    --host=127.0.0.1 --port="$port" --username=postgres --dbname=postgres
}

postgres_start() {
  local dir=$1 mode=$2 home bin major port password try
  home=$(postgres_home "$dir") || return 1
  postgres_stop "$home" # of a run that was killed
  if [[ $mode == fast ]]; then rm -f "$home/created"; fi
  echo "$mode" >"$home/mode"

  if [[ -e $home/created ]]; then
    major=$(cat "$home/data/PG_VERSION")
    bin=$(postgres_bin "$major") || {
      note "the data in $home is PostgreSQL $major's, which is not here any more: install it, or start anew with --reset"
      return 1
    }
  else
    bin=$(postgres_bin newest) || return 1
    postgres_create "$bin" "$home" "$mode" || return 1
  fi

  for try in 1 2 3 4 5; do # another program may be faster at the port
    port=$(free_port) || return 1
    postgres_settings "$port" "$mode" >"$home/data/postgresql.conf"
    echo "$port" >"$home/port"
    if (cd "$home" && postgres_as "$bin/pg_ctl" --pgdata="$home/data" --log="$home/log/postgres.log" --timeout=120 \
      --wait --silent start </dev/null >/dev/null 2>&1); then
      break
    fi
    if ((try == 5)); then
      note "PostgreSQL does not start; its last words:"
      tail -n 5 "$home/log/postgres.log" >&2
      return 1
    fi
  done

  password=$(keep_secret "$home/password" random_hex 24) || return 1
  if [[ ! -e $home/created ]]; then
    postgres_superuser "$home" <<END || return 1
CREATE ROLE ctd LOGIN NOINHERIT CREATEROLE CREATEDB NOSUPERUSER NOBYPASSRLS PASSWORD '$password';
CREATE DATABASE clicktodial OWNER ctd;
END
    touch "$home/created"
  fi
  # shellcheck disable=SC2034 # for who sources this
  POSTGRES_URL="postgres://ctd:$password@127.0.0.1:$port/clicktodial?sslmode=disable" POSTGRES_LOG=$home/log/postgres.log
}
