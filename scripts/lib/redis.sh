# shellcheck shell=bash
# A private Redis (or Valkey): own port on the loopback only, a password, nothing on disk: what it holds can be
# rebuilt, and may vanish. Needs common.sh and install.sh.
#
#   redis_start DIR    sets REDIS_ADDRESS_URL
#   redis_stop DIR

redis_settings() { # HOME PORT PASSWORD
  cat <<END
bind 127.0.0.1
port $2
requirepass $3
daemonize yes
pidfile "$1/redis.pid"
logfile "$1/redis.log"
loglevel notice
dir "$1"
# keeps this file's path among the arguments, by which the process is known as ours
set-proc-title no
# a key that was promised to live is never evicted; the service refuses any other policy
maxmemory 256mb
maxmemory-policy noeviction
# nothing on disk, and no slow commands with their keys in memory
save ""
appendonly no
slowlog-log-slower-than -1
END
}

redis_stop() {
  local home pid
  home=$(cd "$1" 2>/dev/null && pwd -P) || return 0
  if pid=$(daemon_pid "$home/redis.pid" "$home/redis.conf"); then
    stop_process "$pid" TERM
  fi
  rm -f "$home/redis.pid"
}

redis_start() {
  local home password port server cli _
  mkdir -p "$1" && home=$(cd "$1" && pwd -P) || return 1
  server=$(redis_bin) && cli=$(redis_cli_bin) || return 1
  redis_stop "$home" # of a run that was killed
  password=$(keep_secret "$home/password" random_hex 24) || return 1

  for _ in 1 2 3 4 5; do # another program may be faster at the port
    port=$(free_port) || return 1
    (umask 077 && redis_settings "$home" "$port" "$password" >"$home/redis.conf")
    "$server" "$home/redis.conf" >/dev/null 2>&1 </dev/null || continue
    for _ in {1..100}; do
      if [[ $(REDISCLI_AUTH=$password "$cli" -h 127.0.0.1 -p "$port" ping 2>/dev/null) == PONG ]]; then
        # shellcheck disable=SC2034 # for who sources this
        REDIS_ADDRESS_URL="redis://:$password@127.0.0.1:$port/0" REDIS_LOG=$home/redis.log
        return
      fi
      sleep 0.05
    done
    redis_stop "$home"
  done
  note "Redis does not start; its last words:"
  tail -n 5 "$home/redis.log" >&2
  return 1
}
