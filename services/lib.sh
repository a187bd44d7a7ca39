# Shared by the scripts in this folder; sourced, never run.
set -euo pipefail

SERVICES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DATA=${MILEPOST_SERVICES_DIR:-$SERVICES/../target/services}
mkdir -p "$DATA"
DATA=$(cd "$DATA" && pwd)

# Below 32768: above it an outgoing connection may already hold the port.
KAFKA_PORT=${MILEPOST_KAFKA_PORT:-19092} # its controller listens on the next port
POSTGRES_PORT=${MILEPOST_POSTGRES_PORT:-15432}
REDIS_PORT=${MILEPOST_REDIS_PORT:-16379}

ALL_SERVICES=(kafka postgres redis)

say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install COMMAND PACKAGE...: installs Debian packages unless the command is there.
install() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    say "installing $*"
    as_root apt-get update -qq
    # policy-rc.d keeps the package from starting a daemon of its own on the default port.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        die "could not install $*; install it by hand, or use services/up --compose"
}

# wait_until SECONDS WHAT COMMAND...: polls until the command succeeds.
wait_until() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.1
    done
    : "$what"
}

# alive SERVICE: prints the process id if the service runs. The command line is compared too: after
# a reboot the number may belong to another process.
alive() {
    local file=$DATA/$1/pid pid
    [ -s "$file" ] || return 1
    pid=$(head -n 1 "$file")
    [ -r "/proc/$pid/cmdline" ] || return 1
    # A zombie has no command line.
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$DATA/$1" || return 1
    echo "$pid"
}

# family PID: the process and its children. A signal must reach the backends of PostgreSQL too,
# each of which has a process group of its own.
family() {
    echo "$1"
    pgrep -P "$1" || true
}

# signal SERVICE SIGNAL
signal() {
    local pid
    pid=$(alive "$1") || die "$1 does not run"
    # shellcheck disable=SC2046
    kill "-$2" $(family "$pid") 2>/dev/null || true
}

# terminate SERVICE SIGNAL: asks the service to end; insists after 20 seconds.
terminate() {
    local pid
    pid=$(alive "$1") || return 0
    # A stopped process does not see other signals.
    signal "$1" CONT
    kill "-$2" "$pid" 2>/dev/null || true
    if ! wait_until 20 "$1 to end" is_down "$1"; then
        say "$1 does not end; killing it"
        signal "$1" KILL
        wait_until 10 "$1 to be gone" is_down "$1" || die "$1 (process $pid) cannot be killed"
    fi
}
is_down() { ! alive "$1"; }

# environment: where tests find the servers, as shell assignments.
environment() {
    cat <<END
export MILEPOST_TEST_KAFKA=127.0.0.1:$KAFKA_PORT
export MILEPOST_TEST_DATABASE=postgres://postgres@127.0.0.1:$POSTGRES_PORT/postgres
export MILEPOST_TEST_REDIS=redis://127.0.0.1:$REDIS_PORT
END
}
