//! The spool's thread: order, group commit, back-pressure, faults, the end.

use std::time::Duration;

use bytes::Bytes;
use milepost_pipeline::spool::{AppendError, Folder, Spool, SpoolOptions};

use super::memory::Disk;

fn small() -> SpoolOptions {
    let mut options = SpoolOptions::default();
    options.segment_bytes = 1_000;
    options.max_bytes = 4_000;
    options
}

fn payload(n: u32) -> Bytes {
    let mut payload = n.to_le_bytes().to_vec();
    payload.resize(100, 0);
    payload.into()
}

#[tokio::test]
async fn positions_follow_the_order_of_the_calls() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(Folder::open(&folder).unwrap(), SpoolOptions::default()).unwrap();
    let appends: Vec<_> = (0..1_000).map(|n| spool.append(payload(n))).collect();
    for (append, expected) in appends.into_iter().zip(0..) {
        assert_eq!(append.await, Ok(expected));
    }
    let mut reader = spool.reader();
    let mut read = 0;
    while read < 1_000 {
        for record in reader.next(10_000).await.unwrap() {
            assert_eq!(record.payload, payload(read));
            read += 1;
        }
    }
    spool.close().await;
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Folder::open(&folder).unwrap();
    let refused = Folder::open(&folder).unwrap_err();
    assert!(refused.to_string().contains("in use"), "{refused}");
}

#[tokio::test]
async fn a_full_log_waits_until_enough_is_freed_and_drops_nothing() {
    let disk = Disk::new(1);
    let (spool, _) = Spool::open(disk.session(), small()).unwrap();
    let mut appends: Vec<_> = (0..100)
        .map(|n| Box::pin(spool.append(payload(n))))
        .collect();
    let mut reader = spool.reader();
    let mut read = 0;
    while read < 100 {
        let records = reader.next(usize::MAX).await.unwrap();
        assert!(spool.status().bytes <= 4_000);
        for record in &records {
            assert_eq!(record.payload, payload(read));
            read += 1;
        }
        if read < 100 {
            // Nobody frees: no more than fits is taken, however long one waits.
            while !spool.status().full {
                tokio::task::yield_now().await;
            }
        }
        spool.free_through(records.last().unwrap().position);
    }
    for append in &mut appends {
        append.await.unwrap();
    }
    spool.close().await;
}

#[tokio::test]
async fn a_disk_that_fails_delays_an_append_and_shows_in_the_status() {
    let disk = Disk::new(1);
    let (spool, _) = Spool::open(disk.session(), SpoolOptions::default()).unwrap();
    spool.append(payload(0)).await.unwrap();
    disk.set_full(true);
    let mut waiting = Box::pin(spool.append(payload(1)));
    while spool.status().failure.is_none() {
        let early = tokio::time::timeout(Duration::from_millis(5), &mut waiting).await;
        assert!(early.is_err(), "acknowledged without being stored");
    }
    disk.set_full(false);
    assert_eq!(waiting.await, Ok(1));
    while spool.status().failure.is_some() {
        tokio::task::yield_now().await;
    }
    spool.close().await;
}

#[tokio::test]
async fn what_waits_at_the_end_on_a_disk_that_fails_is_not_acknowledged() {
    let disk = Disk::new(1);
    let (spool, _) = Spool::open(disk.session(), SpoolOptions::default()).unwrap();
    disk.set_full(true);
    let waiting = spool.append(payload(1));
    spool.close().await;
    assert_eq!(waiting.await, Err(AppendError::Closed));
    assert_eq!(spool.append(payload(2)).await, Err(AppendError::Closed));
    assert!(spool.reader().next(1_000).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_record_that_is_too_long_is_refused() {
    let disk = Disk::new(1);
    let (spool, _) = Spool::open(disk.session(), SpoolOptions::default()).unwrap();
    let refused = spool.append(Bytes::from(vec![0; 1 << 24])).await;
    assert_eq!(refused, Err(AppendError::TooLong(1 << 24)));
    assert_eq!(spool.append(payload(1)).await, Ok(0));
    spool.close().await;
}

#[tokio::test]
async fn a_closed_log_begins_where_it_was_freed() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(Folder::open(&folder).unwrap(), SpoolOptions::default()).unwrap();
    for n in 0..10 {
        spool.append(payload(n)).await.unwrap();
    }
    spool.free_through(6);
    let id = spool.id();
    spool.close().await;
    drop(spool);

    let (spool, recovery) =
        Spool::open(Folder::open(&folder).unwrap(), SpoolOptions::default()).unwrap();
    assert_eq!(recovery.waiting, 3);
    assert_eq!(spool.id(), id);
    let records = spool.reader().next(usize::MAX).await.unwrap();
    assert_eq!(records.first().unwrap().position, 7);
    assert_eq!(spool.append(payload(10)).await, Ok(10));
    spool.close().await;
}
