// SPDX-License-Identifier: Apache-2.0
//! The C interface of libmarlin_moe, as its header declares it: types, constants, and an [`Api`]
//! of function pointers. What a function does is said in `marlin_moe.h`; the crate `marlin-moe`
//! has a safe interface.
//!
//! By default the library is loaded at run time ([`Api::load`]), so that a program starts without
//! it and can say what is missing. With the feature `link` it is linked, and `Api::linked`
//! exists too.
#![deny(missing_docs)]
#![allow(non_camel_case_types)]

use std::ffi::{c_void, CStr, CString};
use std::fmt;
use std::os::raw::c_char;

macro_rules! c_aliases {
    ($(type $name:ident = $type:ty;)*) => {
        $(#[doc = concat!("`", stringify!($name), "` of marlin_moe.h.")]
        pub type $name = $type;)*
    };
}

macro_rules! c_handles {
    ($($name:ident;)*) => {
        $(#[doc = concat!("The opaque `", stringify!($name), "` of marlin_moe.h.")]
        #[repr(C)]
        pub struct $name {
            _private: [u8; 0],
        })*
    };
}

macro_rules! c_constants {
    ($($name:ident = $value:expr;)*) => {
        $(#[doc = concat!("`", stringify!($name), "` of marlin_moe.h.")]
        pub const $name: i32 = $value;)*

        /// Every constant by name, for tests of the layout.
        #[doc(hidden)]
        pub const CONSTANTS: &[(&str, i32)] = &[$((stringify!($name), $value)),*];
    };
}

macro_rules! c_structs {
    ($(struct $name:ident { $($member:ident: $type:ty,)* })*) => {
        $(#[doc = concat!("`", stringify!($name), "` of marlin_moe.h.")]
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct $name {
            $(#[doc = concat!("`", stringify!($name), ".", stringify!($member), "`")]
            pub $member: $type,)*
        }

        impl Default for $name {
            /// All zero: the default of every member. `struct_size` is the caller's to set.
            fn default() -> Self {
                // SAFETY: integers, floats, pointers and Option<fn> are all valid as zeros.
                unsafe { std::mem::zeroed() }
            }
        })*

        /// Every size and offset by name, for tests of the layout.
        #[doc(hidden)]
        pub fn layout() -> Vec<(String, usize)> {
            let mut rows = Vec::new();
            $({
                let value = $name::default();
                let base = std::ptr::addr_of!(value) as usize;
                rows.push((stringify!($name).to_string(), std::mem::size_of::<$name>()));
                $(rows.push((
                    concat!(stringify!($name), ".", stringify!($member)).to_string(),
                    std::ptr::addr_of!(value.$member) as usize - base,
                ));)*
            })*
            rows
        }
    };
}

macro_rules! c_functions {
    ($(fn $name:ident($($parameter:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        /// Every function of the library.
        pub struct Api {
            library: *mut c_void,
            $(#[doc = concat!("`", stringify!($name), "` of marlin_moe.h.")]
            pub $name: unsafe extern "C" fn($($parameter: $type),*) $(-> $result)?,)*
        }

        impl Api {
            fn resolve(library: *mut c_void) -> Result<Api, LoadError> {
                Ok(Api {
                    library,
                    // SAFETY: the declarations are generated from the library's own header.
                    $($name: unsafe {
                        std::mem::transmute::<
                            *mut c_void,
                            unsafe extern "C" fn($($type),*) $(-> $result)?,
                        >(symbol(library, stringify!($name))?)
                    },)*
                })
            }

            /// The library that this program is linked with.
            #[cfg(feature = "link")]
            pub fn linked() -> Api {
                extern "C" {
                    $(fn $name($($parameter: $type),*) $(-> $result)?;)*
                }
                Api { library: std::ptr::null_mut(), $($name,)* }
            }
        }
    };
}

include!("declarations.rs");

/// The file name under which the system's loader knows the library.
pub const LIBRARY_NAME: &str = "libmarlin_moe.so.0";

/// Why the library could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError(String);

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for LoadError {}

#[cfg(unix)]
#[cfg_attr(target_os = "linux", link(name = "dl"))]
extern "C" {
    fn dlopen(name: *const c_char, flags: i32) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlclose(library: *mut c_void) -> i32;
    fn dlerror() -> *const c_char;
}

const RTLD_NOW: i32 = 2;

fn loader_message() -> LoadError {
    // SAFETY: dlerror returns NULL or a string that lives until the thread's next dl call.
    unsafe {
        let text = dlerror();
        if text.is_null() {
            return LoadError("the loader gave no reason".into());
        }
        LoadError(CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

fn symbol(library: *mut c_void, name: &str) -> Result<*mut c_void, LoadError> {
    let c_name = CString::new(name).expect("symbol names have no NUL");
    // SAFETY: `library` is an open library, `c_name` a C string.
    let address = unsafe { dlsym(library, c_name.as_ptr()) };
    if address.is_null() {
        return Err(LoadError(format!("{name} is missing: the library is older than this crate")));
    }
    Ok(address)
}

// SAFETY: function pointers and the loader's handle may be used from any thread.
unsafe impl Send for Api {}
unsafe impl Sync for Api {}

impl Api {
    /// Loads the library from a path, or by a name such as [`LIBRARY_NAME`], and checks that its
    /// version has this crate's interface.
    ///
    /// # Safety
    /// The file must be libmarlin_moe: its initialisers run, and its functions are believed.
    pub unsafe fn load(name: &str) -> Result<Api, LoadError> {
        let c_name =
            CString::new(name).map_err(|_| LoadError("the library's name has a NUL".into()))?;
        let library = dlopen(c_name.as_ptr(), RTLD_NOW);
        if library.is_null() {
            return Err(loader_message());
        }
        let api = Api::resolve(library).map_err(|error| {
            dlclose(library);
            error
        })?;
        let version = (api.mmoe_version)();
        let (major, minor) = ((version >> 16) as i32, (version >> 8 & 0xFF) as i32);
        if (major, minor) != (MMOE_VERSION_MAJOR, MMOE_VERSION_MINOR) {
            return Err(LoadError(format!(
                "{name}: expected version {MMOE_VERSION_MAJOR}.{MMOE_VERSION_MINOR}, got {major}.{minor}"
            )));
        }
        Ok(api)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        if !self.library.is_null() {
            // SAFETY: opened by load(), closed once.
            unsafe { dlclose(self.library) };
        }
    }
}
