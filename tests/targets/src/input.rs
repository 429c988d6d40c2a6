//! Bytes as a supply of choices; when it is used up, all of them are zero.

pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn slice(&mut self, length: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(length.min(self.0.len()));
        self.0 = tail;
        head
    }

    pub fn rest(&mut self) -> &'a [u8] {
        self.slice(usize::MAX)
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let head = self.slice(N);
        array[..head.len()].copy_from_slice(head);
        array
    }

    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn word(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// Mostly small, sometimes anything: where the bounds are.
    pub fn amount(&mut self) -> u128 {
        match self.byte() {
            255 => u128::MAX,
            254 => u128::from_be_bytes(self.array()),
            253 => u128::MAX / 2,
            small => u128::from(small),
        }
    }
}
