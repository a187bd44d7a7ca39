//! One form of the carriers: `milepost_fuzz::carrier`.
#![no_main]

use milepost_protocol_j1939::carrier::Form;

milepost_fuzz::carrier_target!(Form::Elm327);
