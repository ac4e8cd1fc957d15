//! Suite `gpu`: a guest with a compute device.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use postgres::Client;
use qemu_machine::Disk;

use super::{check, clients, guest::TestDisk};
use crate::{
    appliance::{self, Appliance, Options},
    error::{Error, Result},
    gpu::{GpuChoice, Shim},
    kernel_build::{Profile, build_kernel},
    tools,
};

/// A machine computes on its device, also with memory above 4 GiB; the shim's death is no harm to it.
pub fn gpu() -> Result<()> {
    let kernel = build_kernel(Profile::Release)?;
    for memory in ["1G", "5G"] {
        let shim = Shim::choose(GpuChoice::Cpu, false)?;
        let shim = shim.ok_or_else(|| Error::Failed("this QEMU has no device for the shim".into()))?;
        let disk = TestDisk::new("gpu")?;
        let mut options = Options::pvh(&kernel, "");
        let port = tools::free_port()?;
        options.port = Some(port);
        options.disk = Some(Disk::nvme(&disk.path));
        options.memory = memory.into();
        options.gpu = Some(shim.device());
        let mut guest = Appliance::boot(options, false)?;
        guest.wait_ready(Some(&disk.password), Duration::from_secs(60))?;
        let mut client = guest.connect(Some(&disk.password))?;
        wait_present(&mut client)?;
        clients::some(&appliance::url(port, &disk.password), "compute")?;
        large(&mut client, if memory == "1G" { 50 } else { 1000 })?;
        dies(&mut client, &shim)?;
        drop(client);
        guest.shut_down(Duration::from_secs(30))?;
    }
    Ok(())
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

/// A million nodes tick alike on the device and on the guest's own processors.
fn large(client: &mut Client, ticks: u32) -> Result<()> {
    ring(client, "gpu_large", 500_000)?;
    let before = commands_and_losses(client)?;
    let begun = Instant::now();
    let device = ticked(client, "gpu", ticks)?;
    let on_device = begun.elapsed();
    let after = commands_and_losses(client)?;
    check(after.0 > before.0 && after.1 == before.1, || {
        format!("the device did nothing: {before:?}, {after:?}")
    })?;
    let processor = ticked(client, "cpu", ticks)?;
    println!(
        "{ticks} ticks of a million nodes: {on_device:.1?} on the device, {:.1?} on the processor",
        begun.elapsed() - on_device
    );
    check(device == processor, || {
        format!("{ticks} ticks: {device} on the device, {processor} on the processor")
    })?;
    client.batch_execute("SELECT dagdb_drop_graph('gpu_large'); RESET dagdb.graph")?;
    Ok(())
}

/// The shim is killed while a statement uses it: the statement ends rightly, and a new shim is found.
fn dies(client: &mut Client, shim: &Shim) -> Result<()> {
    ring(client, "gpu_dies", 10_000)?;
    // So many that the device needs seconds.
    let ticks = 20_000;
    let wanted = ticked(client, "gpu", ticks)?;
    let (_, before) = commands_and_losses(client)?;
    let killed = shim.pid();
    let killing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(400));
        tools::run(Command::new("kill").args(["-KILL", &killed.to_string()]))
    });
    let got = ticked(client, "gpu", ticks)?;
    killing.join().map_err(|_| Error::Failed("a thread panicked".into()))??;
    check(got == wanted, || format!("{got} with a shim that died, {wanted} without"))?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while shim.pid() == killed {
        check(Instant::now() < deadline, || "the shim was not started again".into())?;
        thread::sleep(Duration::from_millis(50));
    }
    // It may have died between two commands: what tells is the next sign of life that does not come.
    while commands_and_losses(client)?.1 == before {
        check(Instant::now() < deadline, || "the guest did not notice".into())?;
        thread::sleep(Duration::from_millis(100));
    }
    wait_present(client)?;
    let (commands, _) = commands_and_losses(client)?;
    check(ticked(client, "gpu", 50)? == ticked(client, "cpu", 50)?, || {
        "the new shim computes otherwise".into()
    })?;
    check(commands_and_losses(client)?.0 > commands, || "the new shim did nothing".into())
}
