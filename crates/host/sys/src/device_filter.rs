//! Device rules of version 2 cgroups: bpf(2), programs of type BPF_PROG_TYPE_CGROUP_DEVICE.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// May make the node.
pub const DEVICE_MKNOD: u32 = 1;
/// May read.
pub const DEVICE_READ: u32 = 2;
/// May write.
pub const DEVICE_WRITE: u32 = 4;

/// Kinds of device nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// Block.
    Block,
    /// Character.
    Character,
}

/// Devices that may be used; what no rule allows is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRule {
    /// `None` for both kinds.
    pub kind: Option<DeviceKind>,
    /// `None` for all.
    pub major: Option<u32>,
    /// `None` for all.
    pub minor: Option<u32>,
    /// Bits of `DEVICE_MKNOD`, `DEVICE_READ` and `DEVICE_WRITE`.
    pub access: u32,
}

/// One instruction of the extended machine.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// The part of `union bpf_attr` for BPF_PROG_LOAD that is used; the rest counts as zero.
#[repr(C)]
struct LoadAttributes {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
}

/// The part of `union bpf_attr` for BPF_PROG_ATTACH.
#[repr(C)]
struct AttachAttributes {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

const COMMAND_LOAD: libc::c_int = 5;
const COMMAND_ATTACH: libc::c_int = 8;
const PROGRAM_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;

/// Attaches rules to a version 2 cgroup, given by its directory. They hold for the cgroup's life, on top of those of its parents.
///
/// # Errors
/// Without CAP_BPF and CAP_NET_ADMIN or CAP_SYS_ADMIN, or when the kernel has no such programs.
pub fn attach_device_rules(cgroup: impl AsFd, rules: &[DeviceRule]) -> io::Result<()> {
    let program = load(&compile(rules))?;
    let attributes = AttachAttributes {
        target: number(&cgroup.as_fd())?,
        program: number(&program)?,
        kind: ATTACH_CGROUP_DEVICE,
        flags: 0,
    };
    // SAFETY: the pointer is to a live structure of the layout and size given; both descriptors in it are open.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, COMMAND_ATTACH, &raw const attributes, size_of::<AttachAttributes>()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let license = c"Apache-2.0";
    let attributes = LoadAttributes {
        kind: PROGRAM_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the pointer is to a live structure of the layout and size given; it points to as many instructions as it says and
    // to a terminated string, which live until after the call. The kernel verifies the program.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, COMMAND_LOAD, &raw const attributes, size_of::<LoadAttributes>()) };
    match libc::c_int::try_from(result) {
        // SAFETY: the kernel has just made this descriptor; nobody else knows its number.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        Ok(_) | Err(_) => Err(io::Error::last_os_error()),
    }
}

fn number(descriptor: &impl AsRawFd) -> io::Result<u32> {
    u32::try_from(descriptor.as_raw_fd()).map_err(io::Error::other)
}

/// The context is three words: access (upper half) and kind (lower half), major, minor.
fn compile(rules: &[DeviceRule]) -> Vec<Instruction> {
    const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
    const MOVE: u8 = 0xbf; // BPF_ALU64 | BPF_MOV | BPF_X
    const MOVE_VALUE: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
    const SHIFT_RIGHT: u8 = 0x77; // BPF_ALU64 | BPF_RSH | BPF_K
    const AND_VALUE: u8 = 0x57; // BPF_ALU64 | BPF_AND | BPF_K
    const JUMP_UNLESS_VALUE: u8 = 0x55; // BPF_JMP | BPF_JNE | BPF_K
    const JUMP_UNLESS: u8 = 0x5d; // BPF_JMP | BPF_JNE | BPF_X
    const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT
    let line = |code, target: u8, source: u8, offset, immediate| Instruction {
        code,
        registers: source << 4 | target,
        offset,
        immediate,
    };
    let mut program = vec![
        line(LOAD_WORD, 2, 1, 0, 0), // r2 = access and kind
        line(LOAD_WORD, 4, 1, 4, 0), // r4 = major
        line(LOAD_WORD, 5, 1, 8, 0), // r5 = minor
        line(MOVE, 3, 2, 0, 0),      // r3 = access
        line(SHIFT_RIGHT, 3, 0, 0, 16),
        line(AND_VALUE, 2, 0, 0, 0xffff), // r2 = kind
    ];
    for rule in rules {
        let mut checks = Vec::new();
        match rule.kind {
            Some(DeviceKind::Block) => checks.push(line(JUMP_UNLESS_VALUE, 2, 0, 0, 1)),
            Some(DeviceKind::Character) => checks.push(line(JUMP_UNLESS_VALUE, 2, 0, 0, 2)),
            None => {}
        }
        // What is asked for must be part of what is allowed.
        checks.push(line(MOVE, 1, 3, 0, 0));
        checks.push(line(AND_VALUE, 1, 0, 0, (rule.access & 7).cast_signed()));
        checks.push(line(JUMP_UNLESS, 1, 3, 0, 0));
        for (register, wanted) in [(4, rule.major), (5, rule.minor)] {
            if let Some(wanted) = wanted {
                checks.push(line(JUMP_UNLESS_VALUE, register, 0, 0, wanted.cast_signed()));
            }
        }
        let length = checks.len();
        for (at, check) in checks.iter_mut().enumerate() {
            if matches!(check.code, JUMP_UNLESS | JUMP_UNLESS_VALUE) {
                // Over the remaining checks and the two lines that allow.
                check.offset = i16::try_from(length - at - 1 + 2).unwrap_or(i16::MAX);
            }
        }
        program.append(&mut checks);
        program.extend([line(MOVE_VALUE, 0, 0, 0, 1), line(EXIT, 0, 0, 0, 0)]);
    }
    program.extend([line(MOVE_VALUE, 0, 0, 0, 0), line(EXIT, 0, 0, 0, 0)]);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would, as far as it uses the machine.
    fn allows(program: &[Instruction], kind: u64, access: u64, major: u64, minor: u64) -> bool {
        let mut registers = [0u64; 8];
        let context = [access << 16 | kind, major, minor];
        let mut at = 0usize;
        loop {
            let Instruction { code, registers: names, offset, immediate } = program[at];
            let (target, source) = (usize::from(names & 15), usize::from(names >> 4));
            let value = u64::from(immediate.cast_unsigned());
            at += 1;
            match code {
                0x61 => registers[target] = context[usize::try_from(offset).unwrap() / 4],
                0xbf => registers[target] = registers[source],
                0xb7 => registers[target] = value,
                0x77 => registers[target] >>= value,
                0x57 => registers[target] &= value,
                0x55 if registers[target] != value => at += usize::try_from(offset).unwrap(),
                0x5d if registers[target] != registers[source] => at += usize::try_from(offset).unwrap(),
                0x55 | 0x5d => {}
                0x95 => return registers[0] == 1,
                other => panic!("no instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn only_what_a_rule_allows_passes() {
        let read_write = DEVICE_READ | DEVICE_WRITE;
        let character = Some(DeviceKind::Character);
        let program = compile(&[
            DeviceRule { kind: character, major: None, minor: None, access: DEVICE_MKNOD },
            DeviceRule { kind: character, major: Some(1), minor: Some(3), access: read_write },
            DeviceRule { kind: character, major: Some(136), minor: None, access: read_write },
        ]);
        let (block, character) = (1, 2);
        assert!(allows(&program, character, 1, 8, 0));
        assert!(!allows(&program, block, 1, 8, 0));
        assert!(allows(&program, character, 6, 1, 3) && allows(&program, character, 2, 1, 3));
        assert!(!allows(&program, character, 2, 1, 1) && !allows(&program, character, 7, 1, 3));
        assert!(allows(&program, character, 4, 136, 77));
        assert!(!allows(&program, block, 2, 1, 3));
        assert!(!allows(&compile(&[]), character, 2, 1, 3));
        let all = [DeviceRule { kind: None, major: None, minor: None, access: 7 }];
        assert!(allows(&compile(&all), block, 7, 8, 0));
    }
}
