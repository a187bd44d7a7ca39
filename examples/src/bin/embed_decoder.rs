//! The GT06 session in a program of your own: threads and blocking sockets, no runtime.
//!
//! The session does no I/O. The program reads bytes and passes them on; the session says which
//! frames they hold, what those mean and what to answer. Run it: it serves one device on a free
//! port, plays that device against itself, and prints what it said.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use milepost_protocol_gt06::{AckPolicy, Message, ReplyClass, Session};

const LOGIN: &str = "78781101075253367890024270003201000512790d0a";
const LOCATION: &str =
    "787822220f0c1d023305c9027ac8180c46586000140001cc00287d001f71000001000820860d0a";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let device = std::thread::spawn(move || play_a_device(addr).map_err(|e| e.to_string()));
    let (stream, _) = listener.accept()?;
    serve(stream)?;
    device.join().map_err(|_| "the device broke")??;
    Ok(())
}

fn serve(mut stream: TcpStream) -> Result<(), Box<dyn std::error::Error>> {
    let mut session = Session::new(AckPolicy::default());
    let (mut buffer, mut chunk) = (BytesMut::new(), [0; 1_024]);
    loop {
        let len = stream.read(&mut chunk)?;
        if len == 0 {
            // Files that were not whole; their blocks were messages of their own.
            for upload in session.on_close() {
                println!("cut off: {}", upload.id);
            }
            return Ok(());
        }
        buffer.extend_from_slice(&chunk[..len]);
        loop {
            let frame = match session.next_frame(&mut buffer) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(skipped) => {
                    println!("{skipped}");
                    continue;
                }
            };
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            let handled = session.on_frame(&frame, i64::try_from(now)?);
            if let Some(id) = handled.identify {
                println!("login of {id}");
                // What is known about the device would be looked up here, and kept where it changed.
                if session.on_identified(None) {
                    println!("learned: {:?}", session.profile());
                }
            }
            match &handled.message {
                Ok(Message::Location(location)) => println!("{location:?}"),
                Ok(message) => println!("{} ({:#04x})", message.name(), message.number()),
                Err(error) => println!("unreadable: {error}"),
            }
            if let Some(reply) = handled.reply {
                match reply.class {
                    ReplyClass::Now => {}
                    // It means "I have your data". Here what is printed counts as stored; where it
                    // is not, keep the reply until it is.
                    ReplyClass::WhenDelivered => std::io::stdout().flush()?,
                }
                stream.write_all(&reply.bytes)?;
            }
        }
    }
}

fn play_a_device(addr: std::net::SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let mut stream = TcpStream::connect(addr)?;
    stream.write_all(&hex::decode(LOGIN)?)?;
    let mut reply = [0; 10];
    stream.read_exact(&mut reply)?;
    println!("the device is told {}", hex::encode(reply));
    stream.write_all(&hex::decode(LOCATION)?)?;
    Ok(())
}
