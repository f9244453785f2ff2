// SPDX-License-Identifier: Apache-2.0
//! What went wrong, with the sentence of the library.

use std::ffi::CStr;
use std::fmt;
use std::os::raw::c_char;

use crate::sys;

/// The category of an [`Error`], and the statuses that programs act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call itself is wrong; retrying cannot help.
    InvalidArgument,
    /// Another thread uses the object.
    Busy,
    /// The caller asked to stop.
    Cancelled,
    /// Host or device memory, or the context's budget, is too small.
    OutOfMemory,
    /// The operating system refused a read or write.
    Io,
    /// A file contradicts itself.
    BadData,
    /// Well formed, but nothing serves it.
    Unsupported,
    /// No device or driver, or the device reported a failure.
    Device,
    /// A defect in the library, or a status that this crate does not know.
    Internal,
}

/// Why a call failed.
#[derive(Clone, Debug)]
pub struct Error {
    status: sys::mmoe_status,
    os_errno: i32,
    cuda_error: i32,
    file_offset: u64,
    message: String,
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn invalid(message: String) -> Error {
        let status = sys::MMOE_ERR_INVALID_ARGUMENT;
        Error { status, os_errno: 0, cuda_error: 0, file_offset: u64::MAX, message }
    }

    /// The category.
    pub fn kind(&self) -> ErrorKind {
        match self.status {
            sys::MMOE_ERR_BUSY => ErrorKind::Busy,
            sys::MMOE_ERR_CANCELLED => ErrorKind::Cancelled,
            status => match status / 1000 {
                1 => ErrorKind::InvalidArgument,
                2 => ErrorKind::OutOfMemory,
                3 => ErrorKind::Io,
                4 => ErrorKind::BadData,
                5 => ErrorKind::Unsupported,
                6 => ErrorKind::Device,
                _ => ErrorKind::Internal,
            },
        }
    }

    /// The library's status, one of `sys::MMOE_ERR_*`.
    pub fn status(&self) -> i32 {
        self.status
    }

    /// `errno` of a refused system call.
    pub fn os_errno(&self) -> Option<i32> {
        Some(self.os_errno).filter(|&value| value != 0)
    }

    /// `cudaError_t` of a failed CUDA call.
    pub fn cuda_error(&self) -> Option<i32> {
        Some(self.cuda_error).filter(|&value| value != 0)
    }

    /// Where in the file that the message names.
    pub fn file_offset(&self) -> Option<u64> {
        Some(self.file_offset).filter(|&value| value != u64::MAX)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Runs a call that takes an error, and turns its status into a result.
pub(crate) fn check(call: impl FnOnce(*mut sys::mmoe_error) -> sys::mmoe_status) -> Result<()> {
    let mut error = sys::mmoe_error {
        struct_size: std::mem::size_of::<sys::mmoe_error>() as u32,
        ..Default::default()
    };
    let status = call(&mut error);
    if status == sys::MMOE_OK {
        return Ok(());
    }
    Err(Error {
        status,
        os_errno: error.os_errno,
        cuda_error: error.cuda_error,
        file_offset: error.file_offset,
        message: text_of(&error.message),
    })
}

/// A NUL-terminated text in a fixed array.
pub(crate) fn text_of(chars: &[c_char]) -> String {
    let bytes: Vec<u8> = chars.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A NUL-terminated text of the library.
///
/// # Safety
/// `text` is NULL or a C string.
pub(crate) unsafe fn text_at(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    CStr::from_ptr(text).to_string_lossy().into_owned()
}
