//! `--list-devices`: the cameras with their formats, and the microphones.

use crate::say::say;
use crate::source::{camera, microphone};

/// Prints them.
pub fn print() {
    let cameras = camera::list();
    say!("Cameras (--webcam):");
    if cameras.is_empty() {
        say!("  none");
    }
    for (label, camera) in cameras {
        match camera {
            Ok(camera) => {
                say!("  {label}");
                camera.formats.iter().for_each(|format| say!("       {format}"));
            }
            Err(error) => say!("  {label}\n       {error}"),
        }
    }
    let microphones = microphone::list();
    say!("Microphones (--mic):");
    if microphones.is_empty() {
        say!("  none");
    }
    microphones.iter().for_each(|name| say!("  {name}"));
}
