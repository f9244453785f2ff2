// SPDX-License-Identifier: Apache-2.0
//! How weights were quantised.

use std::ffi::CString;
use std::path::Path;

use crate::error::{check, Error, Result};
use crate::library::Library;
use crate::sys;
use crate::types::{DType, Format, Order, ZeroPointForm};

/// Fields of a quant config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantFields {
    /// Packing of the tensors.
    pub format: Format,
    /// 4 or 8.
    pub bits: i32,
    /// `None`: one scale a channel.
    pub group_size: Option<i32>,
    /// Whether zero points are stored.
    pub asymmetric: bool,
    /// How they are stored.
    pub zero_point_form: ZeroPointForm,
    /// Activation order.
    pub order: Order,
    /// `None`: as a checkpoint's tensors say, bf16 where they are given one by one.
    pub scale_dtype: Option<DType>,
}

impl Default for QuantFields {
    fn default() -> Self {
        QuantFields {
            format: Format::CompressedTensors,
            bits: 4,
            group_size: None,
            asymmetric: false,
            zero_point_form: ZeroPointForm::Packed,
            order: Order::None,
            scale_dtype: None,
        }
    }
}

/// How weights were quantised. Immutable.
pub struct QuantConfig {
    pub(crate) raw: *mut sys::mmoe_quant_config,
    library: Library,
}

// SAFETY: a quant config is immutable and shared by threads.
unsafe impl Send for QuantConfig {}
unsafe impl Sync for QuantConfig {}

impl Drop for QuantConfig {
    fn drop(&mut self) {
        // SAFETY: made by the library, destroyed once.
        unsafe { (self.library.api.mmoe_quant_config_destroy)(self.raw) };
    }
}

/// A path as the library wants it.
pub(crate) fn c_path(path: &Path) -> Result<CString> {
    let text = path.to_str().ok_or_else(|| Error::invalid(format!("{path:?} is not UTF-8")))?;
    c_text(text)
}

pub(crate) fn c_text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid(format!("{text:?} has a NUL")))
}

impl QuantConfig {
    /// Takes over what the library made.
    pub(crate) fn from_raw(library: &Library, raw: *mut sys::mmoe_quant_config) -> QuantConfig {
        QuantConfig { raw, library: library.clone() }
    }

    /// Makes a quant config from its fields.
    pub fn new(library: &Library, fields: &QuantFields) -> Result<QuantConfig> {
        let raw_fields = sys::mmoe_quant_fields {
            struct_size: std::mem::size_of::<sys::mmoe_quant_fields>() as u32,
            format: fields.format.to_raw(),
            bits: fields.bits,
            group_size: fields.group_size.unwrap_or(sys::MMOE_GROUP_SIZE_CHANNEL),
            symmetry: i32::from(fields.asymmetric),
            zero_point_form: fields.zero_point_form.to_raw(),
            order: fields.order.to_raw(),
            scale_dtype: fields.scale_dtype.map_or(0, DType::to_raw),
        };
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe {
            (library.api.mmoe_quant_config_create)(&raw_fields, &mut raw, error)
        })?;
        Ok(QuantConfig::from_raw(library, raw))
    }

    /// Reads the quant config that a `config.json` gives one module; `None`: the only one.
    pub fn load(library: &Library, path: &Path, module: Option<&str>) -> Result<QuantConfig> {
        let path = c_path(path)?;
        let module = module.map(c_text).transpose()?;
        let module = module.as_ref().map_or(std::ptr::null(), |name| name.as_ptr());
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe {
            (library.api.mmoe_quant_config_load)(path.as_ptr(), module, &mut raw, error)
        })?;
        Ok(QuantConfig::from_raw(library, raw))
    }

    /// The config's fields.
    pub fn fields(&self) -> Result<QuantFields> {
        let mut raw = sys::mmoe_quant_fields {
            struct_size: std::mem::size_of::<sys::mmoe_quant_fields>() as u32,
            ..Default::default()
        };
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe {
            (self.library.api.mmoe_quant_config_info)(self.raw, &mut raw, error)
        })?;
        Ok(QuantFields {
            format: Format::from_raw(raw.format),
            bits: raw.bits,
            group_size: Some(raw.group_size).filter(|&g| g != sys::MMOE_GROUP_SIZE_CHANNEL),
            asymmetric: raw.symmetry == sys::MMOE_ASYMMETRIC,
            zero_point_form: ZeroPointForm::from_raw(raw.zero_point_form),
            order: Order::from_raw(raw.order),
            scale_dtype: Some(raw.scale_dtype).filter(|&d| d != 0).map(DType::from_raw),
        })
    }
}
