//! Conversions to and from the types of `embedded-can` 0.4.

use embedded_can::{ExtendedId, Frame, Id, StandardId};

use crate::{CanFrame, CanId};

impl From<Id> for CanId {
    fn from(id: Id) -> Self {
        match id {
            Id::Standard(id) => Self::Standard(id.as_raw()),
            Id::Extended(id) => Self::Extended(id.as_raw()),
        }
    }
}

/// The number, if it exceeds its identifier's width.
impl TryFrom<CanId> for Id {
    type Error = u32;

    fn try_from(id: CanId) -> Result<Self, u32> {
        match id {
            CanId::Standard(raw) => StandardId::new(raw).map(Self::Standard),
            CanId::Extended(raw) => ExtendedId::new(raw).map(Self::Extended),
        }
        .ok_or_else(|| id.raw())
    }
}

impl Frame for CanFrame {
    fn new(id: impl Into<Id>, data: &[u8]) -> Option<Self> {
        Self::new(id.into().into(), data).ok()
    }

    fn new_remote(id: impl Into<Id>, dlc: usize) -> Option<Self> {
        Self::remote(id.into().into(), u8::try_from(dlc).ok()?).ok()
    }

    fn is_extended(&self) -> bool {
        Self::id(self).is_extended()
    }

    fn is_remote_frame(&self) -> bool {
        self.is_remote()
    }

    fn id(&self) -> Id {
        // A frame's identifier fits its width; the fallbacks keep the width.
        match Self::id(self) {
            CanId::Standard(raw) => Id::Standard(StandardId::new(raw).unwrap_or(StandardId::MAX)),
            CanId::Extended(raw) => Id::Extended(ExtendedId::new(raw).unwrap_or(ExtendedId::MAX)),
        }
    }

    fn dlc(&self) -> usize {
        usize::from(Self::dlc(self))
    }

    fn data(&self) -> &[u8] {
        Self::data(self)
    }
}

/// Copies a frame of another `embedded-can` implementation.
///
/// ```
/// # use embedded_can::{Frame, StandardId};
/// # use milepost_protocol_j1939::{CanFrame, CanId, carrier};
/// # let theirs = <CanFrame as Frame>::new(StandardId::new(0x7E8).unwrap(), &[1, 2]).unwrap();
/// let frame = carrier::from_embedded(&theirs).expect("a classic frame");
/// assert_eq!((frame.id(), frame.data()), (CanId::Standard(0x7E8), &[1, 2][..]));
/// ```
///
/// `None` if the frame has more than eight bytes.
#[must_use]
pub fn from_embedded(frame: &impl Frame) -> Option<CanFrame> {
    let id = frame.id().into();
    if frame.is_remote_frame() {
        return CanFrame::remote(id, u8::try_from(frame.dlc()).ok()?).ok();
    }
    CanFrame::new(id, frame.data()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was() {
        for frame in [
            CanFrame::new(CanId::Extended(0x18FE_F100), &[1, 2, 3]).unwrap(),
            CanFrame::new(CanId::Standard(0x7E8), &[]).unwrap(),
            CanFrame::remote(CanId::Standard(0x7DF), 8).unwrap(),
        ] {
            let id = Frame::id(&frame);
            let copy = if frame.is_remote() {
                <CanFrame as Frame>::new_remote(id, Frame::dlc(&frame))
            } else {
                <CanFrame as Frame>::new(id, Frame::data(&frame))
            };
            assert_eq!(copy, Some(frame));
            assert_eq!(from_embedded(&frame), Some(frame));
            assert_eq!(Id::try_from(CanFrame::id(&frame)), Ok(id));
        }
        assert!(<CanFrame as Frame>::new(StandardId::ZERO, &[0; 9]).is_none());
    }
}
