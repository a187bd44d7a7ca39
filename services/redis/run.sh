# Redis from Debian, without persistence: it holds what can be written again.
STOP_SIGNAL=TERM

port() { echo "$REDIS_PORT"; }

prepare() { install redis-server redis-server redis-tools; }

start() {
    local home=$DATA/redis
    mkdir -p "$home/data"
    # The data folder's path in the command line is how `alive` knows the process.
    setsid redis-server --port "$REDIS_PORT" --bind 127.0.0.1 --dir "$home/data" \
        --save '' --appendonly no --set-proc-title no </dev/null >"$home/log" 2>&1 &
    echo $! >"$home/pid"
}

ready() { [ "$(timeout 2 redis-cli -p "$REDIS_PORT" ping)" = PONG ]; }
