// SPDX-License-Identifier: Apache-2.0
//! The loaded library, and the devices that it finds.

use std::sync::Arc;

use crate::error::{check, text_at, text_of, Result};
use crate::types::{CpuTier, DeviceKind};
use crate::{sys, LoadError};

/// The loaded library. Cheap to clone; unloaded when the last object made with it is gone.
#[derive(Clone)]
pub struct Library {
    pub(crate) api: Arc<sys::Api>,
}

/// One device.
#[derive(Clone, Debug)]
pub struct Device {
    /// CPU or CUDA.
    pub kind: DeviceKind,
    /// CUDA ordinal; 0 on the CPU.
    pub index: i32,
    /// UTF-8 name.
    pub name: String,
    /// Multiprocessors, or usable hardware threads.
    pub processor_count: i32,
    /// Memory in all.
    pub memory_bytes: u64,
    /// Memory free at the time of the call.
    pub memory_free_bytes: u64,
    /// Best usable tier on the CPU.
    pub cpu_tier: CpuTier,
}

impl Library {
    /// Loads the library that the environment variable `MARLIN_MOE_LIBRARY` names, else
    /// `libmarlin_moe.so.0` as the system's loader finds it. With the feature `link`: the library
    /// that the program is linked with.
    pub fn load() -> Result<Library, LoadError> {
        #[cfg(feature = "link")]
        return Ok(Library { api: Arc::new(sys::Api::linked()) });
        #[cfg(not(feature = "link"))]
        {
            let name = std::env::var("MARLIN_MOE_LIBRARY")
                .unwrap_or_else(|_| sys::LIBRARY_NAME.to_string());
            // SAFETY: whoever sets up the process vouches for the library, as with linking.
            unsafe { Library::load_from(&name) }
        }
    }

    /// Loads the library from a path.
    ///
    /// # Safety
    /// The file must be libmarlin_moe.
    pub unsafe fn load_from(path: &str) -> Result<Library, LoadError> {
        Ok(Library { api: Arc::new(sys::Api::load(path)?) })
    }

    /// The library's version, such as `"0.1.0"`.
    pub fn version(&self) -> String {
        // SAFETY: returns static storage.
        unsafe { text_at((self.api.mmoe_version_string)()) }
    }

    /// How the library was built: what belongs into a bug report.
    pub fn describe(&self) -> String {
        // SAFETY: `read_text` gives a buffer of the size that it says.
        read_text(|text, size| unsafe { (self.api.mmoe_build_describe)(text, size) })
    }

    /// The devices of one kind.
    pub fn devices(&self, kind: DeviceKind) -> Result<Vec<Device>> {
        let mut count = 0;
        // SAFETY: all pointers are valid during the calls.
        check(|error| unsafe { (self.api.mmoe_device_count)(kind.to_raw(), &mut count, error) })?;
        (0..count)
            .map(|index| {
                let mut raw = sys::mmoe_device_description {
                    struct_size: std::mem::size_of::<sys::mmoe_device_description>() as u32,
                    ..Default::default()
                };
                check(|error| unsafe {
                    (self.api.mmoe_device_info)(kind.to_raw(), index, &mut raw, error)
                })?;
                Ok(Device {
                    kind: DeviceKind::from_raw(raw.kind),
                    index: raw.index,
                    name: text_of(&raw.name),
                    processor_count: raw.processor_count,
                    memory_bytes: raw.memory_bytes,
                    memory_free_bytes: raw.memory_free_bytes,
                    cpu_tier: CpuTier::from_raw(raw.cpu_tier),
                })
            })
            .collect()
    }
}

/// Asks for the size of a text, then for the text.
pub(crate) fn read_text(call: impl Fn(*mut std::os::raw::c_char, usize) -> usize) -> String {
    let needed_bytes = call(std::ptr::null_mut(), 0);
    let mut bytes = vec![0u8; needed_bytes];
    call(bytes.as_mut_ptr().cast(), needed_bytes);
    bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    String::from_utf8_lossy(&bytes).into_owned()
}
