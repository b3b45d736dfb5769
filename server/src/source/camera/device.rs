//! Cameras of this machine: finding one, and what can be wrong with it.

use std::fmt::Display;
use std::path::Path;

use nokhwa::utils::{ApiBackend, CameraInfo};

use super::format::Format;
use super::system;

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

/// The number of a camera that was lost: plugged in again it may be another.
#[must_use]
pub(super) fn again(device: &Device) -> u32 {
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
    same.or(there.first().copied()).unwrap_or(device.index)
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
    let (label, name) = (label(info), info.human_name());
    let index = info.index().as_index().map_err(|error| explain(&label, &error))?;
    let mut formats = system::formats(index, &label)?;
    if formats.is_empty() {
        return Err(Error::NoFormat(label));
    }
    formats.sort_by_key(|f| {
        (f.layout as u8, std::cmp::Reverse((f.size.width, f.size.height, f.rate.millihertz())))
    });
    formats.dedup();
    Ok(Device { index, name, formats })
}

/// What the system said, as text or within one: its number tells what is wrong.
pub(super) fn explain(name: &str, error: &dyn Display) -> Error {
    let (name, text) = (name.to_owned(), error.to_string());
    let said = |number: u32| text.contains(&format!("(os error {number})"));
    match () {
        () if said(16) => Error::Busy(name),
        () if said(13) || said(1) => Error::Permission(name),
        () if said(2) || said(6) || said(19) => Error::NotFound(name),
        () => Error::Failed { name, reason: text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_said_becomes_a_sentence() {
        let said = |number| std::io::Error::from_raw_os_error(number);
        assert!(matches!(explain("0: Cam", &said(16)), Error::Busy(_)));
        assert!(matches!(explain("0: Cam", &said(13)), Error::Permission(_)));
        assert!(matches!(explain("0: Cam", &said(19)), Error::NotFound(_)));
        let within = "V4L2 Error: Device or resource busy (os error 16)";
        assert!(matches!(explain("0: Cam", &within), Error::Busy(_)));
        assert!(explain("0: Cam", &"smoke").to_string().contains("smoke"));
    }

    #[test]
    fn a_path_names_a_number() {
        assert_eq!(number_of_path("/dev/null"), None);
        assert_eq!(number_of_path("no such path"), None);
    }
}
