//! Closed sets of words and their numbers on the wire. Both directions are checked by the compiler
//! for being complete.

use super::generated as wire;

pub(super) trait Word: Sized {
    fn number(self) -> i32;
    fn from_number(number: i32) -> Option<Self>;
}

macro_rules! words {
    ($($set:ident { $($word:ident)* })*) => {$(
        impl Word for crate::$set {
            fn number(self) -> i32 {
                let word = match self {
                    $(Self::$word => wire::$set::$word,)*
                };
                word.into()
            }

            fn from_number(number: i32) -> Option<Self> {
                Some(match wire::$set::try_from(number).ok()? {
                    $(wire::$set::$word => Self::$word,)*
                })
            }
        }
    )*};
}

words! {
    Kind {
        Unknown Login Heartbeat Location Alarm Status Cells CommandReply TimeRequest
        AddressRequest Diagnostics Can Health Emergency Media
    }
    Checksum { Absent Valid Mismatch Unverified }
    TimeSource { Received Fix Device Estimated }
    Zone { Assumed Utc Login Configured Detected }
    FixSource { Gnss LastKnown Cell Wifi }
    Rejected { Jump Replay Zero Future Ancient Frozen Hemisphere }
    Level { Empty ExtremelyLow VeryLow Low Medium High Full }
    Radio { Unknown Gsm Wcdma Lte Nr }
    IgnitionSource { Field Alarm Status CourseBits }
    RaisedBy { Device Pipeline }
    Incident { Begin Repeat End Stuck }
    SignalState { NotAvailable Error Reserved ParameterSpecific }
    CommandOutcome { Success Refused Deferred }
}
