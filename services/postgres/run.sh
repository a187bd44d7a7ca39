# PostgreSQL 17 with TimescaleDB (Apache edition): Debian trixie's packages unpacked in a folder and
# run with their own loader and libraries, because an older Debian's C library is too old for them.
# Nothing on the machine is changed.
STOP_SIGNAL=INT # fast shutdown

port() { echo "$POSTGRES_PORT"; }

# PostgreSQL refuses to run as root.
AS_SERVER=()
[ "$(id -u)" != 0 ] || AS_SERVER=(setpriv --reuid=nobody --regid=nogroup --clear-groups)

# apt with a state of its own, whose only source is this machine's mirror with suite trixie.
trixie() {
    local state=$DATA/postgres/apt
    "$1" -o Dir::State="$state/state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
        -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o APT::Install-Recommends=false -o APT::Sandbox::User=root -qq "${@:2}"
}

fetch_packages() {
    local state=$DATA/postgres/apt mirrors main security key=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p "$state/state/lists/partial" "$state/cache/archives/partial" "$state/packages"
    : >"$state/status"
    # shellcheck disable=SC2016
    mirrors=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' | sort -u)
    main=$(awk '$2 !~ /-/ { print $1; exit }' <<<"$mirrors")
    security=$(awk '$2 ~ /-security$/ { print $1; exit }' <<<"$mirrors")
    [ -n "$main" ] || die "apt names no Debian mirror on this machine"
    {
        echo "deb [signed-by=$key] $main trixie main"
        [ -z "$security" ] || echo "deb [signed-by=$key] $security trixie-security main"
    } >"$state/sources.list"
    trixie apt-get update
    # The whole closure, without what a server never loads.
    local names
    names=$(trixie apt-get --print-uris install postgresql-17-timescaledb |
        sed -n "s/^'[^']*' \([^_ ]*\)_.*/\1/p" |
        grep -vE '^(libllvm|llvm|perl|libperl|postgresql-client|postgresql-common|dpkg|coreutils|libpam-|adduser|passwd|debconf|ssl-cert|ucf|locales|tzdata-legacy|login|bash|dash|sed|gawk|mawk|tar|util-linux|mount|sensible-utils|netbase|openssl|libedit2)')
    # shellcheck disable=SC2086
    (cd "$state/packages" && trixie apt-get download $names)
}

unpack_packages() {
    local root=$DATA/postgres/root package bin
    for package in "$DATA"/postgres/apt/packages/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink \
            --exclude='./usr/share/doc*' --exclude='./usr/share/locale*' --exclude='./usr/share/man*' \
            --exclude='*/bitcode*' --exclude='*/llvmjit*'
    done
    local libraries=$root/usr/lib/x86_64-linux-gnu
    [ -e "$libraries/ld-linux-x86-64.so.2" ] || die "only x86-64 is supported here; use services/up --compose"
    # initdb and pg_ctl start postgres by its path, so all three are replaced.
    for bin in postgres initdb pg_ctl; do
        bin=$root/usr/lib/postgresql/17/bin/$bin
        mv "$bin" "$bin.real"
        cat >"$bin" <<END
#!/bin/sh
exec "$libraries/ld-linux-x86-64.so.2" --argv0 "$bin" --library-path "$libraries" "$bin.real" "\$@"
END
        chmod +x "$bin"
        # A library from the machine itself would be of another C library: refuse now, not at a crash.
        if "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" --list "$bin.real" |
            grep -E '=> ' | grep -vF "$root" | grep -vE '=> /(usr/)?lib64/ld-linux' | grep .; then
            die "$bin would load these libraries of the machine"
        fi
    done
}

prepare() {
    local home=$DATA/postgres
    command -v psql >/dev/null || install psql postgresql-client
    if [ ! -e "$home/root/.done" ]; then
        say "fetching PostgreSQL 17 and TimescaleDB (37 MB)"
        rm -rf "$home/root" "$home/apt"
        mkdir -p "$home/root"
        fetch_packages
        unpack_packages
        rm -rf "$home/apt"
        touch "$home/root/.done"
    fi
    if [ ! -e "$home/data/PG_VERSION" ]; then
        rm -rf "$home/data"
        mkdir -p "$home/data"
        chmod 700 "$home/data"
        [ "$(id -u)" != 0 ] || chown nobody:nogroup "$home/data"
        "${AS_SERVER[@]}" "$home/root/usr/lib/postgresql/17/bin/initdb" -D "$home/data" -A trust -U postgres \
            --no-sync -E UTF8 --locale=C.UTF-8 >"$home/log" 2>&1 ||
            die "the database folder could not be made: $(tail -n 5 "$home/log")"
    fi
    # The last value of a key wins.
    cat >"$home/settings.conf" <<END
listen_addresses = '127.0.0.1'
port = $POSTGRES_PORT
unix_socket_directories = ''
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
max_connections = 100
shared_buffers = 256MB
max_wal_size = 4GB
# After a kill, one sync in place of one for each file.
recovery_init_sync_method = syncfs
jit = off
END
    grep -q settings.conf "$home/data/postgresql.conf" ||
        echo "include '$home/settings.conf'" >>"$home/data/postgresql.conf"
}

start() {
    local home=$DATA/postgres
    # Direct, without pg_ctl, so that the process id is known at once.
    "${AS_SERVER[@]}" setsid "$home/root/usr/lib/postgresql/17/bin/postgres" -D "$home/data" </dev/null >"$home/log" 2>&1 &
    echo $! >"$home/pid"
}

ready() {
    timeout 3 psql -qAt -h 127.0.0.1 -p "$POSTGRES_PORT" -U postgres postgres \
        -c 'CREATE EXTENSION IF NOT EXISTS timescaledb' -c 'SELECT 1'
}
