//! Frames from an open camera, with the time each was captured.
//!
//! nokhwa finds the camera and sets its format. On Linux the frames themselves come from the `v4l`
//! crate below it: its stream can time out, which nokhwa's cannot, so a camera that froze can be
//! closed and opened again; and it says how long a frame is. The format is the device's, not the
//! file handle's: it stays set in between.

use bytes::Bytes;
use proto::time::Stamp;

/// A frame as the camera sent it.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Its bytes, laid out as the camera's format says, perhaps with a tail of old ones.
    pub bytes: Bytes,
    /// When it was captured, on the clock of [`proto::conn::now`].
    pub captured: Stamp,
}

#[cfg(target_os = "linux")]
pub(super) use linux::Grabber;
#[cfg(not(target_os = "linux"))]
pub use other::Grabber;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::time::Duration;

    use bytes::Bytes;
    use proto::conn::now;
    use proto::time::Stamp;
    use rustix::time::{ClockId, clock_gettime};
    use v4l::buffer::{Flags, Type};
    use v4l::io::traits::CaptureStream;
    use v4l::prelude::MmapStream;

    use super::super::device::{self, Device, Error};
    use super::super::format::Format;
    use super::Frame;

    /// Frames the driver may have under way: one is read while others are filled.
    const BUFFERS: u32 = 4;
    /// Cameras take their time to start.
    const FIRST_FRAME: Duration = Duration::from_secs(5);
    /// A frame that would be older than this has a stamp of another clock.
    const OLDEST_US: i64 = 1_000_000;

    /// A camera that sends.
    pub(crate) struct Grabber {
        stream: MmapStream<'static>,
        name: String,
    }

    impl Grabber {
        /// Opens `device`, sets `format` and gets it to send.
        ///
        /// # Errors
        /// When it is not there, busy, or refuses.
        pub(crate) fn open(device: &Device, format: Format) -> Result<Self, Error> {
            let name = device.name.clone();
            let explain = |error: io::Error| device::explain_io(&device.name, &error);
            drop(device::open(device, format)?);
            let node = v4l::Device::new(device.index as usize).map_err(explain)?;
            let mut stream =
                MmapStream::with_buffers(&node, Type::VideoCapture, BUFFERS).map_err(explain)?;
            stream.set_timeout(FIRST_FRAME);
            Ok(Self { stream, name })
        }

        /// Waits for the next frame.
        ///
        /// # Errors
        /// When none comes within `patience`, or the camera is gone.
        pub(crate) fn next(&mut self, patience: Duration) -> Result<Frame, Error> {
            loop {
                let (bytes, about) = self.stream.next().map_err(|error| match error.kind() {
                    io::ErrorKind::TimedOut => Error::Silent(self.name.clone()),
                    _ => device::explain_io(&self.name, &error),
                })?;
                let captured = captured_at(about.timestamp.into());
                let length = (about.bytesused as usize).min(bytes.len());
                let whole = !about.flags.contains(Flags::ERROR) && length > 0;
                let frame = Frame { bytes: Bytes::copy_from_slice(&bytes[..length]), captured };
                self.stream.set_timeout(patience);
                if whole {
                    return Ok(frame);
                }
            }
        }
    }

    /// A driver's stamp (of the monotonic clock) on ours; now, where it is of another clock.
    fn captured_at(stamp: Duration) -> Stamp {
        let clock = clock_gettime(ClockId::Monotonic);
        let arrived = now();
        let clock_us = clock.tv_sec.saturating_mul(1_000_000).saturating_add(clock.tv_nsec / 1_000);
        let age_us = clock_us.saturating_sub(proto::time::micros(stamp));
        if (0..=OLDEST_US).contains(&age_us) { arrived.plus_us(-age_us) } else { arrived }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn stamps_of_another_clock_are_not_believed() {
            let clock = clock_gettime(ClockId::Monotonic);
            let monotonic = Duration::new(clock.tv_sec as u64, clock.tv_nsec as u32);
            let off = |stamp| captured_at(stamp).us_since(now());
            assert!((-900_000..-29_000).contains(&off(monotonic - Duration::from_millis(30))));
            for wrong in [Duration::ZERO, monotonic + Duration::from_secs(60), Duration::MAX] {
                assert!(off(wrong) > -29_000, "{wrong:?}");
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::time::Duration;

    use nokhwa::Camera;
    use proto::conn::now;

    use super::super::device::{self, Device, Error};
    use super::super::format::Format;
    use super::Frame;

    /// A camera that sends.
    pub struct Grabber {
        camera: Camera,
        name: String,
    }

    impl Grabber {
        /// Opens `device`, sets `format` and gets it to send.
        ///
        /// # Errors
        /// When it is not there, busy, or refuses.
        pub fn open(device: &Device, format: Format) -> Result<Self, Error> {
            let name = device.name.clone();
            let mut camera = device::open(device, format)?;
            camera.open_stream().map_err(|error| device::explain(&name, &error))?;
            Ok(Self { camera, name })
        }

        /// Waits for the next frame; here without end, the stage above notices.
        ///
        /// # Errors
        /// When the camera is gone.
        pub fn next(&mut self, _patience: Duration) -> Result<Frame, Error> {
            let buffer =
                self.camera.frame().map_err(|error| device::explain(&self.name, &error))?;
            Ok(Frame { bytes: buffer.buffer_bytes(), captured: now() })
        }
    }
}
