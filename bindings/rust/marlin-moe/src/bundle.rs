// SPDX-License-Identifier: Apache-2.0
//! The expert weights of one layer, repacked for a device.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
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

/// A bundle that is being filled. Sealing it uses it up, so it cannot be changed afterwards:
///
/// ```compile_fail
/// # use marlin_moe::*;
/// fn change_sealed(mut builder: BundleBuilder, codes: Tensor) {
///     let bundle = builder.seal();
///     builder.set(0, Projection::Gate, Role::Weight, codes);
/// }
/// ```
pub struct BundleBuilder {
    handle: Handle,
}

// SAFETY: it may move between threads; `&mut self` keeps calls one at a time.
unsafe impl Send for BundleBuilder {}

/// Repacked expert weights, shared by executors and threads. Whole experts may be exchanged while
/// no run uses the bundle; a call that comes at the wrong time fails with
/// [`ErrorKind::Busy`](crate::ErrorKind::Busy).
pub struct Bundle {
    handle: Handle,
}

// SAFETY: a sealed bundle is shared by threads, and refuses a change while it is used.
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
    /// Experts that are here now.
    pub resident_experts: u32,
    /// Experts that can be here at a time.
    pub slots: u32,
    /// I of this tensor-parallel rank.
    pub local_intermediate_size: u32,
    /// Bytes of the repacked weights.
    pub resident_bytes: u64,
}

/// Options of a bundle. A [`Split`] alone will do: every expert of it is resident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BundleOptions {
    /// The part of the layer that the bundle holds.
    pub split: Split,
    /// Experts resident at a time; 0: all of the split. With fewer, the bundle starts without any:
    /// see [`Bundle::put`].
    pub slots: u32,
}

impl From<Split> for BundleOptions {
    fn from(split: Split) -> Self {
        BundleOptions { split, slots: 0 }
    }
}

impl BundleOptions {
    pub(crate) fn to_raw(self) -> sys::mmoe_bundle_options {
        sys::mmoe_bundle_options {
            struct_size: std::mem::size_of::<sys::mmoe_bundle_options>() as u32,
            slot_count: self.slots,
            split: self.split.to_raw(),
            ..Default::default()
        }
    }
}

/// One tensor of an expert, for [`Bundle::put`].
#[derive(Clone, Copy)]
pub struct ExpertTensor<'a> {
    /// Which linear layer.
    pub projection: Projection,
    /// What the tensor is to it.
    pub role: Role,
    /// The whole tensor, in the packing of the quant config's format.
    pub tensor: Tensor<'a>,
}

/// A progress closure behind a C pointer, and the panic that it ended with.
struct Progress<F> {
    callback: F,
    panic: Option<Box<dyn Any + Send>>,
}

impl<F: FnMut(u64, u64) -> bool> Progress<F> {
    /// C code is on the stack, so no panic may pass; it stops the load instead.
    unsafe extern "C" fn call(user: *mut c_void, done_bytes: u64, total_bytes: u64) -> i32 {
        let progress = &mut *(user as *mut Progress<F>);
        let callback = &mut progress.callback;
        match catch_unwind(AssertUnwindSafe(|| callback(done_bytes, total_bytes))) {
            Ok(go_on) => i32::from(!go_on),
            Err(panic) => {
                progress.panic = Some(panic);
                1
            }
        }
    }
}

impl BundleBuilder {
    /// Makes an empty bundle.
    pub fn new(
        context: &Context,
        config: &QuantConfig,
        layer: &Layer,
        options: impl Into<BundleOptions>,
    ) -> Result<BundleBuilder> {
        let (layer, options) = (layer.to_raw(), options.into().to_raw());
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
        options: impl Into<BundleOptions>,
    ) -> Result<Bundle> {
        Bundle::load_with(context, checkpoint, layer, options, |_, _| true)
    }

    /// As [`Bundle::load`]; `on_progress` gets done and total bytes, and returns whether to go on.
    /// If it panics the load stops, and the panic goes on from here.
    pub fn load_with<F: FnMut(u64, u64) -> bool>(
        context: &Context,
        checkpoint: &Checkpoint,
        layer: u32,
        options: impl Into<BundleOptions>,
        on_progress: F,
    ) -> Result<Bundle> {
        let mut progress = Progress { callback: on_progress, panic: None };
        let mut options = options.into().to_raw();
        options.progress = Some(Progress::<F>::call);
        options.progress_user = &mut progress as *mut Progress<F> as *mut c_void;
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call, which is when `progress` is called.
        let loaded = check(|error| unsafe {
            (context.api().mmoe_bundle_load)(
                context.inner.raw,
                checkpoint.raw,
                layer,
                &options,
                &mut raw,
                error,
            )
        })
        .map(|()| Bundle::from_raw(context, raw));
        if let Some(panic) = progress.panic {
            resume_unwind(panic);
        }
        loaded
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
        Ok(Bundle::from_raw(context, raw))
    }

    /// Puts one expert, every tensor of it, over what it was or into a free slot. Every value is
    /// checked before a byte changes.
    pub fn put(&self, expert: u32, tensors: &[ExpertTensor<'_>]) -> Result<()> {
        let tensors: Vec<_> = tensors
            .iter()
            .map(|part| sys::mmoe_expert_tensor {
                projection: part.projection.to_raw(),
                role: part.role.to_raw(),
                tensor: part.tensor.raw,
            })
            .collect();
        // SAFETY: the tensors view memory that outlives the call.
        check(|error| unsafe {
            (self.handle.context.api().mmoe_bundle_put)(
                self.handle.raw,
                expert,
                tensors.as_ptr(),
                tensors.len() as u32,
                error,
            )
        })
    }

    /// Puts one expert of a checkpoint; as [`Bundle::put`], but if the file is bad the expert is
    /// no longer resident.
    pub fn put_from(&self, checkpoint: &Checkpoint, layer: u32, expert: u32) -> Result<()> {
        // SAFETY: all handles are valid during the call.
        check(|error| unsafe {
            (self.handle.context.api().mmoe_bundle_put_from)(
                self.handle.raw,
                checkpoint.raw,
                layer,
                expert,
                error,
            )
        })
    }

    /// Takes one expert out: its slot is free, and ids of it are skipped.
    pub fn evict(&self, expert: u32) -> Result<()> {
        // SAFETY: the handle is valid.
        check(|error| unsafe {
            (self.handle.context.api().mmoe_bundle_evict)(self.handle.raw, expert, error)
        })
    }

    pub(crate) fn from_raw(context: &Context, raw: *mut sys::mmoe_bundle) -> Bundle {
        Bundle { handle: Handle { raw, context: context.clone() } }
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
            resident_experts: raw.resident_count,
            slots: raw.slot_count,
            local_intermediate_size: raw.local_intermediate_size,
            resident_bytes: raw.resident_bytes,
        })
    }
}
