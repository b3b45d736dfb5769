//! Cameras where there is no V4L2, through nokhwa.
//!
//! Its `frame` never times out: a camera that freezes is noticed and held, but only taken up again
//! when it sends on by itself, or is unplugged.

use std::time::Duration;

use nokhwa::Camera;
use nokhwa::utils::{
    CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};
use proto::conn::now;

use super::Frame;
use super::device::{Error, explain};
use super::format::{Format, Layout};
use crate::cli::Size;
use crate::source::coder::Rate;

const LAYOUTS: [(Layout, FrameFormat); 6] = [
    (Layout::Mjpeg, FrameFormat::MJPEG),
    (Layout::Yuyv, FrameFormat::YUYV),
    (Layout::Nv12, FrameFormat::NV12),
    (Layout::Grey, FrameFormat::GRAY),
    (Layout::Rgb, FrameFormat::RAWRGB),
    (Layout::Bgr, FrameFormat::RAWBGR),
];

/// What the camera offers.
///
/// # Errors
/// When it is not there, busy, or this user may not open it.
pub(super) fn formats(index: u32, name: &str) -> Result<Vec<Format>, Error> {
    let known = LAYOUTS.map(|(_, layout)| layout);
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &known);
    let failed = |error| explain(name, &error);
    let mut camera = Camera::new(CameraIndex::Index(index), any).map_err(failed)?;
    let offered = camera.compatible_camera_formats().map_err(failed)?;
    Ok(offered.iter().filter_map(from_nokhwa).collect())
}

fn from_nokhwa(format: &CameraFormat) -> Option<Format> {
    let (layout, _) = LAYOUTS.iter().find(|(_, theirs)| *theirs == format.format())?;
    let size = Size { width: format.width(), height: format.height() };
    let rate = Rate { frames: format.frame_rate(), seconds: 1 };
    let there = size.width > 0 && size.height > 0 && rate.frames > 0;
    there.then_some(Format { layout: *layout, size, rate })
}

/// A camera that sends.
pub(super) struct Grabber {
    camera: Camera,
    name: String,
}

impl Grabber {
    /// Opens the camera, sets `format` and gets it to send.
    ///
    /// # Errors
    /// When it is not there, busy, or refuses.
    pub(super) fn open(index: u32, name: &str, format: Format) -> Result<Self, Error> {
        let failed = |error| explain(name, &error);
        let layout = LAYOUTS.iter().find(|(ours, _)| *ours == format.layout);
        let layout = layout.map_or(FrameFormat::MJPEG, |(_, theirs)| *theirs);
        let size = Resolution::new(format.size.width, format.size.height);
        // nokhwa's rates are whole, and so is what `formats` made of them.
        let exact = CameraFormat::new(size, layout, format.rate.frames);
        let wanted = [layout];
        let request = RequestedFormat::with_formats(RequestedFormatType::Exact(exact), &wanted);
        let mut camera = Camera::new(CameraIndex::Index(index), request).map_err(failed)?;
        camera.open_stream().map_err(failed)?;
        Ok(Self { camera, name: name.to_owned() })
    }

    /// Waits for the next frame; here without end.
    ///
    /// # Errors
    /// When the camera is gone.
    pub(super) fn next(&mut self, _patience: Duration) -> Result<Frame, Error> {
        let buffer = self.camera.frame().map_err(|error| explain(&self.name, &error))?;
        Ok(Frame { bytes: buffer.buffer_bytes(), row_bytes: 0, captured: now() })
    }
}
