//! What machine a program is for, as its own first bytes say.

use anyhow::{Result, bail};

/// Fails unless it is for this platform, in Node's words.
pub(crate) fn demand(program: &[u8], platform: &str) -> Result<()> {
    match platform_of(program) {
        Some(found) if found == platform => Ok(()),
        Some(found) => bail!("it is a program for {found}, not for {platform}"),
        None => bail!("it is no program that could be for {platform}"),
    }
}

/// Programs of 64 bits for one machine: ELF, Mach-O and PE, with the numbers that each has for the two processors.
fn platform_of(program: &[u8]) -> Option<&'static str> {
    if program.starts_with(b"\x7fELF\x02\x01") {
        // Of Linux, or of nobody's in particular: who else writes ELF says so.
        let system = *program.get(7)?;
        return match (system, number(program, 18, 2)?) {
            (0 | 3, 0x3e) => Some("linux-x64"),
            (0 | 3, 0xb7) => Some("linux-arm64"),
            _ => None,
        };
    }
    if program.starts_with(&[0xcf, 0xfa, 0xed, 0xfe]) {
        return match number(program, 4, 4)? {
            0x0100_0007 => Some("darwin-x64"),
            0x0100_000c => Some("darwin-arm64"),
            _ => None,
        };
    }
    if program.starts_with(b"MZ") {
        let header = usize::try_from(number(program, 0x3c, 4)?).ok()?;
        let head = program.get(header..header.checked_add(6)?)?;
        return match (head.starts_with(b"PE\0\0"), number(head, 4, 2)?) {
            (true, 0x8664) => Some("win32-x64"),
            (true, 0xaa64) => Some("win32-arm64"),
            _ => None,
        };
    }
    None
}

/// So many bytes from there, the lowest first.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(length)?)?;
    Some(part.iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As linkers write the first bytes, by the formats' own descriptions.
    fn elf(machine: u8, system: u8) -> Vec<u8> {
        let mut head = [b"\x7fELF\x02\x01\x01".as_slice(), &[system], &[0; 8], &[3, 0, machine, 0]].concat();
        head.resize(64, 0);
        head
    }

    fn mach(cpu: u8) -> Vec<u8> {
        [[0xcf, 0xfa, 0xed, 0xfe], [cpu, 0, 0, 1], [0; 4], [2, 0, 0, 0]].concat()
    }

    fn pe(machine: [u8; 2]) -> Vec<u8> {
        let mut head = b"MZ".to_vec();
        head.resize(0x3c, 0);
        [head.as_slice(), &[0x80, 0, 0, 0], &[0; 0x40], b"PE\0\0", &machine].concat()
    }

    #[test]
    fn each_machine_is_known_by_its_programs() {
        for (program, platform) in [
            (elf(0x3e, 0), "linux-x64"),
            (elf(0xb7, 0), "linux-arm64"),
            (elf(0xb7, 3), "linux-arm64"),
            (mach(7), "darwin-x64"),
            (mach(12), "darwin-arm64"),
            (pe([0x64, 0x86]), "win32-x64"),
            (pe([0x64, 0xaa]), "win32-arm64"),
        ] {
            assert_eq!(platform_of(&program), Some(platform));
            assert!(demand(&program, platform).is_ok());
            assert!(demand(&program, "linux-riscv64").is_err());
        }
    }

    #[test]
    fn what_is_no_such_program_is_refused() {
        // A script, of a BSD, of 32 bits, for two machines, cut off anywhere.
        for program in [
            b"#!/bin/sh\n".to_vec(),
            elf(0x3e, 9),
            b"\x7fELF\x01\x01\x01".to_vec(),
            vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2],
        ] {
            assert_eq!(platform_of(&program), None);
        }
        for whole in [elf(0x3e, 0), mach(7), pe([0x64, 0x86])] {
            let least = (0..whole.len()).find(|length| platform_of(whole.get(..*length).unwrap_or_default()).is_some());
            assert!(least.is_none_or(|least| least > 7));
            assert_eq!(platform_of(whole.get(..7).unwrap_or_default()), None);
        }
    }

    #[test]
    fn this_test_is_a_program_for_this_machine() -> Result<()> {
        assert!(platform_of(&std::fs::read(std::env::current_exe()?)?).is_some());
        Ok(())
    }
}
