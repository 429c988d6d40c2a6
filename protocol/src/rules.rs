//! Switches for the model test: each numbered rule of `docs/protocol.md` can be turned off in a
//! build with the `mutants` feature, and only there. In a product build every switch is the constant `false`.

#[cfg(feature = "mutants")]
std::thread_local! {
    static OFF: core::cell::Cell<u8> = const { core::cell::Cell::new(0) };
}

/// Runs `body` with rule `number` switched off on this thread.
#[cfg(feature = "mutants")]
pub fn without<T>(number: u8, body: impl FnOnce() -> T) -> T {
    OFF.with(|off| off.set(number));
    let result = body();
    OFF.with(|off| off.set(0));
    result
}

/// Whether rule `number` is switched off on this thread.
#[cfg(feature = "mutants")]
#[must_use]
pub fn is_off(number: u8) -> bool {
    OFF.with(core::cell::Cell::get) == number
}

/// Whether the model test has switched a numbered rule off; always `false` in a product build.
#[macro_export]
#[doc(hidden)]
macro_rules! rule_off {
    ($number:literal) => {{
        #[cfg(feature = "mutants")]
        {
            $crate::rules::is_off($number)
        }
        #[cfg(not(feature = "mutants"))]
        {
            false
        }
    }};
}
