// SPDX-License-Identifier: Apache-2.0
//! The objects on the CPU backend: errors, threads, callbacks, saved bundles.

use std::sync::{Arc, Mutex};

use marlin_moe::*;

const HIDDEN: usize = 64;
const INNER: usize = 32;

fn cpu(library: &Library) -> Context {
    let options =
        ContextOptions { device: Some(DeviceKind::Cpu), threads: 2, ..Default::default() };
    Context::new(library, options).unwrap()
}

fn four_bits(library: &Library) -> QuantConfig {
    let fields = QuantFields {
        bits: 4,
        group_size: Some(32),
        scale_dtype: Some(DType::F32),
        ..Default::default()
    };
    QuantConfig::new(library, &fields).unwrap()
}

fn layer() -> Layer {
    Layer {
        experts: 2,
        hidden_size: HIDDEN as u32,
        intermediate_size: INNER as u32,
        ..Default::default()
    }
}

/// Expert 0 has weights of 1/64, expert 1 of 2/64.
fn bundle(context: &Context, library: &Library) -> Bundle {
    let mut builder =
        BundleBuilder::new(context, &four_bits(library), &layer(), Split::default()).unwrap();
    for expert in 0..2 {
        for (projection, outputs, inputs) in [
            (Projection::Gate, INNER, HIDDEN),
            (Projection::Up, INNER, HIDDEN),
            (Projection::Down, HIDDEN, INNER),
        ] {
            let codes = vec![0x9999_9999_u32 as i32; outputs * inputs / 8];
            let scales = vec![(expert + 1) as f32 / 64.0; outputs * inputs / 32];
            let codes = Tensor::new(&codes, &[outputs, inputs / 8]);
            let scales = Tensor::new(&scales, &[outputs, inputs / 32]);
            builder.set(expert, projection, Role::Weight, codes).unwrap();
            builder.set(expert, projection, Role::Scale, scales).unwrap();
        }
    }
    builder.seal().unwrap()
}

/// One token of ones, on one expert.
fn run(context: &Context, bundle: &Bundle, expert: i32) -> Vec<f32> {
    let options =
        ExecutorOptions { max_tokens: 1, max_top_k: 1, hidden: DType::F32, ..Default::default() };
    let mut executor = Executor::new(context, bundle, &options).unwrap();
    let mut output = vec![f32::NAN; HIDDEN];
    let operands = Run {
        hidden: &[1f32; HIDDEN],
        expert_ids: &[expert],
        expert_weights: &[1.0],
        top_k: 1,
        expert_map: None,
        output: &mut output,
    };
    executor.run(bundle, operands).unwrap();
    output
}

#[test]
fn experts_differ_and_strays_are_zero() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let bundle = bundle(&context, &library);
    let expected = |x: f32| INNER as f32 * x / 64.0 * (x * x / (1.0 + (-x).exp()));
    for expert in 0..2 {
        let want = expected((expert + 1) as f32);
        let got = run(&context, &bundle, expert);
        assert!(got.iter().all(|value| (value - want).abs() < 1e-4 * want), "{got:?} {want}");
    }
    assert_eq!(run(&context, &bundle, 2), vec![0.0; HIDDEN]);
}

#[test]
fn objects_outlive_what_they_were_made_from() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let bundle = Arc::new(bundle(&context, &library));
    drop(library);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (context, bundle) = (context.clone(), bundle.clone());
            std::thread::spawn(move || run(&context, &bundle, 0))
        })
        .collect();
    drop(context);
    let outputs: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(outputs.iter().all(|output| output == &outputs[0]));
}

#[test]
fn saved_bundles_open_again() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let bundle = bundle(&context, &library);
    let path = std::env::temp_dir().join(format!("marlin-moe-{}.bundle", std::process::id()));
    bundle.save(&path).unwrap();
    let opened = Bundle::open(&context, &path);
    std::fs::remove_file(&path).unwrap();
    let opened = opened.unwrap();
    assert_eq!(opened.info().unwrap(), bundle.info().unwrap());
    assert_eq!(run(&context, &opened, 1), run(&context, &bundle, 1));
}

fn tiny_checkpoint() -> std::path::PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap();
    root.join("tests/data/ct/w4a16_asym_g32_fp16")
}

#[test]
fn loads_come_in_the_background() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let checkpoint = Checkpoint::open(&context, &tiny_checkpoint()).unwrap();
    let load = Load::start(&context, &checkpoint, 0, Split::default()).unwrap();
    drop(checkpoint);
    while !load.progress().unwrap().finished {
        std::thread::yield_now();
    }
    let done = load.progress().unwrap();
    assert_eq!(done.done_bytes, done.total_bytes);
    let bundle = load.wait().unwrap();
    assert_eq!(bundle.info().unwrap().resident_experts, bundle.info().unwrap().split_experts);
}

#[test]
fn loads_can_be_cancelled_and_dropped() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let checkpoint = Checkpoint::open(&context, &tiny_checkpoint()).unwrap();
    let load = Load::start(&context, &checkpoint, 0, Split::default()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| load.cancel());
    });
    if let Err(error) = load.wait() {
        assert_eq!(error.kind(), ErrorKind::Cancelled); // or it had been quicker
    }
    drop(Load::start(&context, &checkpoint, 0, Split::default()).unwrap());
}

#[test]
fn progress_stops_a_load_and_panics_come_back() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let checkpoint = Checkpoint::open(&context, &tiny_checkpoint()).unwrap();
    let load = |on_progress: &mut dyn FnMut(u64, u64) -> bool| {
        Bundle::load_with(&context, &checkpoint, 0, Split::default(), on_progress)
    };
    let mut seen = (0, 0);
    load(&mut |done, total| {
        assert!(done >= seen.0 && done <= total);
        seen = (done, total);
        true
    })
    .unwrap();
    assert!(seen.0 == seen.1 && seen.1 > 0, "{seen:?}");
    let stopped = load(&mut |_, _| false).err().unwrap();
    assert_eq!(stopped.kind(), ErrorKind::Cancelled);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        load(&mut |_, _| panic!("no more")).map(drop)
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"no more"));
}

#[test]
fn experts_come_and_go() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let checkpoint = Checkpoint::open(&context, &tiny_checkpoint()).unwrap();
    let few = BundleOptions { slots: 2, ..Default::default() };
    let bundle = Bundle::load(&context, &checkpoint, 0, few).unwrap();
    assert_eq!((bundle.info().unwrap().slots, bundle.info().unwrap().resident_experts), (2, 0));
    bundle.put_from(&checkpoint, 0, 5).unwrap();
    bundle.put_from(&checkpoint, 0, 6).unwrap();
    assert_eq!(bundle.put_from(&checkpoint, 0, 7).unwrap_err().status(), sys::MMOE_ERR_STATE);
    bundle.evict(5).unwrap();
    bundle.put_from(&checkpoint, 0, 7).unwrap();
    assert_eq!(bundle.info().unwrap().resident_experts, 2);
}

#[test]
fn one_expert_is_put_over_another() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let changing = bundle(&context, &library);
    let codes = vec![0x9999_9999_u32 as i32; INNER * HIDDEN / 8];
    let scales = vec![1f32 / 64.0; INNER * HIDDEN / 32];
    let mut tensors = Vec::new();
    for (projection, outputs, inputs) in [
        (Projection::Gate, INNER, HIDDEN),
        (Projection::Up, INNER, HIDDEN),
        (Projection::Down, HIDDEN, INNER),
    ] {
        let weight = Tensor::new(&codes, &[outputs, inputs / 8]);
        let scale = Tensor::new(&scales, &[outputs, inputs / 32]);
        tensors.push(ExpertTensor { projection, role: Role::Weight, tensor: weight });
        tensors.push(ExpertTensor { projection, role: Role::Scale, tensor: scale });
    }
    let before = run(&context, &changing, 1);
    changing.put(1, &tensors).unwrap();
    assert_ne!(run(&context, &changing, 1), before);
    assert_eq!(run(&context, &changing, 1), run(&context, &changing, 0));
    let missing = changing.put(1, &tensors[1..]).unwrap_err();
    assert_eq!(missing.status(), sys::MMOE_ERR_MISSING_TENSOR);
}

#[test]
fn objects_cross_threads_as_the_header_says() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    shared::<Library>();
    shared::<Context>();
    shared::<QuantConfig>();
    shared::<Checkpoint>();
    shared::<Bundle>();
    shared::<Load>();
    shared::<Error>();
    sent::<BundleBuilder>();
    sent::<Executor>();
}

#[test]
fn errors_have_a_kind_and_a_sentence() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let odd = QuantFields { bits: 5, ..Default::default() };
    let error = QuantConfig::new(&library, &odd).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains('5'), "{error}");

    let nowhere = std::path::Path::new("/nonexistent/model");
    let error = Checkpoint::open(&context, nowhere).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.status(), sys::MMOE_ERR_NOT_FOUND);

    let answer = support(
        &context,
        &four_bits(&library),
        &Layer { hidden_size: 65, ..layer() },
        Split::default(),
    )
    .unwrap();
    assert!(!answer.supported && !answer.sentence.is_empty());
    assert_ne!(answer.reasons & sys::MMOE_REASON_GROUP_SIZE as u64, 0);
}

#[test]
fn lengths_are_checked_before_the_library_sees_them() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let bundle = bundle(&context, &library);
    let options =
        ExecutorOptions { max_tokens: 2, max_top_k: 1, hidden: DType::F32, ..Default::default() };
    let mut executor = Executor::new(&context, &bundle, &options).unwrap();
    let mut short = vec![0f32; HIDDEN - 1];
    let operands = Run {
        hidden: &[1f32; HIDDEN],
        expert_ids: &[0],
        expert_weights: &[1.0],
        top_k: 1,
        expert_map: None,
        output: &mut short,
    };
    assert_eq!(executor.run(&bundle, operands).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(executor.explain(&bundle, 1).contains("T = 1"));
}

#[test]
fn plans_say_what_a_bundle_takes() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let plan = bundle_plan(&context, &four_bits(&library), &layer(), Split::default()).unwrap();
    let made = bundle(&context, &library).info().unwrap();
    assert_eq!(plan.resident_bytes, made.resident_bytes);
}

#[test]
fn log_lines_arrive() {
    let library = Library::load().unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    let log: LogFn = Box::new(move |_, line| {
        sink.lock().unwrap().push(line.to_string());
        panic!("a log callback that panics harms nobody");
    });
    let options = ContextOptions {
        device: Some(DeviceKind::Cpu),
        log: Some((LogLevel::Debug, log)),
        ..Default::default()
    };
    let context = Context::new(&library, options).unwrap();
    bundle(&context, &library);
    drop(context);
    assert!(Arc::strong_count(&lines) == 1, "the callback is freed with its context");
}

#[test]
fn routers_choose_the_best() {
    let library = Library::load().unwrap();
    let context = cpu(&library);
    let route = Route {
        logits: &[0.0f32, 2.0, 1.0, 3.0, 0.0, 0.0],
        experts: 3,
        top_k: 2,
        scoring: Scoring::Softmax,
        correction_bias: None,
        group_count: 0,
        groups_kept: 0,
        renormalize: true,
        scale: 0.0,
    };
    let (ids, weights) = context.route(&route).unwrap();
    assert_eq!(ids, [1, 2, 0, 1]);
    assert!((weights[0] + weights[1] - 1.0).abs() < 1e-6);
}

#[test]
fn the_library_says_what_it_is() {
    let library = Library::load().unwrap();
    assert!(library.version().starts_with("0.1."));
    assert!(library.describe().contains("marlin-moe"));
    assert_eq!(library.devices(DeviceKind::Cpu).unwrap().len(), 1);
}
