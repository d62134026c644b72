# shellcheck shell=bash
# Shared by scripts/run, scripts/test and scripts/bench: words, secrets, ports, locks, processes.
# Sourcing it starts nothing. It wants bash and the usual small tools; it also runs with macOS's bash 3.2.

say() { printf '%s\n' "$*"; }
note() { printf '%s\n' "$*" >&2; }
shout() { printf '\n!!! %s\n\n' "$*" >&2; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
in_ci() { [[ -n ${CI:-} && ${CI:-} != 0 && ${CI:-} != false ]]; }

# ---- secrets ------------------------------------------------------------------------------------

random_hex() { # BYTES; hexadecimal, so that it needs no escaping in a URL or a configuration file
  head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

random_base64() { head -c "$1" /dev/urandom | base64 | tr -d '\n'; }

# keep_secret FILE COMMAND...: prints what FILE holds; the first time, what COMMAND says, kept 0600.
keep_secret() {
  local file=$1
  shift
  if [[ ! -s $file ]]; then
    (umask 077 && "$@" >"$file.new" && mv "$file.new" "$file") || return 1
  fi
  cat "$file"
}

# ---- ports --------------------------------------------------------------------------------------

# port_free PORT [HOST]: nobody answers there. /dev/tcp is bash's own, so no tool is needed.
port_free() { ! (exec 3<>"/dev/tcp/${2:-127.0.0.1}/$1") 2>/dev/null; }

# free_port: one below the range that outgoing connections take theirs from. Someone may still be faster:
# who uses it starts again with another when the program cannot have it.
free_port() {
  local port _
  for _ in {1..100}; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    if port_free "$port"; then
      echo "$port"
      return
    fi
  done
  return 1
}

# ---- processes ----------------------------------------------------------------------------------
# A pid alone says little: after a crash or a restart of the machine another program may have it. Nothing is
# stopped here unless it also was born when we noted it, or carries a path of ours among its arguments.

process_alive() { # PID; a zombie counts as dead: nobody may be there to reap it
  kill -0 "$1" 2>/dev/null || [[ -d /proc/$1 ]] || return 1
  [[ $(ps -o stat= -p "$1" 2>/dev/null || process_field "$1" 1) != Z* ]]
}

process_field() { # PID N; the Nth field of /proc/PID/stat after the command's name, which may hold spaces
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # shellcheck disable=SC2086 # to be split
  set -- "$2" ${stat##*) }
  local n=$1
  shift
  printf '%s\n' "${!n}"
}

process_birth() { # PID; boot and start time: no later process has the same
  if [[ -r /proc/$1/stat ]]; then
    echo "$(cat /proc/sys/kernel/random/boot_id)-$(process_field "$1" 20)"
  else
    ps -o lstart= -p "$1" | tr -s ' ' '-'
  fi
}

process_args() { # PID
  if [[ -r /proc/$1/cmdline ]]; then
    tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null
  else
    ps -ww -o args= -p "$1"
  fi
}

# note_process FILE PID: FILE will say which process is meant, for noted_process, also in a later run.
note_process() { printf '%s %s\n' "$2" "$(process_birth "$2")" >"$1"; }

noted_process() { # FILE: the pid, if that very process still lives
  local pid birth
  read -r pid birth 2>/dev/null <"$1" || return 1
  process_alive "$pid" && [[ $(process_birth "$pid") == "$birth" ]] && echo "$pid"
}

# daemon_pid PIDFILE PATH: the pid in the first line of a daemon's own pid file, if that process lives and was
# started with PATH (a folder or file of ours) among its arguments.
daemon_pid() {
  local pid
  read -r pid 2>/dev/null <"$1" || return 1
  [[ $pid =~ ^[0-9]+$ ]] && process_alive "$pid" && [[ $(process_args "$pid") == *"$2"* ]] && echo "$pid"
}

# stop_process PID SIGNAL...: sends the signals in turn, up to 15 s apart, and KILL at last; returns when it is dead.
stop_process() {
  local pid=$1 signal tenths
  shift
  for signal in "$@" KILL; do
    kill -s "$signal" "$pid" 2>/dev/null || true
    for ((tenths = 0; tenths < 150; tenths++)); do
      process_alive "$pid" || return 0
      sleep 0.1
    done
  done
  note "process $pid does not die"
  return 1
}

# apart COMMAND...: in a session of its own, so that a Ctrl-C at the terminal reaches us alone and we stop
# things in the right order.
apart() {
  if have setsid; then
    exec setsid "$@"
  fi
  exec "$@"
}

# with_lock FILE COMMAND...: one at a time on this machine. The lock is not handed on to what COMMAND leaves running.
with_lock() {
  local file=$1
  shift
  if ! have flock; then
    "$@"
    return
  fi
  (
    if ! flock -n 9; then
      note "waiting for another run to finish with ${file##*/}"
      flock 9
    fi
    "$@" 9>&-
  ) 9>>"$file"
}
