# shellcheck shell=bash
# Runs the steps of a test one after the other, all of them, and tells at the end what failed. Needs common.sh.

CANNOT=77 # exit status of a step that this machine cannot run

STEP_GROUP=    # process group of the step that runs now
STEP_NOTE=     # file that says so, for who finds us killed
STEP_TIMES=()  # "seconds name"
STEP_FAILED=()
STEP_SKIPPED=()

# step NAME COMMAND...: in a process group of its own, so that all of it can be stopped, without the terminal's
# input. Returns its status; call it in a condition or as `step … || true`. There bash forgets set -e, inside COMMAND
# too: a function that is a step says `|| return 1` itself.
step() {
  local name=$1 began=$SECONDS status=0
  shift
  printf '\n=== %s\n' "$name"
  set -m
  "$@" </dev/null &
  STEP_GROUP=$!
  set +m
  if [[ -n $STEP_NOTE ]]; then note_process "$STEP_NOTE" "$STEP_GROUP"; fi
  wait "$STEP_GROUP" || status=$?
  STEP_GROUP=
  STEP_TIMES+=("$((SECONDS - began)) $name")
  case $status in
  0) printf -- '--- %s: passed, %s s\n' "$name" $((SECONDS - began)) ;;
  "$CANNOT") step_skip "$name" "this machine cannot run it" ;;
  *)
    printf -- '--- %s: FAILED with %s, %s s\n' "$name" "$status" $((SECONDS - began))
    STEP_FAILED+=("$name")
    ;;
  esac
  return "$status"
}

# step_skip NAME WHY: never silently, and not in CI.
step_skip() {
  shout "SKIPPED: $1: $2"
  STEP_SKIPPED+=("$1: $2")
}

steps_stop() { # what runs now, when we are told to end
  local _
  [[ -n $STEP_GROUP ]] || return 0
  kill -s TERM -- "-$STEP_GROUP" 2>/dev/null
  for _ in {1..100}; do
    kill -0 -- "-$STEP_GROUP" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -s KILL -- "-$STEP_GROUP" 2>/dev/null
}

# steps_report: the slowest, the skipped, the failed; its status is that of the whole.
steps_report() {
  local line
  if ((${#STEP_TIMES[@]} > 1)); then
    printf '\nslowest steps:\n'
    printf '%s\n' "${STEP_TIMES[@]}" | sort -rn | head -n 5 | while read -r line; do
      printf '  %5s s  %s\n' "${line%% *}" "${line#* }"
    done
  fi
  if ((${#STEP_SKIPPED[@]})); then
    printf '\nSKIPPED:\n'
    printf '  %s\n' "${STEP_SKIPPED[@]}"
    if in_ci; then printf '  (a failure, because CI is set)\n'; fi
  fi
  if ((${#STEP_FAILED[@]})); then
    printf '\nFAILED:\n'
    printf '  %s\n' "${STEP_FAILED[@]}"
    return 1
  fi
  if in_ci && ((${#STEP_SKIPPED[@]})); then return 1; fi
  if ((${#STEP_SKIPPED[@]})); then printf '\npassed, but for what was skipped\n'; else printf '\nall passed\n'; fi
}
