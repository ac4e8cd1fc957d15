//! A GPU, or whatever else Vulkan or Metal offers, as a device.

mod edits;
mod graph;
mod plan;
mod reduce;
mod search;
mod shaders;
mod top;

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use compute_protocol::{
    Kind,
    answer::Device as Description,
    graph::{Piece, Step, check_steps},
    reduce::{Partial, Wanted},
};
use thiserror::Error;
use zerocopy::IntoBytes;

use crate::{
    executor::{Executor, Failure, Neighbour, Rows, Search},
    processor::Processor,
};

/// Why there is no device.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Nothing was found, or not so many.
    #[error("there is no device {0}")]
    None(usize),
    /// It did not start.
    #[error("the device did not start: {0}")]
    Start(#[from] wgpu::RequestDeviceError),
    /// It gave a wrong answer to the first question.
    #[error("the device does not compute as it should")]
    Wrong,
}

/// The longest that a submission may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The part of it in which a GPU is asked again and again: being woken takes as long as many a job.
const SPIN: Duration = Duration::from_millis(3);
/// Bindings of kernels to buffers that are kept.
const BINDINGS: usize = 64;
/// Bytes moved at a time.
const PIECE: usize = 64 << 20;
/// Workgroups of one dimension; kernels know it.
const ROW: u32 = 32_768;

/// A table, in pages.
struct Table {
    bytes: u64,
    pages: Vec<wgpu::Buffer>,
    /// The greatest magnitude of its components, as single precision, if it was asked for since the last write.
    magnitude: Option<f64>,
}

/// A GPU.
pub struct Gpu {
    hardware: Hardware,
    tables: HashMap<u32, Table>,
    graphs: HashMap<u32, graph::Kept>,
    memory: u64,
    used: u64,
}

/// What jobs need of the device.
struct Hardware {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    limits: wgpu::Limits,
    has_f64: bool,
    /// Whether subgroups are 32 wide and in order.
    lanes: bool,
    /// Whether sums come out as the processor's.
    exact_sums: bool,
    /// Bytes of a table's page.
    page: u64,
    pipelines: HashMap<String, wgpu::ComputePipeline>,
    /// Bindings that were made before: of a pipeline, to buffers or parts of them.
    bindings: RefCell<HashMap<Binding, wgpu::BindGroup>>,
    failed: Arc<AtomicBool>,
    /// Whether kernels can write where this process reads, and what they last did so to.
    readable: bool,
    results: RefCell<Option<wgpu::Buffer>>,
    /// The words in the parameters' buffer.
    parameters: RefCell<Vec<u32>>,
    /// What the last fetch went through.
    staging: RefCell<Option<wgpu::Buffer>>,
    scratch: RefCell<[Option<wgpu::Buffer>; 6]>,
}

/// A number, a buffer, and if not all of it is meant, offset and length.
type Bound = (u32, wgpu::Buffer, Option<(u64, u64)>);
type Binding = (wgpu::ComputePipeline, Vec<Bound>);

/// What memory between kernels is for.
#[derive(Clone, Copy)]
enum Scratch {
    Partials,
    Doubles,
    Keys,
    Kept,
    Fewer,
    Parameters,
}

/// What there is, in order of their numbers.
pub fn list() -> Vec<wgpu::AdapterInfo> {
    adapters().iter().map(wgpu::Adapter::get_info).collect()
}

fn adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL;
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let mut all = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    // Real ones first.
    all.sort_by_key(|a| a.get_info().device_type == wgpu::DeviceType::Cpu);
    all
}

impl Gpu {
    /// The device of this number, with so much memory for tables and graphs.
    pub fn open(number: usize, memory: u64) -> Result<Self, OpenError> {
        let adapter = adapters().into_iter().nth(number).ok_or(OpenError::None(number))?;
        let readable = wgpu::Features::MAPPABLE_PRIMARY_BUFFERS;
        let optional = wgpu::Features::SHADER_F64 | wgpu::Features::SUBGROUP | readable;
        let features = adapter.features() & optional;
        let limits = adapter.limits();
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: None,
            required_features: features,
            required_limits: limits.clone(),
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        }))?;
        let failed = Arc::new(AtomicBool::new(false));
        let (on_error, on_loss) = (Arc::clone(&failed), Arc::clone(&failed));
        device.on_uncaptured_error(Arc::new(move |error| {
            eprintln!("gpu_shim: {error}");
            on_error.store(true, Ordering::Relaxed);
        }));
        device.set_device_lost_callback(move |_, _| on_loss.store(true, Ordering::Relaxed));
        let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let hardware = Hardware {
            device,
            queue,
            info: adapter.get_info(),
            has_f64: features.contains(wgpu::Features::SHADER_F64),
            lanes: false,
            exact_sums: false,
            // A power of two, so that rows do not straddle pages.
            page: (1 << 30).min(1 << binding.max(1 << 20).ilog2()),
            limits,
            pipelines: HashMap::new(),
            bindings: RefCell::default(),
            failed,
            readable: features.contains(readable),
            results: RefCell::default(),
            parameters: RefCell::default(),
            staging: RefCell::default(),
            scratch: RefCell::default(),
        };
        let mut gpu = Self { hardware, tables: HashMap::new(), graphs: HashMap::new(), memory, used: 0 };
        if features.contains(wgpu::Features::SUBGROUP) {
            gpu.hardware.lanes = gpu.hardware.probe().map_err(|_| OpenError::Wrong)?;
        }
        gpu.hardware.exact_sums = gpu.check_sums().map_err(|_| OpenError::Wrong)?;
        Ok(gpu)
    }

    /// The form of kernels in use and the bytes of a page.
    pub fn details(&self) -> String {
        let h = &self.hardware;
        format!(
            "{:?}, {} kernels, pages of {} MiB, bindings of {} MiB, double precision {}, sums as defined {}",
            h.info.backend,
            if h.lanes { "lane" } else { "word" },
            h.page >> 20,
            h.limits.max_storage_buffer_binding_size >> 20,
            h.has_f64,
            h.exact_sums
        )
    }

    fn take(&mut self, bytes: u64) -> Result<(), Failure> {
        if bytes > self.memory.saturating_sub(self.used) {
            return Err(Failure::Memory);
        }
        self.used += bytes;
        Ok(())
    }

    fn is_free(&self, id: u32) -> Result<(), Failure> {
        if self.tables.contains_key(&id) || self.graphs.contains_key(&id) {
            Err(Failure::Identity)
        } else {
            Ok(())
        }
    }

    /// Does something with a graph, which may take as much memory as is free besides its own.
    fn with_graph<T>(
        &mut self,
        id: u32,
        work: impl FnOnce(&mut graph::Kept, &mut Hardware, u64) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let graph = self.graphs.get_mut(&id).ok_or(Failure::Identity)?;
        let others = self.used - graph.bytes();
        let result = work(graph, &mut self.hardware, self.memory.saturating_sub(others));
        self.used = others + graph.bytes();
        result
    }

    fn table(&self, id: u32) -> Result<&Table, Failure> {
        self.tables.get(&id).ok_or(Failure::Identity)
    }

    /// The pieces of a range of a table: buffer, offset in it, and length.
    fn range(&self, id: u32, offset: u64, length: u64) -> Result<Vec<(wgpu::Buffer, u64, u64)>, Failure> {
        let table = self.table(id)?;
        if offset.checked_add(length).is_none_or(|end| end > table.bytes) {
            return Err(Failure::Bounds);
        }
        let (mut at, end) = (offset, offset + length);
        let mut pieces = Vec::new();
        while at < end {
            let within = at % self.hardware.page;
            let count = (end - at).min(self.hardware.page - within).min(PIECE as u64);
            let buffer = table.pages.get((at / self.hardware.page) as usize).ok_or(Failure::Bounds)?;
            pieces.push((buffer.clone(), within, count));
            at += count;
        }
        Ok(pieces)
    }

    /// A column's rows are all there.
    fn check_column(&self, table: u32, kind: Kind, rows: u64) -> Result<(), Failure> {
        let bytes = rows.checked_mul(kind.width()).ok_or(Failure::Bounds)?;
        if bytes > self.table(table)?.bytes { Err(Failure::Bounds) } else { Ok(()) }
    }
}

impl Hardware {
    fn buffer(&self, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer, Failure> {
        if bytes > self.limits.max_buffer_size {
            return Err(Failure::Memory);
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let size = bytes.max(16).next_multiple_of(16);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        });
        match pollster::block_on(scope.pop()) {
            None => Ok(buffer),
            Some(_) => Err(Failure::Memory),
        }
    }

    /// For kernels, and copies either way.
    fn storage(&self, bytes: u64) -> Result<wgpu::Buffer, Failure> {
        use wgpu::BufferUsages as U;
        // All of it is bound at once.
        if bytes > self.limits.max_storage_buffer_binding_size {
            return Err(Failure::Memory);
        }
        self.buffer(bytes, U::STORAGE | U::COPY_DST | U::COPY_SRC)
    }

    fn upload(&self, bytes: &[u8]) -> Result<wgpu::Buffer, Failure> {
        let buffer = self.storage(bytes.len() as u64)?;
        self.write(&buffer, 0, bytes);
        Ok(buffer)
    }

    fn write(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) {
        for (n, piece) in bytes.chunks(PIECE).enumerate() {
            self.queue.write_buffer(buffer, offset + (n * PIECE) as u64, piece);
            if piece.len() == PIECE {
                self.queue.submit([]);
                let _ = self.device.poll(wgpu::PollType::Poll);
            }
        }
    }

    fn wait(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        // A processor that pretends to be a GPU needs this thread's core.
        while self.info.device_type != wgpu::DeviceType::Cpu && begun.elapsed() < SPIN {
            match self.device.poll(wgpu::PollType::Poll) {
                Ok(status) if status.is_queue_empty() => break,
                Ok(_) => std::hint::spin_loop(),
                Err(_) => return Err(Failure::Lost),
            }
        }
        let poll = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
        let polled = self.device.poll(poll);
        if polled.is_err() || self.failed.load(Ordering::Relaxed) { Err(Failure::Lost) } else { Ok(()) }
    }

    /// Runs what `encoder` has and then copies a range of a buffer here.
    fn fetch(
        &self,
        encoder: wgpu::CommandEncoder,
        (buffer, offset): (&wgpu::Buffer, u64),
        into: &mut [u8],
    ) -> Result<(), Failure> {
        self.fetch_all(encoder, &mut [(buffer, offset, into)])
    }

    /// Runs what `encoder` has and then copies ranges of buffers here.
    fn fetch_all(
        &self,
        mut encoder: wgpu::CommandEncoder,
        parts: &mut [(&wgpu::Buffer, u64, &mut [u8])],
    ) -> Result<(), Failure> {
        use wgpu::BufferUsages as U;
        let bytes = parts.iter().map(|p| p.2.len() as u64).sum::<u64>();
        if bytes == 0 {
            self.queue.submit([encoder.finish()]);
            return self.wait();
        }
        let kept = self.staging.borrow_mut().take().filter(|b| b.size() >= bytes);
        let staging = match kept {
            Some(staging) => staging,
            None => self.buffer(bytes.next_power_of_two(), U::MAP_READ | U::COPY_DST)?,
        };
        let mut at = 0;
        for (buffer, offset, into) in parts.iter() {
            encoder.copy_buffer_to_buffer(buffer, *offset, &staging, at, Some(into.len() as u64));
            at += into.len() as u64;
        }
        let parts = parts.iter_mut().map(|(_, _, into)| &mut **into);
        self.submit_and_read(encoder, &staging, bytes, parts)?;
        *self.staging.borrow_mut() = Some(staging);
        Ok(())
    }

    /// Runs what `encoder` has and then reads the first bytes of a buffer that can be mapped.
    fn submit_and_read<'a>(
        &self,
        encoder: wgpu::CommandEncoder,
        buffer: &wgpu::Buffer,
        bytes: u64,
        parts: impl Iterator<Item = &'a mut [u8]>,
    ) -> Result<(), Failure> {
        self.queue.submit([encoder.finish()]);
        let (sender, receiver) = mpsc::channel();
        buffer.map_async(wgpu::MapMode::Read, ..bytes, move |result| {
            let _ = sender.send(result);
        });
        self.wait()?;
        receiver.try_recv().map_err(|_| Failure::Lost)?.map_err(|_| Failure::Lost)?;
        let view = buffer.get_mapped_range(..bytes).map_err(|_| Failure::Lost)?;
        let mut rest: &[u8] = &view;
        for into in parts {
            let (piece, after) = rest.split_at_checked(into.len()).ok_or(Failure::Lost)?;
            into.copy_from_slice(piece);
            rest = after;
        }
        drop(view);
        buffer.unmap();
        Ok(())
    }

    /// A buffer of at least so many bytes for what a job's last kernel writes: if the device can do so, where this process reads it.
    fn results(&self, bytes: u64) -> Result<wgpu::Buffer, Failure> {
        use wgpu::BufferUsages as U;
        if !self.readable {
            return self.scratch(Scratch::Fewer, bytes);
        }
        let mut kept = self.results.borrow_mut();
        match &*kept {
            Some(buffer) if buffer.size() >= bytes => Ok(buffer.clone()),
            _ => {
                self.bindings.borrow_mut().clear();
                let buffer = self.buffer(bytes.next_power_of_two(), U::STORAGE | U::MAP_READ)?;
                Ok(kept.insert(buffer).clone())
            }
        }
    }

    /// Runs what `encoder` has and then reads [`Self::results`].
    fn fetch_results(
        &self,
        encoder: wgpu::CommandEncoder,
        results: &wgpu::Buffer,
        into: &mut [u8],
    ) -> Result<(), Failure> {
        if !self.readable {
            return self.fetch(encoder, (results, 0), into);
        }
        let bytes = into.len() as u64;
        self.submit_and_read(encoder, results, bytes, std::iter::once(into))
    }

    /// A buffer of these words for kernels; words that are there already are not sent again.
    fn parameters(&self, words: &[u32]) -> Result<wgpu::Buffer, Failure> {
        let buffer = self.scratch(Scratch::Parameters, words.len() as u64 * 4)?;
        let mut there = self.parameters.borrow_mut();
        if *there != words {
            self.write(&buffer, 0, words.as_bytes());
            words.clone_into(&mut there);
        }
        Ok(buffer)
    }

    /// Memory for what lies between two kernels of a job, of at least so many bytes; the same again for the next job.
    fn scratch(&self, use_of: Scratch, bytes: u64) -> Result<wgpu::Buffer, Failure> {
        let mut all = self.scratch.borrow_mut();
        let Some(place) = all.get_mut(use_of as usize) else { return Err(Failure::Memory) };
        match place {
            Some(buffer) if buffer.size() >= bytes => Ok(buffer.clone()),
            _ => {
                *place = None;
                // Nothing else may keep the old one.
                self.bindings.borrow_mut().clear();
                if matches!(use_of, Scratch::Parameters) {
                    self.parameters.borrow_mut().clear();
                }
                let buffer = self.storage(bytes)?;
                *place = Some(buffer.clone());
                Ok(buffer)
            }
        }
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None })
    }

    /// The pipeline of a kernel, which is made once.
    fn pipeline(&mut self, source: String) -> wgpu::ComputePipeline {
        if let Some(pipeline) = self.pipelines.get(&source) {
            return pipeline.clone();
        }
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(source.as_str().into()),
        });
        let compilation_options = wgpu::PipelineCompilationOptions {
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        };
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options,
            cache: None,
        });
        // Kernels depend on few choices, but a guest makes them.
        if self.pipelines.len() >= 512 {
            self.pipelines.clear();
            self.bindings.borrow_mut().clear();
        }
        self.pipelines.insert(source, pipeline.clone());
        pipeline
    }

    /// Binds buffers, of which each may be a part: offset and length.
    fn bind(
        &self,
        pipeline: &wgpu::ComputePipeline,
        buffers: &[(u32, &wgpu::Buffer, Option<(u64, u64)>)],
    ) -> wgpu::BindGroup {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = buffers
            .iter()
            .map(|&(binding, buffer, part)| {
                let (offset, size) = part.map_or((0, None), |(o, s)| (o, wgpu::BufferSize::new(s)));
                let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
                wgpu::BindGroupEntry { binding, resource }
            })
            .collect();
        let layout = pipeline.get_bind_group_layout(0);
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &layout,
            entries: &entries,
        })
    }

    /// The same for a job that may come again: its binding is kept.
    fn bind_again(
        &self,
        pipeline: &wgpu::ComputePipeline,
        buffers: &[(u32, &wgpu::Buffer, Option<(u64, u64)>)],
    ) -> wgpu::BindGroup {
        let all: Vec<Bound> = buffers.iter().map(|&(n, buffer, part)| (n, buffer.clone(), part)).collect();
        let key = (pipeline.clone(), all);
        let mut kept = self.bindings.borrow_mut();
        if let Some(group) = kept.get(&key) {
            return group.clone();
        }
        if kept.len() >= BINDINGS {
            kept.clear();
        }
        kept.entry(key).or_insert_with(|| self.bind(pipeline, buffers)).clone()
    }

    /// Whether lanes of subgroups are where kernels take them to be.
    fn probe(&mut self) -> Result<bool, Failure> {
        let pipeline = self.pipeline(shaders::PROBE.to_owned());
        let out = self.storage(1024)?;
        let group = self.bind(&pipeline, &[(0, &out, None)]);
        let mut encoder = self.encoder();
        dispatch(&mut encoder, &[(&pipeline, &group, 1)]);
        let mut lanes = [0u32; 256];
        self.fetch(encoder, (&out, 0), lanes.as_mut_bytes())?;
        Ok(lanes.iter().all(|&l| l == 1))
    }
}

/// Adds a pass of kernels, each with so many workgroups.
fn dispatch(encoder: &mut wgpu::CommandEncoder, work: &[(&wgpu::ComputePipeline, &wgpu::BindGroup, u32)]) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    for &(pipeline, group, count) in work {
        launch(&mut pass, pipeline, group, count);
    }
}

fn launch(
    pass: &mut wgpu::ComputePass<'_>,
    pipeline: &wgpu::ComputePipeline,
    group: &wgpu::BindGroup,
    count: u32,
) {
    pass.set_pipeline(pipeline);
    pass.set_bind_group(0, group, &[]);
    pass.dispatch_workgroups(count.min(ROW), count.div_ceil(ROW), 1);
}

impl Executor for Gpu {
    fn describe(&self) -> Description {
        let info = &self.hardware.info;
        Description {
            name: info.name.clone(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            is_processor: info.device_type == wgpu::DeviceType::Cpu,
            has_f64: self.hardware.has_f64,
            memory: self.memory,
            used: self.used,
        }
    }

    fn create(&mut self, table: u32, bytes: u64) -> Result<(), Failure> {
        self.is_free(table)?;
        self.take(bytes)?;
        let page = self.hardware.page;
        let pages: Result<Vec<_>, _> =
            (0..bytes.div_ceil(page)).map(|n| self.hardware.storage(page.min(bytes - n * page))).collect();
        match pages {
            Ok(pages) => {
                self.tables.insert(table, Table { bytes, pages, magnitude: None });
                Ok(())
            }
            Err(failure) => {
                self.used -= bytes;
                Err(failure)
            }
        }
    }

    fn write(&mut self, table: u32, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        let mut rest = bytes;
        for (buffer, at, length) in self.range(table, offset, bytes.len() as u64)? {
            let (piece, after) = rest.split_at_checked(length as usize).ok_or(Failure::Bounds)?;
            self.hardware.write(&buffer, at, piece);
            rest = after;
        }
        if let Some(table) = self.tables.get_mut(&table) {
            table.magnitude = None;
        }
        self.hardware.queue.submit([]);
        self.hardware.wait()
    }

    fn read(&mut self, table: u32, offset: u64, into: &mut [u8]) -> Result<(), Failure> {
        let mut rest = into;
        for (buffer, at, length) in self.range(table, offset, rest.len() as u64)? {
            let (piece, after) = rest.split_at_mut_checked(length as usize).ok_or(Failure::Bounds)?;
            self.hardware.fetch(self.hardware.encoder(), (&buffer, at), piece)?;
            rest = after;
        }
        Ok(())
    }

    fn forget(&mut self, id: u32) -> Result<(), Failure> {
        self.hardware.bindings.borrow_mut().clear();
        let bytes = match (self.tables.remove(&id), self.graphs.remove(&id)) {
            (Some(table), _) => table.bytes,
            (_, Some(graph)) => graph.bytes(),
            _ => return Err(Failure::Identity),
        };
        self.used -= bytes;
        Ok(())
    }

    fn clear(&mut self) {
        self.hardware.bindings.borrow_mut().clear();
        self.tables.clear();
        self.graphs.clear();
        self.used = 0;
    }

    fn graph(&mut self, id: u32, nodes: usize, steps: &[Step]) -> Result<(), Failure> {
        self.is_free(id)?;
        check_steps(nodes, steps).map_err(|_| Failure::Bounds)?;
        self.take(graph::Kept::bytes_of(nodes, steps.len()))?;
        self.graphs.insert(id, graph::Kept::empty(nodes, steps));
        Ok(())
    }

    fn nodes(&mut self, id: u32, piece: &Piece<'_>) -> Result<(), Failure> {
        self.with_graph(id, |graph, hardware, _| graph.set(hardware, piece))
    }

    fn write_state(&mut self, id: u32, first: usize, words: &[u32]) -> Result<(), Failure> {
        self.with_graph(id, |graph, hardware, _| graph.write(hardware, first, words))
    }

    fn read_state(&mut self, id: u32, first: usize, into: &mut [u32]) -> Result<(), Failure> {
        self.with_graph(id, |graph, hardware, _| graph.read(hardware, first, into))
    }

    fn tick(&mut self, id: u32, ticks: u32) -> Result<bool, Failure> {
        self.with_graph(id, |graph, hardware, limit| graph.tick(hardware, limit, Processor::threads(), ticks))
    }

    fn look_up(&mut self, tables: u32, indexes: u32, rows: u64, into: &mut [u32]) -> Result<(), Failure> {
        self.look_up_rows(tables, indexes, rows, into)
    }

    fn reduce(&mut self, rows: Rows<'_>, wanted: Wanted) -> Result<Partial, Failure> {
        self.reduce_rows(rows, wanted)
    }

    fn top(&mut self, rows: Rows<'_>, count: usize, greatest: bool) -> Result<Vec<(u64, u64)>, Failure> {
        self.top_rows(rows, count, greatest)
    }

    fn nearest(&mut self, search: &Search<'_>) -> Result<Vec<Vec<Neighbour>>, Failure> {
        self.search(search)
    }
}
