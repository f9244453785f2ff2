// SPDX-License-Identifier: Apache-2.0
//! The expert weights of one layer, repacked for a device.

use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::config::{c_path, QuantConfig};
use crate::context::Context;
use crate::error::{check, Result};
use crate::layer::{Layer, Split};
use crate::sys;
use crate::tensor::Tensor;
use crate::types::{Projection, Role};

/// A bundle's handle, with what its callbacks need.
struct Handle {
    raw: *mut sys::mmoe_bundle,
    context: Context,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by the library, destroyed once.
        unsafe { (self.context.api().mmoe_bundle_destroy)(self.raw) };
    }
}

/// A bundle that is being filled.
pub struct BundleBuilder {
    handle: Handle,
}

// SAFETY: it may move between threads; `&mut self` keeps calls one at a time.
unsafe impl Send for BundleBuilder {}

/// Repacked expert weights: immutable, shared by executors and threads.
pub struct Bundle {
    handle: Handle,
}

// SAFETY: a sealed bundle is immutable and shared by threads.
unsafe impl Send for Bundle {}
unsafe impl Sync for Bundle {}

/// Describes a bundle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BundleInfo {
    /// The whole layer.
    pub layer: Layer,
    /// Experts of the split.
    pub split_experts: u32,
    /// Global number of the first of them.
    pub first_expert: u32,
    /// I of this tensor-parallel rank.
    pub local_intermediate_size: u32,
    /// Bytes of the repacked weights.
    pub resident_bytes: u64,
}

pub(crate) fn raw_options(split: Split) -> sys::mmoe_bundle_options {
    sys::mmoe_bundle_options {
        struct_size: std::mem::size_of::<sys::mmoe_bundle_options>() as u32,
        split: split.to_raw(),
        ..Default::default()
    }
}

/// A progress callback behind a C pointer; a panic in it stops the load.
unsafe extern "C" fn progress<F: FnMut(u64, u64) -> bool>(
    user: *mut c_void,
    done_bytes: u64,
    total_bytes: u64,
) -> i32 {
    let callback = &mut *(user as *mut F);
    let go_on = catch_unwind(AssertUnwindSafe(|| callback(done_bytes, total_bytes)));
    i32::from(!matches!(go_on, Ok(true)))
}

impl BundleBuilder {
    /// Makes an empty bundle.
    pub fn new(
        context: &Context,
        config: &QuantConfig,
        layer: &Layer,
        split: Split,
    ) -> Result<BundleBuilder> {
        let (layer, options) = (layer.to_raw(), raw_options(split));
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe {
            (context.api().mmoe_bundle_create)(
                context.inner.raw,
                config.raw,
                &layer,
                &options,
                &mut raw,
                error,
            )
        })?;
        Ok(BundleBuilder { handle: Handle { raw, context: context.clone() } })
    }

    /// Gives the bundle one tensor, whole, in the packing of the quant config's format.
    pub fn set(
        &mut self,
        expert: u32,
        projection: Projection,
        role: Role,
        tensor: Tensor<'_>,
    ) -> Result<()> {
        // SAFETY: the tensor views memory that outlives the call.
        check(|error| unsafe {
            (self.handle.context.api().mmoe_bundle_set)(
                self.handle.raw,
                expert,
                projection.to_raw(),
                role.to_raw(),
                &tensor.raw,
                error,
            )
        })
    }

    /// Ends filling.
    pub fn seal(self) -> Result<Bundle> {
        // SAFETY: the handle is valid.
        check(|error| unsafe {
            (self.handle.context.api().mmoe_bundle_seal)(self.handle.raw, error)
        })?;
        Ok(Bundle { handle: self.handle })
    }
}

impl Bundle {
    /// Loads, repacks and seals one layer of a checkpoint.
    pub fn load(
        context: &Context,
        checkpoint: &Checkpoint,
        layer: u32,
        split: Split,
    ) -> Result<Bundle> {
        Bundle::load_with(context, checkpoint, layer, split, |_, _| true)
    }

    /// As [`Bundle::load`]; `on_progress` gets done and total bytes, and returns whether to go on.
    pub fn load_with<F: FnMut(u64, u64) -> bool>(
        context: &Context,
        checkpoint: &Checkpoint,
        layer: u32,
        split: Split,
        mut on_progress: F,
    ) -> Result<Bundle> {
        let mut options = raw_options(split);
        options.progress = Some(progress::<F>);
        options.progress_user = &mut on_progress as *mut F as *mut c_void;
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call, which is when `progress` is called.
        check(|error| unsafe {
            (context.api().mmoe_bundle_load)(
                context.inner.raw,
                checkpoint.raw,
                layer,
                &options,
                &mut raw,
                error,
            )
        })?;
        Ok(Bundle { handle: Handle { raw, context: context.clone() } })
    }

    /// Writes the bundle to one file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let path = c_path(path)?;
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe {
            (self.handle.context.api().mmoe_bundle_save)(self.handle.raw, path.as_ptr(), error)
        })
    }

    /// Opens what [`Bundle::save`] wrote.
    pub fn open(context: &Context, path: &Path) -> Result<Bundle> {
        let path = c_path(path)?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe {
            (context.api().mmoe_bundle_open)(
                context.inner.raw,
                path.as_ptr(),
                std::ptr::null(),
                &mut raw,
                error,
            )
        })?;
        Ok(Bundle { handle: Handle { raw, context: context.clone() } })
    }

    pub(crate) fn raw(&self) -> *mut sys::mmoe_bundle {
        self.handle.raw
    }

    /// Describes the bundle.
    pub fn info(&self) -> Result<BundleInfo> {
        let mut layer = Layer::default().to_raw();
        let mut raw = sys::mmoe_bundle_description {
            struct_size: std::mem::size_of::<sys::mmoe_bundle_description>() as u32,
            ..Default::default()
        };
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe {
            (self.handle.context.api().mmoe_bundle_info)(
                self.handle.raw,
                &mut layer,
                &mut raw,
                error,
            )
        })?;
        Ok(BundleInfo {
            layer: Layer::from_raw(&layer),
            split_experts: raw.expert_count,
            first_expert: raw.first_expert,
            local_intermediate_size: raw.local_intermediate_size,
            resident_bytes: raw.resident_bytes,
        })
    }
}
