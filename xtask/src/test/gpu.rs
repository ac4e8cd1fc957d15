//! Suite `gpu`: guests with compute devices.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use postgres::Client;
use qemu_machine::Disk;

use super::{check, clients, guest::TestDisk};
use crate::{
    appliance::{self, Appliance, Options, TEST_PASSED},
    error::{Error, Result},
    gpu::{self, Emulator, Executor, Shim},
    kernel_build::{Profile, build_kernel},
    tools,
};

/// A guest and its device.
struct Round<'a> {
    emulator: &'a Emulator,
    executor: Executor,
    memory: &'static str,
    /// Of the large graph.
    ticks: u32,
    /// Of a small one: so many that the device needs seconds.
    long: u32,
    /// What is done to the shim in the middle of a statement.
    signals: &'static [&'static str],
}

/// Machines compute on their devices, also with memory above 4 GiB; the shim's death is no harm to them. By every device that the QEMUs here have, on the host's
/// cores and, where Vulkan is there (Mesa's software driver will do), through that.
pub fn gpu() -> Result<()> {
    let kernel = build_kernel(Profile::Release)?;
    let mut emulators = Emulator::all()?;
    emulators.retain(|e| e.carrier.is_some());
    let [installed, newest] = match &emulators[..] {
        [one] => {
            println!("left out: another QEMU than {}, which has {}", one.version, one.description());
            [one, one]
        }
        [one, .., newest] => [one, newest],
        [] => return Err(Error::Failed("this QEMU has no device for the shim".into())),
    };
    let (shim, vulkan) = built()?;
    in_kernel(&kernel, &shim, installed, "512M")?;
    in_kernel(&kernel, &shim, newest, "5G")?;
    let processor = Executor::Processor;
    let mut rounds = vec![
        Round {
            emulator: installed,
            executor: processor,
            memory: "1G",
            ticks: 50,
            long: 20_000,
            signals: &["KILL", "STOP"],
        },
        Round {
            emulator: newest,
            executor: processor,
            memory: "5G",
            ticks: 1000,
            long: 20_000,
            signals: &["KILL", "STOP"],
        },
    ];
    if vulkan.is_some() {
        let executor = Executor::Wgpu;
        // Which is slower than the host's cores, and much slower with few nodes.
        rounds.push(Round {
            emulator: newest,
            executor,
            memory: "1G",
            ticks: 1000,
            long: 1000,
            signals: &["KILL"],
        });
    } else {
        println!("left out: ticks through Vulkan, of which there is no driver here");
    }
    // What the guest's own processors made of so many ticks, which takes them long.
    let mut known: Option<(u32, String)> = None;
    for round in &rounds {
        let name = if round.executor == Executor::Wgpu { vulkan.as_deref() } else { None };
        round.run(&kernel, &shim, name, &mut known)?;
    }
    Ok(())
}

/// The shim, and the name of the device that Vulkan offers it.
fn built() -> Result<(PathBuf, Option<String>)> {
    if !gpu::has_vulkan() {
        return Ok((gpu::build(Executor::Processor)?, None));
    }
    let shim = gpu::build(Executor::Wgpu)?;
    let devices = gpu::devices(&shim)?;
    Ok((shim, gpu::first(&devices).map(str::to_owned)))
}

/// The kernel's own test of its driver, with more commands at a time than the queue takes.
fn in_kernel(kernel: &Path, shim: &Path, emulator: &Emulator, memory: &str) -> Result<()> {
    let Some(carrier) = emulator.carrier else { return Ok(()) };
    let shim = Shim::start(shim, Executor::Processor, carrier)?;
    let mut options = Options::pvh(kernel, "test=gpu log=info");
    options.qemu = Some(emulator.program.clone());
    options.memory = memory.into();
    options.gpu = Some(shim.device());
    options.test = true;
    let mut guest = Appliance::boot(options, true)?;
    let deadline = Instant::now() + Duration::from_secs(120);
    while guest.guest().ended()?.is_none() && Instant::now() < deadline {
        if guest.pump(Duration::from_millis(200)).is_err() {
            break;
        }
    }
    let status = guest.guest().wait(Duration::from_secs(5))?;
    check(status.code() == Some(TEST_PASSED) && guest.said("round trip"), || {
        format!("{}, {memory}: {status}\n{}", emulator.description(), guest.tail())
    })
}

impl Round<'_> {
    fn run(
        &self,
        kernel: &Path,
        shim: &Path,
        name: Option<&str>,
        known: &mut Option<(u32, String)>,
    ) -> Result<()> {
        let Some(carrier) = self.emulator.carrier else { return Ok(()) };
        println!("--- {} of memory, {:?} by {}", self.memory, self.executor, self.emulator.description());
        let shim = Shim::start(shim, self.executor, carrier)?;
        let disk = TestDisk::new("gpu")?;
        let mut options = Options::pvh(kernel, "");
        let port = tools::free_port()?;
        options.qemu = Some(self.emulator.program.clone());
        options.port = Some(port);
        options.disk = Some(Disk::nvme(&disk.path));
        options.memory = self.memory.into();
        options.gpu = Some(shim.device());
        let mut guest = Appliance::boot(options, false)?;
        guest.wait_ready(Some(&disk.password), Duration::from_secs(60))?;
        let mut client = guest.connect(Some(&disk.password))?;
        wait_present(&mut client)?;
        if let Some(name) = name {
            let seen: String =
                client.query_one("SELECT name FROM intralith_compute_backends WHERE number = 1", &[])?.get(0);
            check(seen == name, || format!("the device is {seen}, not {name}"))?;
        }
        clients::some(&appliance::url(port, &disk.password), "compute")?;
        large(&mut client, self.ticks, known)?;
        ring(&mut client, "gpu_dies", 10_000)?;
        for signal in self.signals {
            dies(&mut client, &shim, signal, self.long)?;
        }
        drop(client);
        guest.shut_down(Duration::from_secs(30))
    }
}

/// Waits until the guest found its device.
fn wait_present(client: &mut Client) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let state = "SELECT state FROM intralith_compute_backends WHERE number = 1";
    while client.query_opt(state, &[])?.is_none_or(|row| row.get::<_, String>(0) != "present") {
        check(Instant::now() < deadline, || "the guest does not find its device".into())?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Makes a graph of registers in a ring, each taking over the exclusive or of itself and its neighbour.
fn ring(client: &mut Client, name: &str, registers: u32) -> Result<()> {
    client.batch_execute(&format!(
        "SELECT dagdb_create_graph('{name}'); SET dagdb.graph = '{name}';
         SELECT count(*) FROM dagdb_build(
           'SELECT g AS id, NULL::text AS function, {registers} + g AS back, CASE WHEN g * g % 7 = 2 THEN 1 ELSE 0 END AS truth
              FROM generate_series(0::int8, {registers} - 1) g
            UNION ALL SELECT {registers} + g, ''XOR'', NULL, 0 FROM generate_series(0, {registers} - 1) g',
           'SELECT g AS source, {registers} + g AS target FROM generate_series(0, {registers} - 1) g
            UNION ALL SELECT (g + 1) % {registers}, {registers} + g FROM generate_series(0, {registers} - 1) g')"
    ))?;
    Ok(())
}

/// The values after ticks of the current graph, which are taken back.
fn ticked(client: &mut Client, backend: &str, ticks: u32) -> Result<String> {
    client.batch_execute(&format!(
        "BEGIN; SET LOCAL compute_backend = {backend}; SELECT dagdb_tick({ticks})"
    ))?;
    let values = "SELECT md5(string_agg(truth::text, '' ORDER BY id)) FROM dagdb_nodes";
    let values = client.query_one(values, &[])?.get(0);
    client.batch_execute("ROLLBACK")?;
    Ok(values)
}

/// What the device did and lost so far.
fn commands_and_losses(client: &mut Client) -> Result<(i64, i64)> {
    let row =
        client.query_one("SELECT commands, losses FROM intralith_compute_backends WHERE number = 1", &[])?;
    Ok((row.get(0), row.get(1)))
}

/// A million nodes tick alike on the device and on the guest's own processors, which need not do it if it is known what they make of it.
fn large(client: &mut Client, ticks: u32, known: &mut Option<(u32, String)>) -> Result<()> {
    ring(client, "gpu_large", 500_000)?;
    let before = commands_and_losses(client)?;
    let begun = Instant::now();
    let device = ticked(client, "gpu", ticks)?;
    println!("{ticks} ticks of a million nodes: {:.1?} on the device", begun.elapsed());
    let after = commands_and_losses(client)?;
    check(after.0 > before.0 && after.1 == before.1, || {
        format!("the device did nothing: {before:?}, {after:?}")
    })?;
    let processor = match known {
        Some((same, values)) if *same == ticks => values.clone(),
        _ => {
            let begun = Instant::now();
            let values = ticked(client, "cpu", ticks)?;
            println!("{:.1?} on the processor", begun.elapsed());
            *known = Some((ticks, values.clone()));
            values
        }
    };
    check(device == processor, || {
        format!("{ticks} ticks: {device} on the device, {processor} on the processor")
    })?;
    client.batch_execute("SELECT dagdb_drop_graph('gpu_large'); RESET dagdb.graph")?;
    Ok(())
}

/// The shim gets a signal while a statement uses it: the statement ends rightly, and a new shim is found.
fn dies(client: &mut Client, shim: &Shim, signal: &str, ticks: u32) -> Result<()> {
    client.batch_execute("SET dagdb.graph = 'gpu_dies'")?;
    let wanted = ticked(client, "gpu", ticks)?;
    let (_, before) = commands_and_losses(client)?;
    let killed = shim.pid();
    let argument = format!("-{signal}");
    let killing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(400));
        tools::run(Command::new("kill").args([&argument, &killed.to_string()]))
    });
    let begun = Instant::now();
    let got = ticked(client, "gpu", ticks)?;
    killing.join().map_err(|_| Error::Failed("a thread panicked".into()))??;
    println!("{signal} in a statement, which took {:.1?}", begun.elapsed());
    check(got == wanted, || format!("{got} with a shim that got {signal}, {wanted} without"))?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while shim.pid() == killed {
        check(Instant::now() < deadline, || format!("the shim was not started again after {signal}"))?;
        thread::sleep(Duration::from_millis(50));
    }
    // It may have died between two commands: what tells is the next sign of life that does not come.
    while commands_and_losses(client)?.1 == before {
        check(Instant::now() < deadline, || "the guest did not notice".into())?;
        thread::sleep(Duration::from_millis(100));
    }
    wait_present(client)?;
    println!("{:.1?} later it has a device again", begun.elapsed());
    let (commands, _) = commands_and_losses(client)?;
    check(ticked(client, "gpu", 50)? == ticked(client, "cpu", 50)?, || {
        "the new shim computes otherwise".into()
    })?;
    check(commands_and_losses(client)?.0 > commands, || "the new shim did nothing".into())
}
