//! The peer machine: Debian 12 with PostgreSQL 15 on the same virtual hardware. What a user would run instead.
//!
//! Built without loop devices: debootstrap into a folder, `mke2fs -d` turns folders into file systems. Needs root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use qemu_machine::{Accelerator, Attach, Boot, Disk, Guest, Machine, Source};

use crate::{
    appliance,
    error::{Context, Error, Result},
    tools,
};

/// The peer's database password; the machine is reachable from loopback only and thrown away after the benchmark.
pub const PASSWORD: &str = "intralith";

const PACKAGES: &str = "linux-image-cloud-amd64,initramfs-tools,systemd-sysv,udev,acpid,procps,iproute2,dbus,\
                        systemd-resolved,postgresql-15";

/// Kernel arguments that help Linux under emulation; every ratio is quoted against the better of stock and tuned.
const TUNED: &str = "tsc=reliable clocksource=tsc mitigations=off";

/// The label of the data disk's file system, whatever the disk is attached to.
const LABEL: &str = "pgdata";
const FSTAB: &str = "/dev/vda / ext4 noatime 0 1\n\
                     LABEL=pgdata /var/lib/postgresql ext4 noatime,x-systemd.device-timeout=600 0 2\n";

/// Files of a built peer machine.
#[derive(Clone, Debug)]
pub struct Peer {
    kernel: PathBuf,
    initrd: PathBuf,
    root: PathBuf,
    data: PathBuf,
}

/// A running peer.
pub struct RunningPeer {
    /// The machine.
    pub guest: Guest,
    /// Loopback port of its PostgreSQL.
    pub port: u16,
    /// From QEMU's start to the first answered query.
    pub boot: Duration,
    /// Root and data.
    disks: [PathBuf; 2],
    shape: Shape,
}

/// The virtual machine's size, and whether Linux gets [`TUNED`].
#[derive(Clone, Debug)]
struct Shape {
    processors: u32,
    memory: String,
    tuned: bool,
}

/// Builds the machine, or takes the one built before.
pub fn build() -> Result<Peer> {
    let folder = tools::scratch("peer")?;
    let peer = Peer {
        kernel: folder.join("vmlinuz"),
        initrd: folder.join("initrd.img"),
        root: folder.join("root.img"),
        data: folder.join("pgdata.img"),
    };
    let done = folder.join("built");
    if done.exists() {
        label_older(&folder, &peer)?;
        return Ok(peer);
    }
    if !tools::is_root() {
        return Err(Error::Usage(
            "building the peer machine needs root: run `sudo cargo xtask bench --peer`".into(),
        ));
    }
    let debootstrap = tools::require(tools::DEBOOTSTRAP)?;
    let tree = folder.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree).context(|| format!("remove {}", tree.display()))?;
    }
    println!("peer: debootstrap");
    let log = folder.join("debootstrap.log");
    let out = fs::File::create(&log).context(|| format!("create {}", log.display()))?;
    let err = out.try_clone().context(|| "clone a file handle".into())?;
    let mut command = Command::new(debootstrap);
    command
        .args(["--variant=minbase", &format!("--include={PACKAGES}"), "bookworm"])
        .arg(&tree)
        .args(mirror());
    tools::run(command.stdout(out).stderr(err).stdin(Stdio::null()))?;
    configure(&tree)?;
    println!("peer: database and initial RAM disk");
    let result = prepare(&tree);
    for mount in ["dev/shm", "proc"] {
        let _ = Command::new("umount").arg(tree.join(mount)).status();
    }
    result?;
    copy_newest(&tree.join("boot"), "vmlinuz-", &peer.kernel)?;
    copy_newest(&tree.join("boot"), "initrd.img-", &peer.initrd)?;
    println!("peer: file systems");
    let data = tree.join("var/lib/postgresql");
    file_system(&data, &peer.data, "4G", LABEL)?;
    fs::remove_dir_all(&data).context(|| format!("remove {}", data.display()))?;
    fs::create_dir(&data).context(|| format!("create {}", data.display()))?;
    file_system(&tree, &peer.root, "2G", "root")?;
    fs::write(&done, LABEL).context(|| format!("write {}", done.display()))?;
    Ok(peer)
}

/// A machine that was built when its data disk went by the name of its device: gives the disk its label, here and in `fstab`.
fn label_older(folder: &Path, peer: &Peer) -> Result<()> {
    let done = folder.join("built");
    if fs::read_to_string(&done).context(|| format!("read {}", done.display()))? == LABEL {
        return Ok(());
    }
    let entries = fs::read_dir(folder).context(|| format!("read {}", folder.display()))?;
    for image in entries.filter_map(|e| e.ok().map(|e| e.path())) {
        if image.extension().is_some_and(|e| e == "img") && image != peer.root && image != peer.initrd {
            let program = tools::find("e2label").unwrap_or_else(|| "e2label".into());
            tools::run(Command::new(program).arg(&image).arg(LABEL))?;
        }
    }
    let table = folder.join("fstab");
    fs::write(&table, FSTAB).context(|| format!("write {}", table.display()))?;
    let debugfs = tools::find("debugfs").unwrap_or_else(|| "debugfs".into());
    let write = format!("write {} /etc/fstab", table.display());
    for request in ["rm /etc/fstab", &write] {
        let mut command = Command::new(&debugfs);
        command.args(["-w", "-R", request]).arg(&peer.root);
        tools::run(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
    }
    fs::write(&done, LABEL).context(|| format!("write {}", done.display()))
}

/// The Debian mirror that this machine's own apt uses; debootstrap's default when there is none.
fn mirror() -> Option<String> {
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Identifier: Packages"]);
    let text = tools::capture(apt.stdin(Stdio::null())).ok()?;
    text.lines()
        .filter_map(|l| l.split_once(' '))
        .find(|(name, _)| *name == "bookworm")
        .map(|(_, uri)| uri.to_string())
}

fn configure(tree: &Path) -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = tree.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).context(|| format!("create {}", parent.display()))?;
        }
        fs::write(&path, text).context(|| format!("write {}", path.display()))
    };
    write("etc/initramfs-tools/modules", "virtio_pci\nvirtio_blk\nvirtio_net\nnvme\next4\n")?;
    write("etc/initramfs-tools/conf.d/small", "MODULES=list\nCOMPRESS=gzip\n")?;
    write("etc/hostname", "peer\n")?;
    write("etc/fstab", FSTAB)?;
    write("etc/systemd/network/all.network", "[Match]\nName=en* eth*\n[Network]\nDHCP=ipv4\n")?;
    write("etc/postgresql-common/createcluster.d/peer.conf", "create_main_cluster = false\n")
}

fn chroot(tree: &Path, script: &str) -> Result<()> {
    let mut command = Command::new("chroot");
    command.arg(tree).args(["/bin/sh", "-ec", script]);
    command.env("LC_ALL", "C").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    tools::run(command.stdout(Stdio::null()))
}

fn prepare(tree: &Path) -> Result<()> {
    tools::run(Command::new("mount").args(["-t", "proc", "proc"]).arg(tree.join("proc")))?;
    fs::create_dir_all(tree.join("dev/shm")).context(|| "create dev/shm".into())?;
    tools::run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(tree.join("dev/shm")))?;
    chroot(tree, "update-initramfs -c -k all || update-initramfs -u -k all")?;
    chroot(
        tree,
        "systemctl enable systemd-networkd acpid >/dev/null 2>&1; \
         systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
         fstrim.timer systemd-tmpfiles-clean.timer >/dev/null 2>&1; true",
    )?;
    // Debian's defaults, but for TLS and reachability. The main cluster may exist from the package's own setup.
    chroot(
        tree,
        "[ -d /var/lib/postgresql/15/main ] || pg_createcluster 15 main --locale C.UTF-8; \
         { echo \"listen_addresses = '*'\"; echo 'ssl = off'; } >> /etc/postgresql/15/main/postgresql.conf; \
         echo 'host all all 0.0.0.0/0 scram-sha-256' >> /etc/postgresql/15/main/pg_hba.conf",
    )?;
    let sql = format!(
        "CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{PASSWORD}';\nCREATE DATABASE {user} OWNER {user};\n",
        user = appliance::USER
    );
    let file = tree.join("tmp/setup.sql");
    fs::write(&file, sql).context(|| format!("write {}", file.display()))?;
    chroot(
        tree,
        "su postgres -c '/usr/lib/postgresql/15/bin/postgres --single -j \
         -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf postgres \
         < /dev/null' > /dev/null; \
         su postgres -c '/usr/lib/postgresql/15/bin/postgres --single \
         -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf postgres \
         < /tmp/setup.sql' > /dev/null; rm /tmp/setup.sql",
    )
}

fn copy_newest(folder: &Path, prefix: &str, to: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).context(|| format!("read {}", folder.display()))?;
    let names = entries.filter_map(|e| e.ok().map(|e| e.path()));
    let newest =
        names.filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix))).max();
    let from = newest.ok_or_else(|| Error::Failed(format!("no {prefix}* in {}", folder.display())))?;
    fs::copy(&from, to).context(|| format!("copy {}", from.display()))?;
    Ok(())
}

fn file_system(folder: &Path, image: &Path, size: &str, label: &str) -> Result<()> {
    let _ = fs::remove_file(image);
    let mut command = Command::new(tools::find("mke2fs").unwrap_or_else(|| "mke2fs".into()));
    command.args(["-q", "-t", "ext4", "-L", label, "-d"]).arg(folder).arg(image).arg(size);
    tools::run(&mut command)
}

impl Peer {
    /// Boots it on private copies of the disks and waits for the first answered query.
    pub fn boot(&self, processors: u32, memory: &str, tuned: bool) -> Result<RunningPeer> {
        let folder = tools::scratch("peer-run")?;
        let copy = |from: &Path, name: &str| {
            let to = folder.join(name);
            tools::run(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(from).arg(&to))
                .map(|()| to)
        };
        let disks = [copy(&self.root, "root.img")?, copy(&self.data, "data.img")?];
        self.boot_on(disks, Shape { processors, memory: memory.into(), tuned })
    }

    /// The machine with other data: those that `load` makes of its own through a PostgreSQL 15 of this host, which is much
    /// faster than in the machine. `load` gets the port. Taken from `name` if they were made before.
    pub fn with_data(&self, name: &str, load: impl FnOnce(u16) -> Result<()>) -> Result<Self> {
        let data = tools::scratch("peer")?.join(name);
        if !data.exists() {
            let folder = std::env::temp_dir().join(format!("intralith-peer-{:x}", appliance::unique()));
            fs::create_dir_all(&folder).context(|| format!("create {}", folder.display()))?;
            let outcome = change_natively(&self.data, &folder, load).and_then(|()| {
                fs::remove_file(folder.join("conf")).context(|| "remove a file".into())?;
                fs::remove_file(folder.join("hba")).context(|| "remove a file".into())?;
                file_system(&folder, &data, "8G", LABEL)
            });
            let _ = fs::remove_dir_all(&folder);
            outcome?;
        }
        Ok(Self { data, ..self.clone() })
    }

    /// Its data disk's content as it was built, copied to `to`.
    pub fn copy_data(&self, to: &Path) -> Result<()> {
        tools::run(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(&self.data).arg(to))
    }

    /// Boots it with a data disk of the caller's, on a fresh copy of the root disk: only the data go through what the caller
    /// does to them.
    pub fn boot_with(&self, data: Disk) -> Result<RunningPeer> {
        let root = tools::scratch("powercut")?.join(format!("peer-root-{}.img", std::process::id()));
        let mut copy = Command::new("cp");
        tools::run(copy.args(["--sparse=always", "--reflink=auto"]).arg(&self.root).arg(&root))?;
        let shape = Shape { processors: 2, memory: "1G".into(), tuned: true };
        self.start([root.clone(), root], data, shape)
    }

    fn boot_on(&self, disks: [PathBuf; 2], shape: Shape) -> Result<RunningPeer> {
        let data = Disk::nvme(&disks[1]);
        self.start(disks, data, shape)
    }

    fn start(&self, disks: [PathBuf; 2], data: Disk, shape: Shape) -> Result<RunningPeer> {
        let qemu = tools::qemu()?;
        let root = disks[0].clone();
        let extra = if shape.tuned { TUNED } else { "" };
        let boot = Boot::Kernel {
            image: self.kernel.clone(),
            initrd: Some(self.initrd.clone()),
            // An emulated machine under load may not have found its data disk after systemd's 90 seconds, and its timer may tick too
            // late for the kernel's test of it.
            command_line: format!(
                "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 no_timer_check systemd.default_device_timeout_sec=600 {extra}"
            ),
        };
        let control = std::env::temp_dir().join(format!("intralith-peer-{}.qmp", std::process::id()));
        let mut machine = Machine::new(qemu, boot, control);
        machine.accelerator = Accelerator::Tcg;
        machine.processors = shape.processors;
        machine.memory = shape.memory.clone();
        machine.disks.push(Disk { source: Source::Raw(root), attach: Attach::VirtioBlk });
        machine.disks.push(data);
        let port = tools::free_port()?;
        machine.forwards.push((port, 5432));
        let mut guest = Guest::start(machine)?;
        let limit = Duration::from_secs(600);
        loop {
            if guest.ended()?.is_some() {
                return Err(Error::Guest(format!("(peer) ended: {}", guest.complaints())));
            }
            let answered =
                appliance::connect(port, Some(PASSWORD)).and_then(|mut c| Ok(c.simple_query("SELECT 1")?));
            let boot = guest.started().elapsed();
            match answered {
                Ok(_) => return Ok(RunningPeer { guest, port, boot, disks, shape }),
                Err(e) if boot > limit => {
                    let lines: Vec<String> =
                        std::iter::from_fn(|| guest.serial_line(Duration::from_millis(1)).ok()).collect();
                    let last = lines.get(lines.len().saturating_sub(40)..).unwrap_or(&[]).join("\n");
                    return Err(Error::Guest(format!("(peer) answers no query: {e}; it said:\n{last}")));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

impl RunningPeer {
    fn end(&mut self, in_order: bool) -> Result<()> {
        if in_order {
            self.guest.power_button()?;
            self.guest.wait(Duration::from_secs(120))?;
        } else {
            self.guest.kill();
        }
        Ok(())
    }

    /// Ends it, in order or by killing the emulator, and boots the same disks again.
    pub fn again(mut self, peer: &Peer, in_order: bool) -> Result<Self> {
        self.end(in_order)?;
        let Self { guest, disks, shape, .. } = self;
        drop(guest);
        peer.boot_on(disks, shape)
    }
}

/// Unpacks a data file system into `folder` and runs a server of this host on it.
fn change_natively(data: &Path, folder: &Path, load: impl FnOnce(u16) -> Result<()>) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let program = tools::find("postgres").ok_or_else(|| {
        Error::Usage("loading the peer needs PostgreSQL 15 on this host: install its server".into())
    })?;
    let debugfs = tools::find("debugfs").unwrap_or_else(|| "debugfs".into());
    let mut command = Command::new(debugfs);
    command.arg("-R").arg(format!("rdump / {}", folder.display())).arg(data);
    tools::run(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let cluster = folder.join("15/main");
    let owner = fs::metadata(&cluster).context(|| format!("stat {}", cluster.display()))?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).context(|| format!("write {}", path.display())).map(|()| path)
    };
    let hba = write("hba", "host all all 127.0.0.1/32 trust\n".into())?;
    let port = tools::free_port()?;
    let conf = write(
        "conf",
        format!(
            "hba_file = '{}'\nport = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n",
            hba.display()
        ),
    )?;
    let mut command = Command::new("setpriv");
    command.args([
        &format!("--reuid={}", owner.uid()),
        &format!("--regid={}", owner.gid()),
        "--clear-groups",
    ]);
    command.arg(program).arg("-D").arg(&cluster).args(["-c", &format!("config_file={}", conf.display())]);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().context(|| "start PostgreSQL".into())?;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut outcome = loop {
        match appliance::connect(port, Some(PASSWORD)) {
            Ok(_) => break Ok(()),
            Err(e) if Instant::now() > deadline => break Err(e),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    };
    if outcome.is_ok() {
        outcome = load(port);
    }
    // SIGTERM waits for clients; there are none any more.
    tools::terminate(child.id())?;
    let ended = child.wait().context(|| "wait for PostgreSQL".into())?;
    outcome?;
    if ended.success() { Ok(()) } else { Err(Error::Failed(format!("the peer's server ended with {ended}"))) }
}

/// Lines of the peer's serial log that tell of disk trouble: a run with any of them is discarded.
pub fn disk_trouble(guest: &Guest) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut trouble = Vec::new();
    while Instant::now() < deadline {
        match guest.serial_line(Duration::from_millis(1)) {
            Ok(line) if line.contains("nvme") && (line.contains("timeout") || line.contains("I/O")) => {
                trouble.push(line);
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    trouble
}
