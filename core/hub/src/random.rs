use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use ring::rand::{SecureRandom, SystemRandom};

/// The operating system's generator: the hub makes one and hands it down.
#[derive(Clone, Debug)]
pub struct Random(SystemRandom);

impl Random {
    /// The generator of this computer.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the hub's one generator, handed down from here")]
    pub fn system() -> Self {
        Self(SystemRandom::new())
    }

    /// Random bytes, for ids, tokens and serial numbers.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// `N` random bytes as lower-case hexadecimal text.
    #[must_use]
    pub fn hex<const N: usize>(&self) -> String {
        self.bytes::<N>().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The generator as the signing functions want it.
    #[must_use]
    pub(crate) fn for_signing(&self) -> &SystemRandom {
        &self.0
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("the operating system always has random bytes once it runs");
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Random {}
