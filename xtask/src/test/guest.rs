//! Suites that boot a guest.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use qemu_machine::Disk;

use super::{check, clients};
use crate::{
    appliance::{self, Appliance, Options, TEST_PASSED},
    disk,
    error::{Context, Error, Result},
    kernel_build::{Profile, build_kernel},
    run, tools,
};

/// How long any boot may take on a busy machine without hardware acceleration.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// A volume made for one test.
pub struct TestDisk {
    /// The image.
    pub path: PathBuf,
    /// Its password.
    pub password: String,
}

impl TestDisk {
    /// A fresh formatted disk of 2 GiB (sparse).
    pub fn new(name: &str) -> Result<Self> {
        let path = tools::scratch("disks")?.join(format!("{name}.img"));
        let _ = fs::remove_file(&path);
        let prepared = disk::prepare(&path, 2 << 30)?;
        let password =
            prepared.password()?.ok_or_else(|| Error::Failed("a new disk has no password".into()))?;
        Ok(Self { path, password })
    }

    /// Boots the appliance on it and waits for the first answer.
    pub fn boot(&self, kernel: &Path, command_line: &str) -> Result<Appliance> {
        self.boot_from(kernel, command_line, Disk::nvme(&self.path))
    }

    /// The same with the bytes coming from elsewhere.
    pub fn boot_from(&self, kernel: &Path, command_line: &str, disk: Disk) -> Result<Appliance> {
        let mut options = Options::pvh(kernel, command_line);
        options.port = Some(tools::free_port()?);
        options.disk = Some(disk);
        let mut appliance = Appliance::boot(options, false)?;
        appliance.wait_ready(Some(&self.password), BOOT_LIMIT)?;
        Ok(appliance)
    }
}

/// Names of the in-kernel tests: `test=list` makes the kernel print them.
pub fn kernel() -> Result<()> {
    let kernel = build_kernel(Profile::Release)?;
    for processors in [1, 2, 4] {
        let folder = tools::scratch("disks")?;
        let image = folder.join("kernel-test.img");
        let file = fs::File::create(&image).context(|| format!("create {}", image.display()))?;
        file.set_len(256 << 20).context(|| format!("size {}", image.display()))?;
        let mut options = Options::pvh(&kernel, "test=all log=info");
        options.test = true;
        options.processors = processors;
        options.disk = Some(Disk::nvme(&image));
        options.port = Some(tools::free_port()?);
        let mut appliance = Appliance::boot(options, true)?;
        let deadline = std::time::Instant::now() + Duration::from_secs(180);
        while appliance.guest().ended()?.is_none() && std::time::Instant::now() < deadline {
            if appliance.pump(Duration::from_millis(200)).is_err() {
                break;
            }
        }
        let status = appliance.guest().wait(Duration::from_secs(5))?;
        check(status.code() == Some(TEST_PASSED), || {
            format!("{processors} processors: {status}\n{}", appliance.tail())
        })?;
    }
    Ok(())
}

/// Real clients against a guest; then what they wrote is still there after a clean restart.
pub fn clients() -> Result<()> {
    let kernel = build_kernel(Profile::Release)?;
    let disk = TestDisk::new("clients")?;
    let mut guest = disk.boot(&kernel, "")?;
    clients::all(&guest.url(&disk.password))?;
    clients::pgbench_scale_10(guest.port(), &disk.password)?;
    let mut client = guest.connect(Some(&disk.password))?;
    client.batch_execute("CREATE TABLE kept (id int PRIMARY KEY, word text)")?;
    client.batch_execute("INSERT INTO kept SELECT i, 'word ' || i FROM generate_series(1, 10000) i")?;
    drop(client);
    guest.shut_down(Duration::from_secs(30))?;
    let guest = disk.boot(&kernel, "")?;
    let row = guest.connect(Some(&disk.password))?.query_one("SELECT count(*), sum(id) FROM kept", &[])?;
    check((row.get::<_, i64>(0), row.get::<_, i64>(1)) == (10_000, 50_005_000), || "rows were lost".into())?;
    check(!guest.said("recover"), || "a clean shutdown left something to recover".into())
}

/// A statement that panics hurts nobody else.
pub fn panic() -> Result<()> {
    let kernel = build_kernel(Profile::Release)?;
    let disk = TestDisk::new("panic")?;
    let guest = disk.boot(&kernel, "test_functions=on")?;
    panics_stay_contained(|| guest.connect(Some(&disk.password)))
}

/// Shared with the hosted suite: what a panicking statement may and may not do.
pub fn panics_stay_contained(connect: impl Fn() -> Result<postgres::Client>) -> Result<()> {
    let (mut victim, mut other) = (connect()?, connect()?);
    other.batch_execute("CREATE TABLE bystander (id int); BEGIN; INSERT INTO bystander VALUES (1)")?;
    victim.batch_execute("CREATE TABLE unlucky (id int)")?;
    for round in 0..10 {
        victim.batch_execute("BEGIN; INSERT INTO unlucky VALUES (1)")?;
        let outcome = victim.batch_execute("SELECT intralith_test_panic()");
        let code = outcome.err().and_then(|e| e.code().map(|c| c.code().to_string()));
        check(code.as_deref() == Some("XX000"), || {
            format!("round {round}: SQLSTATE {code:?} instead of XX000")
        })?;
        victim.batch_execute("ROLLBACK")?;
        let count: i64 = victim.query_one("SELECT count(*) FROM unlucky", &[])?.get(0);
        check(count == 0, || "the panicking transaction left rows".into())?;
    }
    other.batch_execute("INSERT INTO bystander VALUES (2); COMMIT")?;
    let count: i64 = connect()?.query_one("SELECT count(*) FROM bystander", &[])?.get(0);
    check(count == 2, || "a bystander lost its rows".into())
}

/// Blank disks are formatted; everything else that is not ours is refused and stays as it was.
pub fn disks() -> Result<()> {
    let kernel = build_kernel(Profile::Release)?;
    let folder = tools::scratch("disks")?;
    let blank = folder.join("blank.img");
    let file = fs::File::create(&blank).context(|| format!("create {}", blank.display()))?;
    file.set_len(1 << 30).context(|| format!("size {}", blank.display()))?;
    let password = "from the command line";
    let mut options = Options::pvh(&kernel, &format!("first_password=\"{password}\""));
    options.port = Some(tools::free_port()?);
    options.disk = Some(Disk::nvme(&blank));
    let mut guest = Appliance::boot(options, false)?;
    guest.wait_ready(Some(password), BOOT_LIMIT)?;
    guest.shut_down(Duration::from_secs(30))?;
    for (name, make) in FOREIGN {
        let path = folder.join(format!("{name}.img"));
        let file = fs::File::create(&path).context(|| format!("create {}", path.display()))?;
        file.set_len(256 << 20).context(|| format!("size {}", path.display()))?;
        make(&path)?;
        refused(&kernel, name, &path)?;
    }
    Ok(())
}

type Maker = fn(&Path) -> Result<()>;

const FOREIGN: [(&str, Maker); 3] = [("ext4", make_ext4), ("gpt", make_gpt), ("noise", make_noise)];

fn make_ext4(path: &Path) -> Result<()> {
    let program = tools::find("mke2fs").unwrap_or_else(|| "mke2fs".into());
    tools::run(Command::new(program).args(["-q", "-F", "-t", "ext4"]).arg(path))
}

fn make_gpt(path: &Path) -> Result<()> {
    let broken = |e: &dyn std::fmt::Display| Error::Failed(format!("making a partition table: {e}"));
    let config = gpt::GptConfig::new().writable(true);
    let mut table = config.create(path).map_err(|e| broken(&e))?;
    table
        .add_partition("data", 100 << 20, gpt::partition_types::LINUX_FS, 0, None)
        .map_err(|e| broken(&e))?;
    table.write().map_err(|e| broken(&e))?;
    Ok(())
}

fn make_noise(path: &Path) -> Result<()> {
    let what = || format!("write {}", path.display());
    let mut file = fs::OpenOptions::new().write(true).open(path).context(what)?;
    file.write_all(
        &(0..1 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>(),
    )
    .context(what)
}

fn refused(kernel: &Path, name: &str, path: &Path) -> Result<()> {
    let sum = || tools::capture(Command::new("sha256sum").arg(path));
    let before = sum()?;
    let mut options = Options::pvh(kernel, "");
    options.disk = Some(Disk::nvme(path));
    options.port = Some(tools::free_port()?);
    let mut guest = Appliance::boot(options, false)?;
    guest.wait_for("left as it is", BOOT_LIMIT).map_err(|e| Error::Failed(format!("{name}: {e}")))?;
    guest.guest().kill();
    check(before == sum()?, || format!("{name}: the foreign disk was changed"))
}

/// The flashed image under firmware.
pub fn uefi() -> Result<()> {
    let folder = tools::scratch("disks")?;
    let image = folder.join("uefi.img");
    for path in [image.clone(), image.with_extension("vars.fd")] {
        let _ = fs::remove_file(path);
    }
    run::build_image(&image, 1 << 30, "log=info")?;
    let prepared = disk::prepare(&image, 1 << 30)?;
    let password = prepared.password()?.ok_or_else(|| Error::Failed("the image has no password".into()))?;
    for round in 0..2 {
        let mut options = Options::pvh(Path::new(""), "");
        options.boot = appliance::uefi_boot(&image)?;
        options.port = Some(tools::free_port()?);
        options.disk = Some(Disk::nvme(&image));
        let mut guest = Appliance::boot(options, false)?;
        guest.wait_ready(Some(&password), Duration::from_secs(120))?;
        let mut client = guest.connect(Some(&password))?;
        if round == 0 {
            client.batch_execute("CREATE TABLE kept (id int); INSERT INTO kept VALUES (42)")?;
        }
        let id: i32 = client.query_one("SELECT id FROM kept", &[])?.get(0);
        check(id == 42, || "the row is gone".into())?;
        guest.shut_down(Duration::from_secs(60))?;
    }
    Ok(())
}
