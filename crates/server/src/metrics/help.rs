//! One line of help for each name.

/// Names and what they mean, in short; `docs/operating.md` says more.
pub const HELP: &[(&str, &str)] = &[
    ("milepost_build_info", "The version that runs; always 1."),
    ("milepost_commands_total", "Commands that reached a state."),
    (
        "milepost_gateway_express_skipped_total",
        "Urgent envelopes without a copy, because the log of copies was full.",
    ),
    (
        "milepost_events_published_total",
        "Events that Kafka has confirmed.",
    ),
    (
        "milepost_events_publish_errors_total",
        "Attempts to send events that failed; each is repeated.",
    ),
    (
        "milepost_worker_dropped_chunks_total",
        "Chunks of tables that were older than store.keep_days.",
    ),
    (
        "milepost_frames_failed_total",
        "Frames that could not be stored before the end; not acknowledged.",
    ),
    (
        "milepost_frames_total",
        "Frames, by the bucket they ended in.",
    ),
    (
        "milepost_listener_abandoned_total",
        "Frames without verdict when a clean end ran out of time.",
    ),
    ("milepost_listener_accept_errors_total", "Failed accepts."),
    ("milepost_listener_accepted_total", "Connections accepted."),
    (
        "milepost_listener_closed_total",
        "Connections that ended, by reason.",
    ),
    (
        "milepost_listener_connections_open",
        "Connections whose last frame is not settled.",
    ),
    (
        "milepost_listener_frames_total",
        "Frames, by what the listener made of them.",
    ),
    (
        "milepost_listener_given_up_total",
        "Frames given up because their connection ended while memory was used up.",
    ),
    (
        "milepost_listener_in_flight",
        "Frames that wait for their verdict.",
    ),
    (
        "milepost_listener_not_delivered_total",
        "Frames that were not delivered, by reason.",
    ),
    (
        "milepost_listener_received_bytes_total",
        "Bytes read from devices.",
    ),
    (
        "milepost_listener_rejected_total",
        "Connections closed at once, by reason.",
    ),
    ("milepost_listener_replies_total", "Replies, by class."),
    (
        "milepost_listener_skipped_bytes_total",
        "Bytes that belong to no frame, by what they look like.",
    ),
    (
        "milepost_listener_parallel_logins_total",
        "Logins of a device that was connected already, by network.",
    ),
    (
        "milepost_listener_uploads_abandoned_total",
        "Uploads that were not whole, by reason.",
    ),
    (
        "milepost_log_lines_dropped_total",
        "Log lines that standard error did not take.",
    ),
    (
        "milepost_positions_rejected_total",
        "Positions that the track contradicts, by reason.",
    ),
    (
        "milepost_store_bytes",
        "Size of the embedded store's files.",
    ),
    (
        "milepost_store_commit_seconds",
        "Time to write and sync one batch.",
    ),
    (
        "milepost_store_forgotten_total",
        "Rows older than store.keep_days that were removed.",
    ),
    (
        "milepost_store_retries_total",
        "Batches that the store did not take at once.",
    ),
    (
        "milepost_commands_unconfirmed_total",
        "Answers to commands that came from elsewhere than where the command was sent.",
    ),
    (
        "milepost_stage_panics_total",
        "Frames or batches on which a stage panicked; such a frame is in quarantine.",
    ),
    (
        "milepost_follower_failing",
        "Whether the last attempt of a follower failed, by follower.",
    ),
    (
        "milepost_follower_panics_total",
        "Panics of a follower, by follower; it goes on from its mark.",
    ),
    (
        "milepost_follower_rewinds_total",
        "Followers that found the store restored from a backup, by follower.",
    ),
    (
        "milepost_follower_errors_total",
        "Failed attempts of a follower to write, by follower.",
    ),
    (
        "milepost_follower_lag_rows",
        "Stored rows that a follower has not written yet, by follower.",
    ),
    (
        "milepost_profiles_reused_total",
        "Profiles that were not kept because a device had too many new ones in a day.",
    ),
    (
        "milepost_listener_gave_way_total",
        "Connections that gave up an upload or were closed for want of memory.",
    ),
    (
        "milepost_gateway_frames_total",
        "Frames of a gateway, by outcome.",
    ),
    (
        "milepost_spool_damage_total",
        "Parts of the spool that could not be read.",
    ),
    (
        "milepost_transport_repeats_total",
        "Envelopes that were forwarded twice and skipped.",
    ),
    (
        "milepost_worker_unreadable_total",
        "Records of the log that are no envelopes.",
    ),
    (
        "milepost_worker_gap_records_total",
        "Offsets that the log did not have any more.",
    ),
    (
        "milepost_batches_found_stored_total",
        "Batches that were stored although the answer was lost.",
    ),
    (
        "milepost_batches_restaged_total",
        "Batches written twice because of a repeat.",
    ),
    (
        "milepost_api_redis_away_total",
        "Reads that Redis did not answer.",
    ),
    (
        "milepost_listener_decode_errors_total",
        "Frames that could not be read, by the field at fault.",
    ),
    ("milepost_store_batch_frames", "Frames in one batch."),
    (
        "milepost_follower_write_seconds",
        "Time to write one batch to a follower, by follower.",
    ),
    (
        "milepost_spool_records",
        "Records of the spool that Kafka has not got yet.",
    ),
    ("milepost_spool_bytes", "Size of the spool on disk."),
    (
        "milepost_spool_oldest_seconds",
        "Age of the oldest record that Kafka has not got yet.",
    ),
    (
        "milepost_spool_appending_records",
        "Records that wait to be synced.",
    ),
    (
        "milepost_spool_append_seconds",
        "Time to write and sync one batch of the spool.",
    ),
    (
        "milepost_spool_batch_records",
        "Records in one batch of the spool.",
    ),
    (
        "milepost_kafka_brokers_connected",
        "Brokers that are connected and answer, by client.",
    ),
    (
        "milepost_kafka_delivery_seconds",
        "Time from hand-over to Kafka's delivery report.",
    ),
    (
        "milepost_kafka_lag_records",
        "Records of a partition that are not stored yet.",
    ),
    (
        "milepost_worker_partitions",
        "Partitions that the worker works on.",
    ),
    ("process_resident_memory_bytes", "Memory in use."),
    ("process_cpu_seconds_total", "Processor time used."),
    (
        "process_start_time_seconds",
        "Start of the process, in Unix time.",
    ),
    ("process_open_fds", "Open files."),
    ("process_max_fds", "Limit on open files."),
    (
        "milepost_trips_redone_total",
        "Stretches of time whose trips were found anew.",
    ),
];
