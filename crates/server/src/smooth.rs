//! `milepost smooth`: a track as CSV in, smoothed or as trips out.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read};
use std::path::PathBuf;

use milepost_pipeline::track::Settings;
use milepost_pipeline::track::csv::{self, CsvError};

use crate::failure::Failure;

/// What to smooth, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many following reports each estimate may look at; 0 for the live estimate.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=MAX_LAG))]
    pub lag: u16,
    /// Print trips and stops instead.
    #[arg(long, conflicts_with = "lag")]
    pub trips: bool,
    /// CSV with the columns t_unix_s,lat,lon,speed_kmh,course_deg,hdop,sats; "-" is standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
}

/// More following reports than this change nothing that can be seen.
const MAX_LAG: i64 = 600;

/// Reads the track and prints what was asked for.
///
/// # Errors
/// The file cannot be read, or a line of it is no track; with its line.
pub fn run(options: &Options) -> Result<(), Failure> {
    let input: Box<dyn Read> = if options.file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(&options.file).map_err(|error| {
            std::io::Error::new(error.kind(), format!("{}: {error}", options.file.display()))
        })?)
    };
    let input = BufReader::new(input);
    let output = BufWriter::new(std::io::stdout().lock());
    let settings = Settings::default();
    let done = if options.trips {
        csv::trips(input, output, &settings)
    } else {
        csv::smooth(input, output, usize::from(options.lag), &settings)
    };
    match done {
        // Whoever reads our output has seen enough.
        Err(CsvError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(|error| Failure::new(error.to_string())),
    }
}
