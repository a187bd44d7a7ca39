//! Writes `src/proto/generated.rs` from the `.proto` file, without protoc:
//! `cargo run -p milepost-telemetry --example generate_proto`.
//!
//! With an argument it writes to that folder instead.

use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = std::env::args_os()
        .nth(1)
        .map_or_else(|| package.join("src/proto"), PathBuf::from);
    generate(package, &out)
}

fn generate(package: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let root = package.join("proto");
    let files = protox::compile([root.join("milepost/v1/milepost.proto")], [root])?;
    let made = tempfile::tempdir()?;
    prost_build::Config::new()
        .out_dir(made.path())
        .bytes(["."])
        .boxed(".milepost.v1.Report.media")
        .compile_fds(files)?;
    std::fs::copy(made.path().join("milepost.v1.rs"), out.join("generated.rs"))?;
    Ok(())
}
