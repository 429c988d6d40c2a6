//! As much of the WebAssembly binary format as the package's checks need: from
//! which modules a module imports.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

const MAGIC: &[u8] = b"\0asm\x01\0\0\0";
const IMPORTS: u8 = 2;

/// The names of the modules that `wasm` imports from.
pub(crate) fn imported_modules(wasm: &[u8]) -> Result<BTreeSet<String>> {
    let mut input = Input(wasm);
    if input.take(MAGIC.len())? != MAGIC {
        bail!("not a WebAssembly module of version 1");
    }
    while !input.0.is_empty() {
        let section = input.byte()?;
        let length = input.size()?;
        let content = input.take(length)?;
        if section == IMPORTS {
            return modules(Input(content));
        }
    }
    Ok(BTreeSet::new())
}

fn modules(mut input: Input<'_>) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for _ in 0..input.size()? {
        names.insert(input.name()?);
        input.name()?;
        match input.byte()? {
            0 => drop(input.size()?),
            1 => {
                input.byte()?;
                input.limits()?;
            }
            2 => input.limits()?,
            3 => drop(input.take(2)?),
            4 => {
                input.byte()?;
                input.size()?;
            }
            kind => bail!("an import of the unknown kind {kind}"),
        }
    }
    Ok(names)
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).context("the module ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        self.take(1)?.first().copied().context("the module ends too early")
    }

    /// An unsigned LEB128 number of at most 32 bits.
    fn size(&mut self) -> Result<usize> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(usize::try_from(value)?);
            }
        }
        bail!("a number of more than 32 bits")
    }

    fn name(&mut self) -> Result<String> {
        let length = self.size()?;
        Ok(String::from_utf8(self.take(length)?.to_vec())?)
    }

    fn limits(&mut self) -> Result<()> {
        let has_maximum = self.byte()? & 1 == 1;
        self.size()?;
        if has_maximum {
            self.size()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(sections: &[u8]) -> Vec<u8> {
        [MAGIC, sections].concat()
    }

    #[test]
    fn imports_are_found_behind_other_sections() -> Result<()> {
        let types = [1, 4, 1, 0x60, 0, 0];
        let imports = b"\x02\x14\x02\x03env\x01f\0\0\x06./x.js\x01g\0\0";
        let found = imported_modules(&module(&[&types[..], imports].concat()))?;
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["./x.js", "env"]);
        Ok(())
    }

    #[test]
    fn a_module_without_imports_has_none() -> Result<()> {
        assert!(imported_modules(&module(&[]))?.is_empty());
        Ok(())
    }

    #[test]
    fn a_module_that_was_cut_is_an_error() {
        assert!(imported_modules(b"\0asm").is_err());
        assert!(imported_modules(&module(b"\x02\x14\x02\x03en")).is_err());
    }
}
