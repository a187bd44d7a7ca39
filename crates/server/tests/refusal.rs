//! What `milepost serve` says when it cannot start.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use support::{Server, Start, milepost};

fn serve(data_dir: &Path, flags: &[&str]) -> Output {
    milepost()
        .arg("serve")
        .arg("--data-dir")
        .arg(data_dir)
        .args(flags)
        .output()
        .unwrap()
}

/// It fails at once, with one message on standard error and nothing on standard output.
fn refused(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty());
    assert!(!said.contains("panicked"), "{said}");
    said
}

const ANY: [&str; 6] = [
    "--http",
    "127.0.0.1:0",
    "--gt06",
    "127.0.0.1:0",
    "--ais140",
    "off",
];

#[test]
fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&serve(
        folder.path(),
        &["--http", &address, "--gt06", "127.0.0.1:0"],
    ));
    assert!(said.contains(&address) && said.contains("--http"), "{said}");
    let said = refused(&serve(
        folder.path(),
        &["--http", "127.0.0.1:0", "--gt06", &address],
    ));
    assert!(said.contains(&address) && said.contains("--gt06"), "{said}");
}

#[test]
fn a_wrong_configuration_is_refused_before_anything_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("m.toml");
    std::fs::write(&file, "[gt06]\nlistn = '0.0.0.0:5023'\n").unwrap();
    let said = refused(&serve(&data, &["--config", file.to_str().unwrap()]));
    assert!(
        said.contains("m.toml:2: gt06.listn: unknown key; did you mean `gt06.listen`?"),
        "{said}"
    );
    let said = refused(&serve(&data, &["--http", "8080"]));
    assert!(
        said.contains("flag --http: http.listen = \"8080\""),
        "{said}"
    );
    let said = refused(&serve(&data, &["--http", "0.0.0.0:0"]));
    assert!(
        said.contains("without a token") && said.contains("--api-token"),
        "{said}"
    );
    assert!(!data.exists());
}

#[test]
fn check_config_says_what_would_run_and_hides_the_token() {
    let said = |flags: &[&str]| {
        let output = milepost().arg("check-config").args(flags).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, shown) = said(&["--api-token", "hush-hush-hush-hush", "--http", "0.0.0.0:80"]);
    assert_eq!(code, Some(0));
    assert!(
        shown.contains("http.listen = \"0.0.0.0:80\"  # flag --http"),
        "{shown}"
    );
    assert!(
        shown.contains("gt06.listen = [\"0.0.0.0:5023\"]  # default"),
        "{shown}"
    );
    assert!(!shown.contains("hush"), "{shown}");
    assert_eq!(said(&["--http", "0.0.0.0:80"]).0, Some(1));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("milepost.toml");
    let device = "[[device]]\nid = \"1\"\nzone = \"-04:30\"\ndialect = \"jimi\"\n";
    std::fs::write(&file, device).unwrap();
    let (code, shown) = said(&["--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let line = "# device 1: dialect = \"jimi\", zone = \"-04:30\"\n";
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn a_second_process_on_the_same_store_is_refused() {
    let server = Server::start();
    let said = refused(&serve(&server.data_dir, &ANY));
    assert!(said.contains("in use by another process"), "{said}");
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn a_store_that_another_program_has_locked_is_not_blamed_on_its_folder() {
    let mut server = Server::start();
    assert!(server.terminate().success());
    let db = rusqlite::Connection::open(server.data_dir.join("milepost.sqlite")).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let said = refused(&serve(&server.data_dir, &ANY));
    assert!(said.contains("locked by another program"), "{said}");
    assert!(!said.contains("--data-dir"), "{said}");
}

#[test]
fn a_damaged_store_a_foreign_file_and_a_newer_store_are_refused_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Start::default().data_dir(&data).start();
    assert!(server.terminate().success());
    let file = data.join("milepost.sqlite");
    let whole = std::fs::read(&file).unwrap();

    let mut damaged = whole.clone();
    damaged[100..4096].fill(0xaa);
    std::fs::write(&file, &damaged).unwrap();
    let said = refused(&serve(&data, &ANY));
    assert!(said.contains("is damaged"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), damaged);

    std::fs::write(
        &file,
        b"this is no database, but somebody's notes\n".repeat(100),
    )
    .unwrap();
    let said = refused(&serve(&data, &ANY));
    assert!(
        said.contains("damaged") || said.contains("not a Milepost store"),
        "{said}"
    );

    // The format's number stands at byte 60, in four bytes.
    let mut newer = whole;
    newer[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    std::fs::write(&file, &newer).unwrap();
    let said = refused(&serve(&data, &ANY));
    assert!(said.contains("newer version"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), newer);
}

#[test]
fn a_folder_that_cannot_be_is_refused_with_the_flag_that_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = refused(&serve(&file.join("data"), &ANY));
    assert!(said.contains("--data-dir"), "{said}");
}

#[test]
fn a_read_only_folder_is_refused_with_the_flag_that_changes_it() {
    // Permissions do not bind root; a read-only file system binds everybody.
    let read_only = Path::new("/proc/self");
    let said = refused(&serve(&read_only.join("data"), &ANY));
    assert!(said.contains("--data-dir"), "{said}");
}

#[test]
fn a_simulation_without_a_server_is_refused_with_the_reason() {
    // A port that was free a moment ago.
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let simulate = |server: &str| {
        let output = milepost()
            .args(["simulate", "--duration", "5", "--server", server])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = simulate(&format!("localhost:{port}"));
    assert!(
        said.contains(&format!("no server answers at localhost:{port}"))
            && said.contains("milepost serve"),
        "{said}"
    );
    assert!(simulate("localhost").contains("--server"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = milepost()
        .arg("check-config")
        .stdout(writer)
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(output.stderr.is_empty());
}
