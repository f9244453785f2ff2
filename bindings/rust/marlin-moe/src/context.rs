// SPDX-License-Identifier: Apache-2.0
//! One device with its memory and threads, and the routing that needs nothing else.

use std::ffi::{c_void, CStr};
use std::os::raw::c_char;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use crate::error::{check, Error, Result};
use crate::library::Library;
use crate::sys;
use crate::tensor::{raw_tensor, Element};
use crate::types::{CpuTier, DeviceKind, LogLevel, Scoring};

/// Receives log lines, on any thread. A panic in it is swallowed.
pub type LogFn = Box<dyn Fn(LogLevel, &str) + Send + Sync>;

/// Options of [`Context::new`].
#[derive(Default)]
pub struct ContextOptions {
    /// `None`: CUDA if a device is usable, else the CPU.
    pub device: Option<DeviceKind>,
    /// CUDA ordinal.
    pub device_index: i32,
    /// CPU threads of one run; 0: one a hardware thread that the process may use.
    pub threads: u32,
    /// Most bytes of bundles and workspaces at a time; 0: no limit.
    pub memory_budget_bytes: u64,
    /// Highest CPU tier to use; `None`: the best there is.
    pub cpu_tier: Option<CpuTier>,
    /// Which lines to log, and who gets them.
    pub log: Option<(LogLevel, LogFn)>,
}

/// One device with its memory and threads. Cheap to clone; immutable.
#[derive(Clone)]
pub struct Context {
    pub(crate) inner: Arc<ContextInner>,
}

pub(crate) struct ContextInner {
    pub(crate) raw: *mut sys::mmoe_context,
    pub(crate) library: Library,
    pub(crate) is_cpu: bool,
    // The library may call it as long as an object made with the context lives; every such
    // object holds this. Boxed twice: the outer box gives it an address that does not move.
    _log: Option<Box<LogFn>>,
}

// SAFETY: a context is immutable and shared by threads.
unsafe impl Send for ContextInner {}
unsafe impl Sync for ContextInner {}

impl Drop for ContextInner {
    fn drop(&mut self) {
        // SAFETY: made by mmoe_context_create, destroyed once.
        unsafe { (self.library.api.mmoe_context_destroy)(self.raw) };
    }
}

unsafe extern "C" fn log_line(user: *mut c_void, level: sys::mmoe_log_level, line: *const c_char) {
    let log = &*(user as *const LogFn);
    let text = CStr::from_ptr(line).to_string_lossy();
    let _ = catch_unwind(AssertUnwindSafe(|| log(LogLevel::from_raw(level), &text)));
}

impl Context {
    /// Binds the library to one device.
    pub fn new(library: &Library, options: ContextOptions) -> Result<Context> {
        let (log_level, log) = match options.log {
            Some((level, log)) => (level, Some(Box::new(log))),
            None => (LogLevel::Off, None),
        };
        let user = log.as_deref().map_or(std::ptr::null_mut(), |log| log as *const LogFn as *mut _);
        let device = options.device.unwrap_or_else(|| {
            let gpus = library.devices(DeviceKind::Cuda);
            if gpus.map_or(true, |gpus| gpus.is_empty()) {
                DeviceKind::Cpu
            } else {
                DeviceKind::Cuda
            }
        });
        let mut raw_options = sys::mmoe_context_options {
            struct_size: std::mem::size_of::<sys::mmoe_context_options>() as u32,
            device_kind: device.to_raw(),
            device_index: options.device_index,
            thread_count: options.threads,
            memory_budget_bytes: options.memory_budget_bytes,
            log_level: log_level.to_raw(),
            cpu_tier: options.cpu_tier.map_or(0, CpuTier::to_raw),
            log_user: user,
            ..Default::default()
        };
        if log.is_some() {
            raw_options.log = Some(log_line);
        }
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call, `user` as long as the context.
        check(|error| unsafe { (library.api.mmoe_context_create)(&raw_options, &mut raw, error) })?;
        let is_cpu = device == DeviceKind::Cpu;
        let inner = ContextInner { raw, library: library.clone(), is_cpu, _log: log };
        Ok(Context { inner: Arc::new(inner) })
    }

    pub(crate) fn api(&self) -> &sys::Api {
        &self.inner.library.api
    }

    /// Fails where host slices cannot be operands.
    pub(crate) fn require_cpu(&self, what: &str) -> Result<()> {
        if self.inner.is_cpu {
            return Ok(());
        }
        Err(Error::invalid(format!("{what}: slices are host memory; use the raw form on CUDA")))
    }

    /// Chooses `top_k` experts for every token, as the routers of the known models do. Returns
    /// ids and weights, each `[T, top_k]`. On the CPU only.
    pub fn route<T: Element>(&self, route: &Route<'_, T>) -> Result<(Vec<i32>, Vec<f32>)> {
        self.require_cpu("route")?;
        if route.experts == 0 || route.logits.len() % route.experts != 0 {
            let length = route.logits.len();
            return Err(Error::invalid(format!("{length} logits for {} experts", route.experts)));
        }
        let tokens = route.logits.len() / route.experts;
        let mut ids = vec![0i32; tokens * route.top_k];
        let mut weights = vec![0f32; tokens * route.top_k];
        let mut args = sys::mmoe_route_args {
            struct_size: std::mem::size_of::<sys::mmoe_route_args>() as u32,
            scoring: route.scoring.to_raw(),
            group_count: route.group_count,
            groups_kept: route.groups_kept,
            renormalize: i32::from(route.renormalize),
            scale: route.scale,
            logits: raw_tensor(route.logits.as_ptr(), route.logits.len(), &[tokens, route.experts]),
            expert_ids: raw_tensor(ids.as_mut_ptr(), ids.len(), &[tokens, route.top_k]),
            expert_weights: raw_tensor(weights.as_mut_ptr(), weights.len(), &[tokens, route.top_k]),
            ..Default::default()
        };
        if let Some(bias) = route.correction_bias {
            args.correction_bias = raw_tensor(bias.as_ptr(), bias.len(), &[bias.len()]);
        }
        // SAFETY: the tensors view slices and vectors that outlive the call.
        check(|error| unsafe {
            (self.api().mmoe_route)(self.inner.raw, &args, std::ptr::null_mut(), error)
        })?;
        Ok((ids, weights))
    }
}

/// Operands of [`Context::route`].
#[derive(Clone, Copy)]
pub struct Route<'a, T> {
    /// `[T, E]`.
    pub logits: &'a [T],
    /// E.
    pub experts: usize,
    /// Experts chosen for a token.
    pub top_k: usize,
    /// How logits become scores.
    pub scoring: Scoring,
    /// `[E]`: added to the scores to choose, not to the weights.
    pub correction_bias: Option<&'a [f32]>,
    /// The experts form this many equal groups; 0: 1.
    pub group_count: u32,
    /// Groups that experts are chosen from; 0: all.
    pub groups_kept: u32,
    /// Whether to divide the weights of a token by their sum.
    pub renormalize: bool,
    /// Multiplies every weight at the end; 0: 1.
    pub scale: f32,
}
