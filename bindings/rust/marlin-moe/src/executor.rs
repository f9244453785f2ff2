// SPDX-License-Identifier: Apache-2.0
//! Runs bundles.

use std::ffi::c_void;

use crate::bundle::Bundle;
use crate::context::Context;
use crate::error::{check, Error, Result};
use crate::library::read_text;
use crate::sys;
use crate::tensor::{raw_tensor, Element};
use crate::types::{DType, Precision};

/// Options of [`Executor::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutorOptions {
    /// Largest T of any run; required.
    pub max_tokens: u32,
    /// Most experts of one token; required.
    pub max_top_k: u32,
    /// Type of the hidden states.
    pub hidden: DType,
    /// Type of the output; `None`: as `hidden`.
    pub output: Option<DType>,
    /// Which arithmetic may be used.
    pub precision: Precision,
}

impl Default for ExecutorOptions {
    fn default() -> Self {
        ExecutorOptions {
            max_tokens: 0,
            max_top_k: 0,
            hidden: DType::Bf16,
            output: None,
            precision: Precision::Default,
        }
    }
}

impl ExecutorOptions {
    pub(crate) fn to_raw(self) -> sys::mmoe_executor_options {
        sys::mmoe_executor_options {
            struct_size: std::mem::size_of::<sys::mmoe_executor_options>() as u32,
            max_tokens: self.max_tokens,
            max_top_k: self.max_top_k,
            hidden_dtype: self.hidden.to_raw(),
            output_dtype: self.output.map_or(0, DType::to_raw),
            precision: self.precision.to_raw(),
            ..Default::default()
        }
    }
}

/// Kernels chosen and workspace allocated once. One run at a time, which `&mut self` ensures: it may
/// move to another thread, but threads cannot share it.
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<marlin_moe::Executor>();
/// ```
pub struct Executor {
    raw: *mut sys::mmoe_executor,
    context: Context,
}

// SAFETY: an executor may move between threads; it serves one call at a time.
unsafe impl Send for Executor {}

impl Drop for Executor {
    fn drop(&mut self) {
        // SAFETY: made by mmoe_executor_create, destroyed once.
        unsafe { (self.context.api().mmoe_executor_destroy)(self.raw) };
    }
}

/// Operands of [`Executor::run`]. T is the number of ids divided by `top_k`.
pub struct Run<'a, X, Y> {
    /// `[T, H]`.
    pub hidden: &'a [X],
    /// `[T, top_k]`: experts; one that does not exist is skipped.
    pub expert_ids: &'a [i32],
    /// `[T, top_k]`.
    pub expert_weights: &'a [f32],
    /// Experts of one token.
    pub top_k: usize,
    /// What an id stands for; `None`: ids are experts.
    pub expert_map: Option<&'a [i32]>,
    /// `[T, H]`.
    pub output: &'a mut [Y],
}

impl Executor {
    /// Allocates a workspace for layers as large as `bundle`'s.
    pub fn new(context: &Context, bundle: &Bundle, options: &ExecutorOptions) -> Result<Executor> {
        let options = options.to_raw();
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe {
            (context.api().mmoe_executor_create)(
                context.inner.raw,
                bundle.raw(),
                &options,
                &mut raw,
                error,
            )
        })?;
        Ok(Executor { raw, context: context.clone() })
    }

    /// Computes one layer on the CPU.
    pub fn run<X: Element, Y: Element>(
        &mut self,
        bundle: &Bundle,
        run: Run<'_, X, Y>,
    ) -> Result<()> {
        self.context.require_cpu("run")?;
        let hidden_size = bundle.info()?.layer.hidden_size as usize;
        let tokens = run.expert_ids.len().checked_div(run.top_k).unwrap_or(0);
        let lengths = [
            ("hidden", run.hidden.len(), tokens * hidden_size),
            ("expert_ids", run.expert_ids.len(), tokens * run.top_k),
            ("expert_weights", run.expert_weights.len(), tokens * run.top_k),
            ("output", run.output.len(), tokens * hidden_size),
        ];
        for (name, got, expected) in lengths {
            if got != expected {
                return Err(Error::invalid(format!(
                    "{name}: expected {expected} elements for {tokens} tokens, got {got}"
                )));
            }
        }
        let (rows, picks) = ([tokens, hidden_size], [tokens, run.top_k]);
        let mut args = sys::mmoe_run_args {
            struct_size: std::mem::size_of::<sys::mmoe_run_args>() as u32,
            hidden: raw_tensor(run.hidden.as_ptr(), run.hidden.len(), &rows),
            expert_ids: raw_tensor(run.expert_ids.as_ptr(), run.expert_ids.len(), &picks),
            expert_weights: raw_tensor(
                run.expert_weights.as_ptr(),
                run.expert_weights.len(),
                &picks,
            ),
            output: raw_tensor(run.output.as_mut_ptr(), run.output.len(), &rows),
            ..Default::default()
        };
        if let Some(map) = run.expert_map {
            args.expert_map = raw_tensor(map.as_ptr(), map.len(), &[map.len()]);
        }
        // SAFETY: the tensors view slices of the lengths checked above; on the CPU the call
        // returns when the output is written.
        unsafe { self.run_raw(bundle, &args, std::ptr::null_mut()) }
    }

    /// Whether an expert id of a run has been out of range since this was last asked. On CUDA,
    /// synchronise with the runs first.
    pub fn take_ids_out_of_range(&mut self) -> Result<bool> {
        let mut findings = sys::mmoe_executor_findings {
            struct_size: std::mem::size_of::<sys::mmoe_executor_findings>() as u32,
            ..Default::default()
        };
        // SAFETY: both pointers are valid during the call.
        check(|error| unsafe {
            (self.context.api().mmoe_executor_poll)(self.raw, &mut findings, error)
        })?;
        Ok(findings.ids_out_of_range != 0)
    }

    /// Enqueues one layer on a CUDA stream, or runs it on the CPU.
    ///
    /// # Safety
    /// `args` and `stream` must be as the C header demands of `mmoe_executor_run`; on CUDA, the
    /// tensors and `bundle` must live until the work has run.
    pub unsafe fn run_raw(
        &mut self,
        bundle: &Bundle,
        args: &sys::mmoe_run_args,
        stream: *mut c_void,
    ) -> Result<()> {
        check(|error| {
            (self.context.api().mmoe_executor_run)(self.raw, bundle.raw(), args, stream, error)
        })
    }

    /// Which kernels serve T tokens of a bundle, and why each better one was passed over.
    pub fn explain(&self, bundle: &Bundle, tokens: u32) -> String {
        // SAFETY: `read_text` gives a buffer of the size that it says.
        read_text(|text, size| unsafe {
            (self.context.api().mmoe_executor_explain)(self.raw, bundle.raw(), tokens, text, size)
        })
    }
}
