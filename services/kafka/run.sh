# Apache Kafka in KRaft mode, one node, from the jars that Maven fetches.
STOP_SIGNAL=TERM

port() { echo "$KAFKA_PORT"; }

# The class path in a fixed order: the class-data archive depends on it.
class_path() { printf '%s:' "$DATA"/kafka/lib/*.jar; }

prepare() {
    local home=$DATA/kafka
    install java default-jre-headless
    if [ ! -e "$home/lib/.done" ]; then
        install mvn maven
        say "fetching Kafka's jars (44 MB)"
        rm -rf "$home/lib"
        mvn -B -ntp -q -f "$SERVICES/kafka/pom.xml" \
            org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
            -DincludeScope=runtime -DoutputDirectory="$home/lib" >&2
        touch "$home/lib/.done"
    fi
    sed -e "s|@PORT@|$KAFKA_PORT|g; s|@CONTROLLER_PORT@|$((KAFKA_PORT + 1))|g; s|@HOME@|$home|g" \
        "$SERVICES/kafka/server.properties" >"$home/server.properties"
    mkdir -p "$home/tmp"
    if [ ! -e "$home/data/meta.properties" ]; then
        rm -rf "$home/data"
        java -cp "$(class_path)" -Dlog4j2.configurationFile="$SERVICES/kafka/log4j2.properties" \
            kafka.tools.StorageTool format -t "$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d =)" \
            -c "$home/server.properties" >"$home/format.log" 2>&1 ||
            die "Kafka's data folder could not be formatted: $(tail -n 5 "$home/format.log")"
    fi
}

start() {
    local home=$DATA/kafka archive=()
    # Classes loaded once into an archive: the start takes half as long. It is written when the
    # first run ends, and belongs to one Java version.
    if [ -s "$home/classes.jsa" ] && [ "$home/classes.jsa" -nt "$(readlink -f "$(command -v java)")" ]; then
        archive=(-XX:SharedArchiveFile="$home/classes.jsa" -Xshare:auto)
    else
        archive=(-XX:ArchiveClassesAtExit="$home/classes.jsa")
    fi
    setsid java -Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData \
        "${archive[@]}" -Djava.io.tmpdir="$home/tmp" \
        -Dlog4j2.configurationFile="$SERVICES/kafka/log4j2.properties" -cp "$(class_path)" \
        kafka.Kafka "$home/server.properties" </dev/null >"$home/log" 2>&1 &
    echo $! >"$home/pid"
}

# Ready means that a metadata request is answered, not that the port is open: ApiVersions (key 18,
# version 0, correlation 1, no client id) is the smallest request that needs the broker itself.
ready() {
    alive kafka && timeout 3 bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$0"
        printf "\0\0\0\012\0\022\0\0\0\0\0\001\377\377" >&3
        [ "$(head -c 8 <&3 | od -An -tx1 -j4 | tr -d " \n")" = 00000001 ]' "$KAFKA_PORT"
}
