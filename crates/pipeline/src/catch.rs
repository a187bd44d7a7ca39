//! Panics of stages and followers, which are caught: one report or one follower must not end the
//! process. A panic anywhere else in the data path still does.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What a caught panic said, and where in the source.
#[derive(Debug, thiserror::Error)]
#[error("panicked{location}: {message}")]
pub(crate) struct Panicked {
    message: String,
    location: String,
}

/// For a panic hook that ends the process: whether the pipeline catches this panic, so that the
/// process goes on. It is then counted, and logged with what it concerns.
///
/// Call it from the hook, on the thread that panics. Without such a hook nothing is needed.
pub fn catches(panic: &PanicHookInfo<'_>) -> bool {
    let catching = CATCHING.get();
    if catching {
        let location = panic.location().map(|place| format!(" at {place}"));
        LOCATION.set(location);
    }
    catching
}

/// Runs foreign code, and catches its panic. Whatever that code may have left half done must not
/// be used again.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outer = CATCHING.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(outer);
    done.map_err(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        Panicked {
            message: text.unwrap_or_else(|| "no message".to_owned()),
            location: LOCATION.take().unwrap_or_default(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_caught_is_said_to_be() {
        assert!(!CATCHING.get());
        let caught = catch(|| {
            assert!(CATCHING.get());
            let inner = catch(|| panic!("inner"));
            assert!(inner.is_err() && CATCHING.get());
            panic!("outer {}", 7)
        });
        let Err(panicked): Result<(), _> = caught else {
            panic!("it was not caught");
        };
        assert_eq!(panicked.message, "outer 7");
        assert!(!CATCHING.get());
        assert_eq!(catch(|| 5).unwrap(), 5);
    }
}
