//! Programs that embed Milepost; see the README beside this folder.
