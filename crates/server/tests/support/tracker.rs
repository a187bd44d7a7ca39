//! A GT06 tracker made by hand from the protocol's description, so that the server's own encoder
//! has no say in what is expected of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::PATIENCE;

/// A frame: `78 78`, length, number, body, serial, CRC, `0D 0A`.
pub(crate) fn frame(number: u8, body: &[u8], serial: u16) -> Vec<u8> {
    let length = u8::try_from(body.len() + 5).unwrap();
    let mut checked = vec![length, number];
    checked.extend_from_slice(body);
    checked.extend_from_slice(&serial.to_be_bytes());
    let crc = crc_x25(&checked);
    let mut frame = vec![0x78, 0x78];
    frame.extend(checked);
    frame.extend_from_slice(&crc.to_be_bytes());
    frame.extend_from_slice(b"\r\n");
    frame
}

fn crc_x25(bytes: &[u8]) -> u16 {
    let mut crc = 0xffff_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x8408
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

/// 0x01 with a 15-digit id.
pub(crate) fn login(id: &str, serial: u16) -> Vec<u8> {
    let digits = format!("0{id}");
    frame(0x01, &hex::decode(digits).unwrap(), serial)
}

/// 0x13.
pub(crate) fn heartbeat(serial: u16) -> Vec<u8> {
    frame(0x13, &[0x46, 0x04, 0x03, 0x00, 0x02], serial)
}

/// 0x22: near 22.5 N 113.9 E, at a time of 2026-11-20 UTC that `n` seconds of the day give.
pub(crate) fn location(n: u32, serial: u16) -> Vec<u8> {
    let (hour, minute, second) = (n / 3600 % 24, n / 60 % 60, n % 60);
    let mut body = vec![26, 11, 20, byte(hour), byte(minute), byte(second), 0xc9];
    body.extend_from_slice(&(40_500_000 + n).to_be_bytes());
    body.extend_from_slice(&205_020_000_u32.to_be_bytes());
    // 60 km/h, valid, east, north, 90 degrees; one cell; ignition on, by time, live.
    body.extend_from_slice(&[
        60, 0x14, 90, 0x01, 0xcc, 0, 0x28, 0x7d, 0, 0x1f, 0x72, 1, 0, 0,
    ]);
    frame(0x22, &body, serial)
}

/// 0x16: SOS.
pub(crate) fn alarm(n: u32, serial: u16) -> Vec<u8> {
    let (hour, minute, second) = (n / 3600 % 24, n / 60 % 60, n % 60);
    let mut body = vec![26, 11, 20, byte(hour), byte(minute), byte(second), 0xc9];
    body.extend_from_slice(&(40_500_000 + n).to_be_bytes());
    body.extend_from_slice(&205_020_000_u32.to_be_bytes());
    body.extend_from_slice(&[60, 0x14, 90, 8, 0x01, 0xcc, 0, 0x28, 0x7d, 0, 0x1f, 0x72]);
    body.extend_from_slice(&[0x46, 4, 3, 0x01, 0x02]);
    frame(0x16, &body, serial)
}

/// 0x15: the answer to a command.
pub(crate) fn answer(flag: u32, text: &str, serial: u16) -> Vec<u8> {
    let mut body = vec![u8::try_from(4 + text.len()).unwrap()];
    body.extend_from_slice(&flag.to_be_bytes());
    body.extend_from_slice(text.as_bytes());
    body.extend_from_slice(&[0, 2]);
    frame(0x15, &body, serial)
}

/// 0x21: the answer to a command, in newer devices.
pub(crate) fn long_answer(flag: u32, text: &str, serial: u16) -> Vec<u8> {
    let mut body = flag.to_be_bytes().to_vec();
    body.push(1);
    body.extend_from_slice(text.as_bytes());
    long_frame(0x21, &body, serial)
}

/// A frame with a length of two bytes: `79 79`.
pub(crate) fn long_frame(number: u8, body: &[u8], serial: u16) -> Vec<u8> {
    let length = u16::try_from(body.len() + 5).unwrap();
    let mut checked = length.to_be_bytes().to_vec();
    checked.push(number);
    checked.extend_from_slice(body);
    checked.extend_from_slice(&serial.to_be_bytes());
    let crc = crc_x25(&checked);
    let mut frame = vec![0x79, 0x79];
    frame.extend(checked);
    frame.extend_from_slice(&crc.to_be_bytes());
    frame.extend_from_slice(b"\r\n");
    frame
}

fn byte(n: u32) -> u8 {
    u8::try_from(n).unwrap()
}

/// A tracker's connection.
pub(crate) struct Tracker {
    stream: TcpStream,
}

impl Tracker {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    /// Connects from an address of this machine: 127.0.0.0/8 is all its own.
    pub(crate) fn connect_from(from: [u8; 4], address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    /// The same where it may fail; what is sent is then given up after a moment.
    pub(crate) fn try_connect_from(from: [u8; 4], address: SocketAddr) -> Option<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
        socket.bind(&SocketAddr::from((from, 0)).into()).ok()?;
        socket.connect(&address.into()).ok()?;
        let stream = TcpStream::from(socket);
        stream
            .set_write_timeout(Some(Duration::from_millis(50)))
            .ok()?;
        Some(Self { stream })
    }

    /// Connects and logs in.
    pub(crate) fn login(address: SocketAddr, id: &str) -> Self {
        let mut tracker = Self::connect(address);
        tracker.send(&login(id, 1));
        assert_eq!(tracker.receive(), frame(0x01, &[], 1));
        tracker
    }

    /// The same with a server that may not answer.
    pub(crate) fn try_login(address: SocketAddr, id: &str, wait: Duration) -> Option<Self> {
        let mut stream = TcpStream::connect_timeout(&address, wait).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(wait)).ok()?;
        stream.write_all(&login(id, 1)).ok()?;
        let mut tracker = Self { stream };
        tracker.awaits(&frame(0x01, &[], 1)).then_some(tracker)
    }

    /// Sends, and whether this reply comes before the read times out; others before it are passed
    /// over.
    pub(crate) fn asks(&mut self, bytes: &[u8], reply: &[u8]) -> bool {
        self.try_send(bytes).is_ok() && self.awaits(reply)
    }

    fn awaits(&mut self, reply: &[u8]) -> bool {
        loop {
            let mut head = [0; 3];
            if self.stream.read_exact(&mut head).is_err() {
                return false;
            }
            let mut rest = vec![0; usize::from(head[2]) + 2];
            if self.stream.read_exact(&mut rest).is_err() {
                return false;
            }
            if [head.as_slice(), &rest].concat() == reply {
                return true;
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends to a server that may have closed already.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next bytes from the server.
    pub(crate) fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next short frame from the server.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let mut head = [0; 3];
        self.stream.read_exact(&mut head).unwrap();
        assert_eq!(head[..2], [0x78, 0x78]);
        let mut rest = vec![0; usize::from(head[2]) + 2];
        self.stream.read_exact(&mut rest).unwrap();
        [head.as_slice(), &rest].concat()
    }

    /// The next frame, which must be a command: its flag and its text.
    pub(crate) fn command(&mut self) -> (u32, String) {
        let raw = self.receive();
        assert_eq!(raw[3], 0x80, "{}", hex::encode(&raw));
        let text = usize::from(raw[4]) - 4;
        let flag = u32::from_be_bytes(raw[5..9].try_into().unwrap());
        (flag, String::from_utf8(raw[9..9 + text].to_vec()).unwrap())
    }

    /// Whether the server says something within `wait`.
    pub(crate) fn hears_within(&mut self, wait: Duration) -> bool {
        self.stream.set_read_timeout(Some(wait)).unwrap();
        let heard = match self.stream.peek(&mut [0]) {
            Ok(n) => n > 0,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
            Err(e) => panic!("{e}"),
        };
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        heard
    }

    /// Waits until the server has closed the connection; what it said until then.
    pub(crate) fn until_closed(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        let mut part = [0; 4096];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => return said,
                Ok(n) => said.extend_from_slice(&part[..n]),
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return said,
                Err(e) => panic!("{e}"),
            }
        }
    }
}
