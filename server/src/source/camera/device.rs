//! Cameras of this machine: finding one, what it offers, opening it. Through nokhwa.

use std::path::Path;

use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, CameraInfo, FrameFormat, RequestedFormat,
    RequestedFormatType, Resolution,
};
use nokhwa::{Camera, NokhwaError};

use super::format::{Format, Layout};
use crate::cli::Size;

/// Why there is no camera.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// None at all.
    #[error("no camera was found: plug one in, or use --test-pattern or --file instead")]
    None,
    /// None of that number, path or name.
    #[error("there is no camera '{0}': --list-devices shows those there are")]
    NotFound(String),
    /// Another program has it.
    #[error("camera {0} is busy: end the other program that uses it")]
    Busy(String),
    /// This user may not use it.
    #[error(
        "camera {0} may not be used by this user: add them to the group 'video' (usermod -aG video USER, then log in again)"
    )]
    Permission(String),
    /// It sends nothing that can be used.
    #[error("camera {0} offers no picture format that can be sent: choose another with --webcam")]
    NoFormat(String),
    /// It does not send.
    #[error("camera {0} sends no pictures: unplug it and plug it in again")]
    Silent(String),
    /// Anything else.
    #[error("camera {name} failed ({reason}): unplug it and plug it in again")]
    Failed {
        /// Which.
        name: String,
        /// In the system's words.
        reason: String,
    },
}

impl Error {
    /// Why a camera is away, as viewers are told.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::None | Self::NotFound(_) => "the camera is unplugged".to_owned(),
            Self::Silent(_) => "the camera sends no pictures".to_owned(),
            other => other.to_string(),
        }
    }
}

/// A camera that can be opened.
#[derive(Clone, Debug)]
pub struct Device {
    /// On Linux the number in `/dev/videoN`.
    pub index: u32,
    /// As its maker named it.
    pub name: String,
    /// What it offers.
    pub formats: Vec<Format>,
}

const LAYOUTS: [FrameFormat; 6] = [
    FrameFormat::MJPEG,
    FrameFormat::YUYV,
    FrameFormat::NV12,
    FrameFormat::GRAY,
    FrameFormat::RAWRGB,
    FrameFormat::RAWBGR,
];

/// All cameras, each with its formats or why it cannot be used now.
#[must_use]
pub fn list() -> Vec<(String, Result<Device, Error>)> {
    let mut found = nokhwa::query(ApiBackend::Auto).unwrap_or_default();
    found.sort_by_key(|info| info.index().as_index().unwrap_or(u32::MAX));
    found
        .iter()
        .map(|info| (label(info), inspect(info)))
        // Cameras come with nodes that carry no pictures (metadata): nobody wants to see those.
        .filter(|(_, device)| !matches!(device, Err(Error::NoFormat(_))))
        .collect()
}

/// The camera of that number, path or part of a name; the first one if `wish` is empty.
///
/// # Errors
/// When there is none, or it cannot be used.
pub(super) fn find(wish: &str) -> Result<Device, Error> {
    let number = wish.parse().ok().or_else(|| number_of_path(wish));
    let lower = wish.to_lowercase();
    let mut cameras = list();
    if cameras.is_empty() {
        return Err(Error::None);
    }
    let fits = |label: &str, device: &Result<Device, Error>| match (number, device) {
        (Some(number), Ok(device)) => device.index == number,
        (Some(number), Err(_)) => label.starts_with(&format!("{number}: ")),
        (None, _) => label.to_lowercase().contains(&lower),
    };
    // One that can be used goes before one that cannot, where any will do.
    cameras.sort_by_key(|(_, device)| device.is_err());
    match cameras.into_iter().find(|(label, device)| fits(label, device)) {
        Some((_, device)) => device,
        None => Err(Error::NotFound(wish.to_owned())),
    }
}

/// Where a camera that was lost is now: plugged in again it may have another number.
#[must_use]
pub(super) fn again(device: &Device) -> Device {
    let index_of = |info: &CameraInfo| info.index().as_index().ok();
    let mut there: Vec<u32> = nokhwa::query(ApiBackend::Auto)
        .unwrap_or_default()
        .iter()
        .filter(|info| info.human_name() == device.name)
        .filter_map(index_of)
        .collect();
    // A camera's picture node comes before its others.
    there.sort_unstable();
    let same = there.contains(&device.index).then_some(device.index);
    let index = same.or(there.first().copied()).unwrap_or(device.index);
    Device { index, ..device.clone() }
}

/// `/dev/video2`, or a link to it such as `/dev/v4l/by-id/...`, is camera 2.
fn number_of_path(path: &str) -> Option<u32> {
    let real = Path::new(path).canonicalize().ok()?;
    real.file_name()?.to_str()?.strip_prefix("video")?.parse().ok()
}

fn label(info: &CameraInfo) -> String {
    format!("{}: {}", info.index().as_string(), info.human_name())
}

fn inspect(info: &CameraInfo) -> Result<Device, Error> {
    let name = label(info);
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &LAYOUTS);
    let mut camera =
        Camera::new(info.index().clone(), any).map_err(|error| explain(&name, &error))?;
    let offered = camera.compatible_camera_formats().map_err(|error| explain(&name, &error))?;
    let mut formats: Vec<Format> = offered.iter().filter_map(from_nokhwa).collect();
    formats.sort_by_key(|f| (f.layout as u8, u32::MAX - f.size.width, u32::MAX - f.fps));
    formats.dedup();
    if formats.is_empty() {
        return Err(Error::NoFormat(name));
    }
    let index = info.index().as_index().map_err(|error| explain(&name, &error))?;
    Ok(Device { index, name: info.human_name(), formats })
}

/// Opens a camera and sets it to `format`.
///
/// # Errors
/// When it is not there, is busy, or refuses the format.
pub(super) fn open(device: &Device, format: Format) -> Result<Camera, Error> {
    let exact = to_nokhwa(format);
    let layout = [exact.format()];
    let request = RequestedFormat::with_formats(RequestedFormatType::Exact(exact), &layout);
    let index = CameraIndex::Index(device.index);
    Camera::new(index.clone(), request)
        // Setting the size resets the rate, which nokhwa does not set again if it was right
        // before: the second time it is wrong, and set.
        .or_else(|_| Camera::new(index, request))
        .map_err(|error| explain(&device.name, &error))
}

pub(super) fn explain(name: &str, error: &NokhwaError) -> Error {
    explain_text(name, error.to_string())
}

/// As [`explain`], of what the system says itself.
#[cfg(target_os = "linux")]
pub(super) fn explain_io(name: &str, error: &std::io::Error) -> Error {
    explain_text(name, error.to_string())
}

/// nokhwa hands on what the system said as text, so its number is looked for there.
fn explain_text(name: &str, text: String) -> Error {
    let name = name.to_owned();
    let said = |number: u32| text.contains(&format!("(os error {number})"));
    match () {
        () if said(16) => Error::Busy(name),
        () if said(13) || said(1) => Error::Permission(name),
        () if said(2) || said(6) || said(19) => Error::NotFound(name),
        () if text.contains("Fufill") => Error::NoFormat(name),
        () => Error::Failed { name, reason: text },
    }
}

fn from_nokhwa(format: &CameraFormat) -> Option<Format> {
    let layout = match format.format() {
        FrameFormat::MJPEG => Layout::Mjpeg,
        FrameFormat::YUYV => Layout::Yuyv,
        FrameFormat::NV12 => Layout::Nv12,
        FrameFormat::GRAY => Layout::Grey,
        FrameFormat::RAWRGB => Layout::Rgb,
        FrameFormat::RAWBGR => Layout::Bgr,
    };
    let size = Size { width: format.width(), height: format.height() };
    let fps = format.frame_rate();
    (size.width > 0 && size.height > 0 && fps > 0).then_some(Format { layout, size, fps })
}

fn to_nokhwa(format: Format) -> CameraFormat {
    let layout = match format.layout {
        Layout::Mjpeg => FrameFormat::MJPEG,
        Layout::Yuyv => FrameFormat::YUYV,
        Layout::Nv12 => FrameFormat::NV12,
        Layout::Grey => FrameFormat::GRAY,
        Layout::Rgb => FrameFormat::RAWRGB,
        Layout::Bgr => FrameFormat::RAWBGR,
    };
    CameraFormat::new(Resolution::new(format.size.width, format.size.height), layout, format.fps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_said_becomes_a_sentence() {
        let open = |text: &str| NokhwaError::OpenDeviceError("0".to_owned(), text.to_owned());
        let busy = open("V4L2 Error: Device or resource busy (os error 16)");
        assert!(matches!(explain("0: Cam", &busy), Error::Busy(_)));
        let denied = open("V4L2 Error: Permission denied (os error 13)");
        assert!(matches!(explain("0: Cam", &denied), Error::Permission(_)));
        let gone = NokhwaError::ReadFrameError("No such device (os error 19)".to_owned());
        assert!(matches!(explain("0: Cam", &gone), Error::NotFound(_)));
        let other = NokhwaError::GeneralError("smoke".to_owned());
        assert!(explain("0: Cam", &other).to_string().contains("smoke"));
    }

    #[test]
    fn formats_survive_the_way_through_nokhwa() {
        for layout in
            [Layout::Mjpeg, Layout::Yuyv, Layout::Nv12, Layout::Grey, Layout::Rgb, Layout::Bgr]
        {
            let format = Format { layout, size: Size { width: 640, height: 480 }, fps: 25 };
            assert_eq!(from_nokhwa(&to_nokhwa(format)), Some(format));
        }
    }

    #[test]
    fn a_path_names_a_number() {
        assert_eq!(number_of_path("/dev/null"), None);
        assert_eq!(number_of_path("no such path"), None);
    }
}
