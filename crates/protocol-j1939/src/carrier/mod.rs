//! Carriers: the text and binary forms in which gateways forward CAN frames over a byte stream or in datagrams.
