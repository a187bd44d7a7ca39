//! The table of dialects. Each row says what differs from the standard's list.
//!
//! Order matters where dialects share a header: a vendor id decides first, then the first row whose
//! layout fits exactly, then the first row.

use super::Source;

/// The fields of a tracking packet up to the neighbours, as most devices send them.
pub(super) const FRONT: &str = "vendor,firmware,type,alert?,status,imei,registration,fix,date,time,\
    lat,ns,lon,ew,speed,heading,satellites,altitude,pdop,hdop,operator,ignition,main_power,\
    main_volts,battery_volts,emergency,tamper?,geofence?,gsm,mcc,mnc,lac,cell,neighbours";
/// The same without tamper.
const FRONT_NO_TAMPER: &str = "vendor,firmware,type,alert,status,imei,registration,fix,date,time,\
    lat,ns,lon,ew,speed,heading,satellites,altitude,pdop,hdop,operator,ignition,main_power,\
    main_volts,battery_volts,emergency,gsm,mcc,mnc,lac,cell,neighbours";
/// The same with the fix after the time.
const FRONT_FIX_LATE: &str = "vendor,firmware,type,alert?,status,imei,registration,date,time,fix,\
    lat,ns,lon,ew,speed,heading,satellites,altitude,pdop,hdop,operator,ignition,main_power,\
    main_volts,battery_volts,emergency,tamper?,gsm,mcc,mnc,lac,cell,neighbours";

/// The same with date and time in three items each.
const FRONT_SPLIT: &str = "vendor,firmware,type,alert?,status,imei,registration,fix,date_items,\
    time_items,lat,ns,lon,ew,speed,heading,satellites,altitude,pdop,hdop,operator,ignition,\
    main_power,main_volts,battery_volts,emergency,tamper?,gsm,mcc,mnc,lac,cell,neighbours";

/// What follows the neighbours, as the standard has it.
pub(super) const TAIL: &str = "inputs,outputs,frame,checksum";
const TAIL_ANALOG: &str = "inputs,outputs,frame,analog,analog,delta,ota,checksum";
const TAIL_ANALOG_BARE: &str = "inputs,outputs,frame,analog,analog,delta";
const TAIL_ANALOG_VALUE: &str = "inputs,outputs,frame,analog,analog,value,delta,ota,checksum";
const TAIL_ANALOG_OTA: &str = "inputs,outputs,frame,analog,analog,delta,ota,ota,checksum";
const TAIL_ODOMETER: &str = "inputs,outputs,frame,odometer_km,checksum";

/// Logins: those of all dialects, for devices of which nothing is known.
pub(super) const LOGINS: &[&str] = &[
    "registration,imei,firmware,lat,ns,lon,ew,checksum?",
    "registration,imei,firmware,protocol,lat,ns,lon,ew,checksum?",
    "registration,imei,firmware,protocol,lat,lon,checksum?",
    "vendor,registration,imei,firmware,protocol,lat,ns,lon,ew,checksum?",
    "registration,imei,iccid,firmware,protocol,lat,ns,lon,ew,checksum?",
    "token,vendor,registration,imei,firmware,protocol,lat,ns,lon,ew,checksum?",
    "vendor,firmware,imei,iccid,registration,lat,ns,lon,ew,checksum?",
    "vendor,firmware,imei,registration,checksum?",
    "imei,vendor,firmware,lat,ns,lon,ew,checksum?",
    "registration,imei,firmware,protocol,date,time,fix,lat,ns,lon,ew,altitude,speed,checksum?",
    "registration,imei,firmware,protocol,place,checksum?",
];

/// Emergency packets.
const EPB: &str = "vendor?,message,imei,packet_status,datetime,fix,lat,ns,lon,ew,altitude,speed,\
    distance,provider,registration,reply,serving_cell?,checksum?";
const EPB_PROVIDER_FIRST: &str = "vendor?,message,imei,packet_status,datetime,fix,lat,ns,lon,ew,\
    altitude,speed,provider,distance,registration,reply,serving_cell?,checksum?";
const EPB_SMS: &str = "message,imei,lat,ns,lon,ew,fix,speed,cell,lac,datetime,checksum?";
pub(super) const EMERGENCIES: &[&str] = &[EPB, EPB_PROVIDER_FIRST, EPB_SMS];

/// Health packets.
const HEALTH: &str = "vendor,firmware,imei,battery_pct,low_pct,memory_pct,interval_on,interval_off,\
    inputs,analog,analog?";
const HEALTH_TWO_MEMORIES: &str = "vendor,firmware,imei,battery_pct,low_pct,memory_pct,memory2_pct,\
    interval_on,interval_off,inputs,analog,analog";
const HEALTH_OUTPUTS: &str = "vendor,firmware,imei,battery_pct,low_pct,memory_pct,interval_on,\
    interval_off,inputs,outputs,analog,analog";
const HEALTH_TYPE: &str = "vendor,firmware,type,imei,battery_pct,low_pct,memory_pct,interval_on,\
    interval_off,inputs,outputs,analog,analog";
const HEALTH_SHORT: &str =
    "vendor,firmware,imei,battery_pct,low_pct,interval_on,inputs_outputs,analog";
const HEALTH_REST: &str =
    "vendor,firmware,imei,battery_pct,low_pct,memory_pct,interval_on,interval_off,parameters";
pub(super) const HEALTHS: &[&str] = &[
    HEALTH,
    HEALTH_TWO_MEMORIES,
    HEALTH_OUTPUTS,
    HEALTH_TYPE,
    HEALTH_SHORT,
    HEALTH_REST,
];

/// `$,PC,12`: what a command changed.
pub(super) const OTA: &str = "alert,imei,source,sender,date,time,parameters";
/// `ACTVR`, `HCHKR`.
pub(super) const ACTIVATION: &str = "activation,vendor,firmware,imei,alert,lat,ns,lon,ew,fix,datetime,\
    heading,speed,gsm,mcc,mnc,lac,main_power,ignition,battery_volts,frame,type";

/// Meanings of 17 to 19 that most states share.
const FENCES: &[&str] = &["17 overspeed", "18 geofence_enter", "19 geofence_exit"];

/// Every dialect that the crate knows.
pub const TABLE: &[Source<'static>] = &[
    Source {
        name: "roadpoint",
        about: "RoadPoint (vendor ROADRPA or empty)",
        headers: &[
            "$NRM tracking",
            "$ALT tracking",
            "$LGN login",
            "$EPB emergency",
        ],
        vendors: &["ROADRPA", ""],
        login: &["registration,imei,firmware,lat,ns,lon,ew,checksum?"],
        tail: &[
            TAIL,
            "inputs,outputs,analog,analog,frame,odometer_km,text,text,text,text,text,checksum",
        ],
        checksums: &[
            "tracking crc32 $ comma hex",
            "login crc32 $ comma hex",
            "emergency crc32 $ before-star hex",
            "emergency crc32 $ comma hex",
        ],
        ending: ",CHK8*",
        alerts: FENCES,
        replies: &[
            "emergency durable unconfirmed $AKN,{message},{imei},{registration},{reply},{time}*",
        ],
        ..Source::STANDARD
    },
    Source {
        name: "wtex",
        about: "WTEX: RoadPoint's packet with four decimals, and `$,100` in Bihar",
        headers: &["$NRM tracking", "$ALT tracking", "$,100 tracking"],
        vendors: &["WTEX"],
        tail: &[
            TAIL,
            "inputs,outputs,analog,analog,frame,odometer_km,text,text,text,text,text,checksum",
        ],
        neighbours: "cell,lac,signal",
        checksums: &["tracking crc32 $ comma hex"],
        ending: ",CHK8*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "wetrack",
        about: "Wetrack140, Jimi (vendor MARK): waits for answers to login and heartbeat",
        headers: &[
            "$,NRM tracking",
            "$,LGN login",
            "$,HBT heartbeat",
            "$,EPB emergency",
        ],
        vendors: &["MARK"],
        login: &["vendor,registration,imei,firmware,protocol,lat,ns,lon,ew,checksum?"],
        tail: &["inputs,outputs,analog,odometer_m,frame,value,value,value,checksum"],
        neighbours: "lac,cell,signal",
        ending: ",CHK4,*",
        bare_ending: ",*",
        alerts: FENCES,
        replies: &["login now $LGN{time}*", "heartbeat now $HBT*"],
        ..Source::STANDARD
    },
    Source {
        name: "istartek",
        about: "iStartek VT140",
        headers: &[
            "$,NRM tracking",
            "$,LGN login",
            "$,HBT health",
            "$,EPB emergency",
        ],
        vendors: &["istartracker", "istartek"],
        login: &["vendor,registration,imei,firmware,protocol,lat,ns,lon,ew"],
        tail: &["inputs,outputs,analog,analog,odometer_m,frame,checksum"],
        health: &[HEALTH_TYPE],
        neighbours: "lac,cell,signal",
        bits: "last",
        ending: ",CHK2*",
        bare_ending: ",*",
        alerts: FENCES,
        commands: &[
            "set SET {key}:{value}",
            "get GET {key}",
            "clear CLR {key}",
            "release SET EO",
        ],
        ..Source::STANDARD
    },
    Source {
        name: "arai-portal",
        about: "`$,NRM` of the ARAI portal's template: eight digits that hold eight bits",
        headers: &["$,NRM tracking"],
        ending: ",CHK8,*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "itriangle",
        about: "iTriangle and its resellers (NAVITECH, nliven), TS101 4G, VC 4G; JSD",
        headers: &[
            "$Header any",
            "$HEADER any",
            "$$Header any",
            "$EPB emergency",
        ],
        vendors: &["iTriangle", "iTriangle1", "NAVITECH", "nliven"],
        login: &[
            "vendor,registration,imei,firmware,protocol,lat,ns,lon,ew",
            "registration,imei,firmware,protocol,lat,ns,lon,ew",
        ],
        tail: &[TAIL_ANALOG, TAIL_ANALOG_VALUE, TAIL_ANALOG_BARE],
        health: &[HEALTH_TWO_MEMORIES, HEALTH, HEALTH_OUTPUTS],
        neighbours: "signal,cell,lac",
        checksums: &[
            "tracking xor8 $ star hex",
            "emergency xor8 $ star hex",
            "login xor8 $ before-star hex",
            "login xor8 after-$ before-star hex",
            "health xor8 $ star hex",
        ],
        ending: "*CHK2",
        alerts: &[
            "17 overspeed",
            "18 geofence_enter",
            "19 geofence_exit",
            "52 tow",
        ],
        ..Source::STANDARD
    },
    Source {
        name: "teltonika",
        about: "Teltonika AIS140: empty tamper",
        headers: &["$TEL123 tracking"],
        vendors: &["Teltonika"],
        tail: &[TAIL_ANALOG],
        neighbours: "signal,cell,lac",
        checksums: &["tracking xor8 $ star hex"],
        ending: "*CHK2",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "gpsbox",
        about: "GPSBOX, TRAXSMART: neighbours may stand in parentheses",
        headers: &["$NMP tracking"],
        vendors: &["GPSBOX", "TRAXSMART"],
        tail: &[
            TAIL_ANALOG,
            TAIL_ANALOG_VALUE,
            "inputs,outputs,frame,analog,analog,ota,checksum",
            "inputs,outputs,frame,ota,checksum",
            TAIL,
        ],
        ending: "*CHK2",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "jsd",
        about: "JSD on LTE: cell, area, signal",
        headers: &["$NMP tracking"],
        vendors: &["JSD", "JSDE14A"],
        tail: &[TAIL_ANALOG, TAIL_ANALOG_VALUE],
        neighbours: "cell,lac,signal",
        checksums: &["tracking xor8 after-$ before-star hex"],
        ending: "*CHK2",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "maharashtra",
        about: "Maharashtra state build: two commas after the registration",
        headers: &[
            "$NMP tracking",
            "$HLP health",
            "$LGN login",
            "$EPB emergency",
        ],
        login: &["vendor,registration,imei,firmware,protocol,lat,ns,lon,ew"],
        tail: &[TAIL_ANALOG, TAIL_ANALOG_VALUE, TAIL_ANALOG_BARE],
        emergency: &[EPB_PROVIDER_FIRST, EPB],
        health: &[HEALTH_SHORT, HEALTH],
        checksums: &["tracking crc8-maxim $ star hex", "tracking xor8 $ star hex"],
        ending: "*CHK2",
        alerts: &[
            "17 overspeed",
            "18 geofence_enter",
            "19 geofence_exit",
            "24 tilt",
            "25 card_swiped",
        ],
        ..Source::STANDARD
    },
    Source {
        name: "og",
        about: "OG, BSNL: every login item begins with `$`",
        headers: &["$,NMP tracking", "$,HLM health", "$,EPB emergency"],
        login: &["registration,imei,firmware,protocol,place,checksum?"],
        tail: &[TAIL_ANALOG, TAIL],
        checksums: &["tracking crc8-maxim $ star-comma hex"],
        ending: ",*,CHK2",
        bare_ending: ",*",
        alerts: &[
            "17 overspeed",
            "18 geofence_enter",
            "19 geofence_exit",
            "24 tilt",
        ],
        ..Source::STANDARD
    },
    Source {
        name: "nic",
        about: "NIC: decimal XOR of four digits; OTA answers in `<…#>` after the alert",
        headers: &[
            "$PVT tracking",
            "$HEL health",
            "$HLM health",
            "$LGN login",
            "$EPB emergency",
        ],
        vendors: &["VLT1"],
        login: &[
            "registration,imei,firmware,protocol,lat,ns,lon,ew",
            "registration,imei,firmware,protocol,lat,lon",
        ],
        neighbours: "cell,lac,signal",
        bits: "first",
        checksums: &["tracking xor8 $ comma dec"],
        ending: ",CHK4*",
        alerts: &[
            "17 overspeed",
            "18 geofence_enter",
            "19 geofence_exit",
            "22 tilt",
        ],
        ..Source::STANDARD
    },
    Source {
        name: "odisha",
        about: "Odisha: logins without directions, a block of switches between inputs and outputs",
        headers: &[
            "$PVT tracking",
            "$HEL health",
            "$LGN login",
            "$EPB emergency",
        ],
        login: &["registration,imei,firmware,protocol,lat,lon,checksum?"],
        tail: &["inputs,block,outputs,value,frame,checksum"],
        neighbours: "cell,lac,signal",
        checksums: &[
            "tracking crc16-xmodem $ comma hex",
            "login rotate32 $ comma hex",
        ],
        ending: ",CHK4*",
        alerts: &[
            "17 geofence_enter",
            "18 geofence_exit",
            "20 overspeed",
            "24 tilt",
            "25 card_swiped",
        ],
        replies: &[
            "login now unconfirmed $YES",
            "emergency durable unconfirmed $YES",
            "health durable unconfirmed $YES",
        ],
        ..Source::STANDARD
    },
    Source {
        name: "amendment3",
        about: "Amendment 3 and ARAI 2025, packets without a comma after `$`",
        headers: &[
            "$PVT tracking",
            "$HLM health",
            "$LGN login",
            "$EPB emergency",
        ],
        vendors: &["QUICKTEL"],
        login: &["registration,imei,iccid,firmware,protocol,lat,ns,lon,ew"],
        tail: &[TAIL_ANALOG, TAIL_ANALOG_OTA],
        health: &[
            "vendor,firmware,imei,battery_pct,low_pct,memory_pct,interval_on,interval_off,inputs,analog,analog",
        ],
        checksums: &[
            "tracking xor8 after-$ before-star hex",
            "login xor8 after-$ before-star hex",
            "emergency xor8 after-$ before-star hex",
            "health xor8 after-$ before-star hex",
        ],
        ending: "*CHK2",
        alerts: FENCES,
        commands: &[
            "set ${imei},{password},SET,{key}:{value}*{sum}",
            "get ${imei},{password},GET,{key}*{sum}",
            "clear ${imei},{password},CLR,{key}*{sum}",
            "release ${imei},{password},CLR,020*{sum}",
        ],
        ..Source::STANDARD
    },
    Source {
        name: "amendment3-comma",
        about: "Amendment 3 and ARAI 2025, comma form; also Assam",
        headers: &[
            "$,PVT tracking",
            "$,LGN login",
            "$,HLM health",
            "$,EPB emergency",
        ],
        vendors: &["HPSP"],
        login: &["registration,imei,iccid,firmware,protocol,lat,ns,lon,ew,checksum?"],
        tail: &[TAIL, TAIL_ANALOG, TAIL_ANALOG_OTA],
        neighbours: "cell,lac,signal",
        checksums: &[
            "tracking xor8 after-$ comma hex",
            "tracking xor8 after-$ star-comma hex",
            "login xor8 after-$ star-comma hex",
            "emergency xor8 after-$ star-comma hex",
            "emergency xor8 $ comma hex",
            "health xor8 after-$ star-comma hex",
        ],
        ending: ",*,CHK2",
        bare_ending: ",*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "m2c",
        about: "M2C: 16-bit byte sum; padding inside numbers, `xx` for no signal",
        headers: &["$HDR tracking", "$2030 tracking"],
        vendors: &["2020A", "2030A", "ADTI"],
        neighbours: "lac,cell,signal",
        checksums: &["tracking sum16 $ comma hex"],
        ending: ",CHK4*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "m2c-short",
        about: "M2C 2025A: the number of the SIM card in place of the registration, no cells",
        headers: &["$HDR tracking"],
        vendors: &["2025A"],
        tracking: &[
            "vendor,firmware,type,alert,status,imei,iccid,tamper,fix,date,time,lat,ns,lon,ew,\
            speed,heading,satellites,altitude,operator,gsm,value,value,ignition,main_power,\
            main_volts,battery_volts,analog,text,text,text,text,frame,checksum",
        ],
        tail: &[],
        checksums: &["tracking sum16 $ comma hex"],
        ending: ",CHK4*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "blackbox",
        about: "Blackbox DP/LI/HMP: CRC without `$`, LTE cells",
        headers: &["$DP tracking", "$LI login", "$HMP health", "$EPB emergency"],
        vendors: &["BOX100", "BBOX77"],
        login: &["vendor,firmware,imei,iccid,registration,lat,ns,lon,ew"],
        tail: &[
            "inputs,outputs,value,odometer_km,value,value,frame,ota,checksum",
            "inputs,outputs,frame,value,value,odometer_km,ota,checksum",
        ],
        health: &[HEALTH, HEALTH_REST],
        neighbours: "cell,lac,signal",
        checksums: &["tracking crc32 after-$ comma hex"],
        ending: ",CHK8*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "tnt",
        about: "TNT, ITP: positions under `$EPB`, date and time in one item, a geofence word",
        headers: &["$EPB any", "$LGN login", "$HLT health"],
        vendors: &["TNT", "ITP"],
        login: &["registration,imei,firmware,protocol,lat,ns,lon,ew"],
        tail: &[
            TAIL,
            "inputs,outputs,frame,analog,analog,checksum",
            "inputs,outputs,frame,text,text,text,checksum",
        ],
        health: &[HEALTH_REST],
        neighbours: "lac,cell,signal",
        checksums: &["tracking crc16-kermit $ before-comma hex"],
        ending: ",CHK4*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "satcop",
        about: "Satcop, RDME: no tamper",
        headers: &["$,ID01 tracking", "$ID01 tracking"],
        tracking: &[FRONT_NO_TAMPER],
        tail: &["inputs,outputs,analog,analog,frame,checksum"],
        neighbours: "cell,lac,signal",
        ending: ",CHK2,*",
        bare_ending: ",*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "ctpl",
        about: "CTPL",
        headers: &["$,C tracking", "$,EPB emergency"],
        tail: &[TAIL_ODOMETER, TAIL],
        neighbours: "cell,lac,signal",
        checksums: &["tracking xor8 $ comma hex"],
        ending: ",CHK2,*",
        bare_ending: ",*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "egas",
        about: "EGAS",
        headers: &["$,E tracking", "$,EPB emergency"],
        vendors: &["EGAS"],
        tail: &[TAIL_ODOMETER, TAIL],
        neighbours: "cell,lac,signal",
        ending: ",CHK2,*",
        bare_ending: ",*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "mfr",
        about: "MFR: odometer after the checksum",
        headers: &["$,A tracking"],
        tail: &[
            "inputs,outputs,frame,checksum,odometer_km,text,text,text",
            TAIL,
        ],
        neighbours: "lac,cell,signal",
        ending: ",CHK2,*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "atmv",
        about: "ATMV: the provider before the distance in emergency packets",
        headers: &["$,T tracking", "$EPB emergency"],
        tail: &[TAIL_ODOMETER, TAIL],
        emergency: &[EPB_PROVIDER_FIRST, EPB],
        neighbours: "cell,lac,signal",
        ending: ",CHK2,*",
        bare_ending: ",*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "chvts",
        about: "CHVTS, AVA: neighbours without commas, decimal byte sum modulo 256",
        headers: &["$,1 tracking"],
        vendors: &["CHVTS", "AVA"],
        neighbours: "packed",
        checksums: &["tracking sum8 $ comma dec"],
        ending: ",CHK*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "aepl",
        about: "AEPL, PT4G: one item for all neighbours, decimal byte sum",
        headers: &["$,1 tracking", "$1 tracking"],
        vendors: &["AEPL"],
        neighbours: "cell,lac,signal",
        checksums: &["tracking sum16 $ comma dec"],
        ending: ",CHK,*",
        bare_ending: ",*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "rlp",
        about: "RLP: the fix after the time; some firmware sends no neighbours",
        headers: &["$RLP tracking"],
        tracking: &[FRONT_FIX_LATE],
        tail: &[
            TAIL,
            TAIL_ODOMETER,
            "inputs,outputs,frame,odometer_km,value,acceleration,acceleration,acceleration,value,value,checksum",
        ],
        neighbours: "cell,lac,signal",
        checksums: &["tracking xor8 $ comma hex"],
        ending: ",CHK2,*",
        alerts: FENCES,
        commands: &[
            "set @SET#RLP,{key},{value}",
            "clear @CLR#RLP,{key},",
            "get @GET#RLP,{key},",
        ],
        ..Source::STANDARD
    },
    Source {
        name: "atlanta",
        about: "Atlanta: the checksum is one raw byte",
        headers: &["$,CP tracking", "$,HP health", "$, login"],
        login: &["imei,vendor,firmware,lat,ns,lon,ew"],
        neighbours: "cell,lac,signal",
        ending: ",*",
        bare_ending: ",*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "apmk",
        about: "APMK, APM: no tamper, `$,200` from the buffer",
        headers: &[
            "$,10 tracking",
            "$,200 tracking",
            "$,101 health",
            "$,500 heartbeat",
            "$,PC ota",
            "$,EPB emergency",
            "ACTVR activation",
            "HCHKR activation",
        ],
        vendors: &["APMK", "APM"],
        login: &["registration,imei,firmware,protocol,lat,ns,lon,ew"],
        tracking: &[FRONT_NO_TAMPER],
        heartbeat: &["imei,iccid,date,time,parameters"],
        neighbours: "cell,lac,signal",
        ending: ",CHK4,*",
        bare_ending: ",*",
        alerts: &["17 overspeed", "18 tilt"],
        commands: &[
            "set ^SET{key} {value}#",
            "get ^GET{key}#",
            "activate ^ACTV,{value}#",
            "release ^STOP_EMG#",
        ],
        ..Source::STANDARD
    },
    Source {
        name: "tedi",
        about: "TEDI ITS-IRNS-01: like APMK; cells in decimal, neighbours without area",
        headers: &[
            "$,10 tracking",
            "$,200 tracking",
            "$,101 health",
            "$,PC ota",
            "$,EPB emergency",
            "$,BTH tracking",
        ],
        vendors: &["TEDI"],
        login: &["registration,imei,firmware,protocol,lat,ns,lon,ew"],
        tracking: &[
            "vendor,firmware,type,alert,status,imei,registration,fix,date,time,lat,ns,lon,ew,\
            speed,heading,satellites,altitude,pdop,hdop,operator,ignition,main_power,main_volts,\
            battery_volts,emergency,gsm,mcc,mnc,lac,cell_dec,neighbours",
        ],
        neighbours: "cell,signal",
        ending: ",CHK4,*",
        bare_ending: ",*",
        alerts: &["17 overspeed", "18 tilt"],
        commands: &["set SET {key}:{value}", "get GET {key}", "clear CLR {key}"],
        ..Source::STANDARD
    },
    Source {
        name: "xyz123",
        about: "XYZ123 (DIMTS): date and time in three items each; logins are answered",
        headers: &[
            "$,01 login",
            "$,02 health",
            "$,03 tracking",
            "$,04 tracking",
        ],
        login: &["vendor,firmware,imei,registration"],
        tracking: &[FRONT_SPLIT],
        health: &[HEALTH_OUTPUTS],
        neighbours: "cell,lac,signal",
        checksums: &["tracking crc32-mpeg2 $ comma hex"],
        ending: ",CHK8,",
        bare_ending: ",",
        alerts: FENCES,
        replies: &["login now $,1,*"],
        ..Source::STANDARD
    },
    Source {
        name: "nippon",
        about: "NIPPON: six accelerations after the checksum; no cells in history",
        headers: &["$,N tracking"],
        tail: &[
            "inputs,outputs,analog,analog,frame,checksum,acceleration,acceleration,acceleration,\
             acceleration,acceleration,acceleration",
            TAIL,
        ],
        neighbours: "lac,cell,signal",
        ending: ",CHK2,*",
        bare_ending: ",*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "otsi",
        about: "OTSI (Telangana, Andhra Pradesh): degrees and minutes, `$,NRP` is an ordinary position",
        headers: &["$,OTSI any", "$,NRP tracking", "$,EPB emergency"],
        vendors: &["OTSI"],
        tracking: &[
            "imei,packet_status,datetime,fix,lat,ns,lon,ew,altitude,speed,distance,\
            provider,registration,reply?,checksum?",
        ],
        tail: &[],
        health: &[
            "time,text,iccid,text,imsi,type,vendor,firmware,imei,battery_pct,low_pct,memory_pct,\
            interval_on,interval_off,inputs,outputs",
        ],
        ending: ",CHK2,*",
        bare_ending: ",*",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source {
        name: "autopeepal",
        about: "AutoPeepal: logins with a token of the maker",
        headers: &["$LIN login"],
        vendors: &["Autopeepal"],
        login: &[
            "token,vendor,registration,imei,firmware,protocol,lat,ns,lon,ew",
            "vendor,registration,imei,firmware,protocol,lat,ns,lon,ew",
        ],
        checksums: &["login crc32 $ star hex"],
        ending: "*CHK8",
        ..Source::STANDARD
    },
    Source {
        name: "rdm",
        about: "RDM (Himachal Pradesh): logins separated by `$`, with time and fix",
        headers: &["$LP login", "$EPB emergency"],
        login: &["registration,imei,firmware,protocol,date,time,fix,lat,ns,lon,ew,altitude,speed"],
        ending: "*CHK2",
        replies: &["emergency durable unconfirmed SET EO"],
        commands: &["release SET EO"],
        ..Source::STANDARD
    },
    Source {
        name: "is16833",
        about: "IS 16833: emergency dates begin with the year; logins of `$` items",
        headers: &["$Msg.Server.Login login"],
        login: &["vendor,imei,firmware,protocol,fix,date,time,lat,ns,lon,ew,altitude"],
        checksums: &["emergency crc32 $ before-star hex"],
        ending: "*CHK8",
        ..Source::STANDARD
    },
    Source {
        name: "cdac",
        about: "C-DAC (Kerala, West Bengal and others): fixed widths, posted as `vltdata=`",
        alerts: &[
            "17 overspeed",
            "18 geofence_enter",
            "19 geofence_exit",
            "20 overspeed_geofence_enter",
            "21 overspeed_geofence_exit",
            "22 tilt",
            "23 collision",
            "25 position",
        ],
        ..Source::STANDARD
    },
    Source {
        name: "transync",
        about: "TranSync: binary",
        alerts: FENCES,
        ..Source::STANDARD
    },
    Source::STANDARD,
];
