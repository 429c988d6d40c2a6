//! What wallets answer, read in the forms that they give it in.

use alloy_primitives::Address;
use wasm_bindgen::prelude::*;

/// The account that an event or an answer names, in whatever case.
#[must_use]
pub fn address(account: &JsValue) -> Option<Address> {
    address_text(&account.as_string()?)
}

fn address_text(text: &str) -> Option<Address> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.len() == 40 { digits.parse().ok() } else { None }
}

/// A chain id: a number, a bigint, hex digits with or without leading zeros, or decimal ones.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value is a whole number in range")]
pub fn chain_id(value: &JsValue) -> Option<u64> {
    if let Some(number) = value.as_f64() {
        let whole = number.fract() == 0.0 && (1.0..=9_007_199_254_740_991.0).contains(&number);
        return whole.then_some(number as u64);
    }
    match value.dyn_ref::<js_sys::BigInt>().filter(|_| value.is_bigint()) {
        Some(big) => chain_id_text(&String::from(big.to_string(10).ok()?)),
        None => chain_id_text(&value.as_string()?),
    }
}

fn chain_id_text(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // `from_str_radix` takes a sign, too.
    let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u64::from_str_radix(digits, radix).ok().filter(|id| plain && *id > 0)
}

/// Whether there is code, if the answer is one.
#[must_use]
pub fn has_code(answer: &str) -> Option<bool> {
    let digits = answer.strip_prefix("0x").or_else(|| answer.strip_prefix("0X"))?;
    let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| digits.bytes().any(|digit| digit != b'0'))
}

/// The hash of a transaction.
#[must_use]
pub fn hash(answer: &JsValue) -> Option<String> {
    let text = answer.as_string()?;
    let digits = text.strip_prefix("0x")?;
    (digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(text)
}

/// A signature's bytes as the wallet gave them: what they mean is its account's affair. Some leave `0x` out.
#[must_use]
pub fn signature(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    alloy_primitives::hex::decode(digits).ok().filter(|bytes| !bytes.is_empty())
}

/// A key's signature as 65 bytes with v of 27 or 28: wallets give v as 0 or 1, or fold it into s (EIP-2098). No contract's:
/// one that takes 64 bytes, as of a passkey, or another last byte, takes these for something else.
#[must_use]
pub fn of_key(given: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = given.to_vec();
    if bytes.len() == 64 {
        let folded = bytes.get_mut(32)?;
        let v = if *folded >> 7 == 0 { 27 } else { 28 };
        *folded &= 0x7f;
        bytes.push(v);
    }
    if bytes.len() == 65
        && let Some(v @ (0 | 1)) = bytes.last_mut()
    {
        *v = if *v == 0 { 27 } else { 28 };
    }
    (bytes.len() == 65).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_come_in_many_forms() {
        for text in ["0x7a69", "0X7A69", "0x00007a69", "31337", " 31337 "] {
            assert_eq!(chain_id_text(text), Some(31_337), "{text}");
        }
        for text in ["", "0x", "0", "0x0", "-1", "+1", "0x+1", "1.5", "7a69", "mainnet", "0x1ffffffffffffffff"] {
            assert_eq!(chain_id_text(text), None, "{text}");
        }
    }

    #[test]
    fn accounts_come_in_any_case() {
        let wanted = address_text("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert!(wanted.is_some());
        for text in [
            "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            "0XF39FD6E51AAD88F6F4CE6AB8827279CFFFB92266",
            " 0xF39FD6E51AAD88F6F4CE6AB8827279CFFFB92266",
        ] {
            assert_eq!(address_text(text), wanted, "{text}");
        }
        for text in ["", "0x", "f39fd6e51aad88f6f4ce6ab8827279cfffb92266", "0xf39fd6e51aad88f6f4ce6ab8827279cfffb9226"]
        {
            assert_eq!(address_text(text), None, "{text}");
        }
    }

    #[test]
    fn signatures_of_every_form_are_one() {
        let (r, s) = ("11".repeat(32), format!("22{}", "33".repeat(31)));
        let key = |text: &str| of_key(&signature(text)?);
        let wanted = key(&format!("0x{r}{s}1c"));
        assert_eq!(wanted.as_ref().map(Vec::len), Some(65));
        for text in [
            format!("0x{r}{s}01"),
            format!("{r}{s}1c"),
            format!("0X{r}{s}1C"),
            // EIP-2098: the parity is the highest bit of s.
            format!("0x{r}a2{}", "33".repeat(31)),
        ] {
            assert_eq!(key(&text), wanted, "{text}");
        }
        assert_eq!(key(&format!("0x{r}{s}00")), key(&format!("0x{r}{s}1b")));
        assert_eq!(key(&format!("0x{r}{s}1c1c")), None);
        assert_eq!(signature("0x"), None);
        assert_eq!(signature("no"), None);
        // A contract's is what it is.
        assert_eq!(signature(&format!("0x{r}a2{}", "33".repeat(31))).map(|bytes| bytes.len()), Some(64));
    }

    #[test]
    fn no_code_is_told_from_no_answer() {
        assert!(["0x", "0x0", "0x00"].into_iter().all(|code| has_code(code) == Some(false)));
        assert_eq!(has_code("0x6080"), Some(true));
        assert!(["", "null", "0xzz"].into_iter().all(|code| has_code(code).is_none()));
    }
}
