//! Suite `gpu`: a guest with a compute device.

use std::time::{Duration, Instant};

use qemu_machine::Disk;

use super::{check, guest::TestDisk};
use crate::{
    appliance::{Appliance, Options},
    error::{Error, Result},
    gpu::{GpuChoice, Shim},
    kernel_build::{Profile, build_kernel},
    tools,
};

/// A machine with a compute device answers clients, also with memory above 4 GiB; the shim's death is no harm to it.
pub fn gpu() -> Result<()> {
    let kernel = build_kernel(Profile::Release)?;
    for memory in ["1G", "5G"] {
        let shim = Shim::choose(GpuChoice::Cpu, false)?;
        let shim = shim.ok_or_else(|| Error::Failed("this QEMU has no device for the shim".into()))?;
        let disk = TestDisk::new("gpu")?;
        let mut options = Options::pvh(&kernel, "");
        options.port = Some(tools::free_port()?);
        options.disk = Some(Disk::nvme(&disk.path));
        options.memory = memory.into();
        options.gpu = Some(shim.device());
        let mut guest = Appliance::boot(options, false)?;
        guest.wait_ready(Some(&disk.password), Duration::from_secs(60))?;
        let mut client = guest.connect(Some(&disk.password))?;
        client.batch_execute("CREATE TABLE kept AS SELECT i FROM generate_series(1, 1000) i")?;
        let killed = shim.pid();
        tools::run(std::process::Command::new("kill").args(["-KILL", &killed.to_string()]))?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while shim.pid() == killed && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        check(shim.pid() != killed, || "the shim was not started again".into())?;
        let sum: i64 = client.query_one("SELECT sum(i) FROM kept", &[])?.get(0);
        check(sum == 500_500, || format!("{sum} without the shim"))?;
        drop(client);
        guest.shut_down(Duration::from_secs(30))?;
    }
    Ok(())
}
