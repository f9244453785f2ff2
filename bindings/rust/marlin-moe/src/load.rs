// SPDX-License-Identifier: Apache-2.0
//! Loads in the background.

use crate::bundle::{Bundle, BundleOptions};
use crate::checkpoint::Checkpoint;
use crate::context::Context;
use crate::error::{check, Result};
use crate::sys;

/// How far a [`Load`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadProgress {
    /// [`Load::wait`] returns at once.
    pub finished: bool,
    /// Of the repacked weights.
    pub done_bytes: u64,
    /// 0 until the load has begun.
    pub total_bytes: u64,
}

/// A load on a thread of the library. Any thread may ask how far it is, or cancel it; dropping it
/// cancels it and waits for its end.
///
/// ```
/// use marlin_moe::{Bundle, Checkpoint, Context, Load};
///
/// /// Called once a frame: the bundle once it is there, without waiting for it.
/// fn poll(load: &mut Option<Load>) -> marlin_moe::Result<Option<Bundle>> {
///     match load {
///         Some(running) if running.progress()?.finished => load.take().unwrap().wait().map(Some),
///         _ => Ok(None),
///     }
/// }
/// ```
///
/// Waiting uses the load up, so a bundle is taken once:
///
/// ```compile_fail
/// fn twice(load: marlin_moe::Load) {
///     let first = load.wait();
///     let second = load.wait();
/// }
/// ```
pub struct Load {
    raw: *mut sys::mmoe_load,
    context: Context,
}

// SAFETY: the header says that functions on a load may be called from any thread.
unsafe impl Send for Load {}
unsafe impl Sync for Load {}

impl Drop for Load {
    fn drop(&mut self) {
        // SAFETY: made by mmoe_load_start, destroyed once.
        unsafe { (self.context.api().mmoe_load_destroy)(self.raw) };
    }
}

impl Load {
    /// Starts to load one layer of a checkpoint, which the load keeps open.
    pub fn start(
        context: &Context,
        checkpoint: &Checkpoint,
        layer: u32,
        options: impl Into<BundleOptions>,
    ) -> Result<Load> {
        let options = options.into().to_raw();
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call; `options` is read before it returns.
        check(|error| unsafe {
            (context.api().mmoe_load_start)(
                context.inner.raw,
                checkpoint.raw,
                layer,
                &options,
                &mut raw,
                error,
            )
        })?;
        Ok(Load { raw, context: context.clone() })
    }

    /// How far it is; does not wait.
    pub fn progress(&self) -> Result<LoadProgress> {
        let mut raw = sys::mmoe_load_progress {
            struct_size: std::mem::size_of::<sys::mmoe_load_progress>() as u32,
            ..Default::default()
        };
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe { (self.context.api().mmoe_load_poll)(self.raw, &mut raw, error) })?;
        Ok(LoadProgress {
            finished: raw.finished != 0,
            done_bytes: raw.done_bytes,
            total_bytes: raw.total_bytes,
        })
    }

    /// Asks it to stop soon; [`Load::wait`] then fails with
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) unless it was complete.
    pub fn cancel(&self) {
        // SAFETY: the load is valid.
        unsafe { (self.context.api().mmoe_load_cancel)(self.raw) };
    }

    /// Waits for its end, and gives the bundle.
    pub fn wait(self) -> Result<Bundle> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe { (self.context.api().mmoe_load_wait)(self.raw, &mut raw, error) })?;
        Ok(Bundle::from_raw(&self.context, raw))
    }
}
