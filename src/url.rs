//! What may be said of a URL, and how one is found in what others say.

/// The scheme and host of a URL. Its path, its query and what is before an `@` may be secrets.
#[must_use]
pub fn origin(url: &str) -> String {
    let start = url.as_bytes().windows(3).position(|part| part == b"://").map_or(0, |at| at.saturating_add(3));
    let (scheme, rest) = url.split_at_checked(start).unwrap_or(("", url));
    let end = rest.bytes().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len());
    let host = rest.get(..end).unwrap_or_default();
    let secret = host.bytes().rposition(|byte| byte == b'@').map_or(0, |at| at.saturating_add(1));
    format!("{scheme}{}", host.get(secret..).unwrap_or_default())
}

/// Whether a text may have a URL in it, and so a key.
#[must_use]
pub fn has_url(text: &str) -> bool {
    any(text, &["://"])
}

/// What others say, with no more of the URLs in it than their origins.
#[must_use]
pub fn only_origins(text: &str) -> String {
    let mut told = String::new();
    let mut rest = text;
    while let Some(at) = rest.as_bytes().windows(3).position(|part| part == b"://") {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        // In JSON what comes next may be escaped.
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`' | '\\');
        let end = from.char_indices().find(|(_, c)| ends(*c)).map_or(from.len(), |(at, _)| at);
        let (url, after) = from.split_at_checked(end).unwrap_or((from, ""));
        told.push_str(before);
        told.push_str(&origin(url));
        rest = after;
    }
    told.push_str(rest);
    told
}

/// Shorter parts of a URL are no secrets: `v2`, `rpc`.
const LEAST_SECRET: usize = 8;

/// A text without the parts of this URL, beside its origin, that may be a key.
#[must_use]
pub fn without_secrets(text: &str, url: &str) -> String {
    let origin = origin(url);
    let parts = url.split(['/', '?', '&', '=', '#', '@', ':', '\\']);
    // Others may have written what is encoded in it in another way.
    let pieces = parts.flat_map(|part| {
        let encoded = part.split('%').skip(1).map(|piece| piece.get(2..).unwrap_or_default());
        [part, part.split('%').next().unwrap_or_default()].into_iter().chain(encoded)
    });
    let secrets = pieces.filter(|piece| piece.len() >= LEAST_SECRET && !any(&origin, &[*piece]));
    secrets.fold(text.to_owned(), |mut said, secret| {
        while let Some(at) = place(&said, secret) {
            let (before, after) = (said.get(..at), said.get(at.saturating_add(secret.len())..));
            said = format!("{}…{}", before.unwrap_or_default(), after.unwrap_or_default());
        }
        said
    })
}

/// Where a word is in a text, in whatever case.
fn place(text: &str, word: &str) -> Option<usize> {
    text.as_bytes().windows(word.len()).position(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// `str::contains` would bring its search for long needles along.
pub(crate) fn any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.as_bytes().windows(word.len()).any(|part| part == word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_url_is_told_but_its_origin() {
        assert_eq!(origin("https://rpc.example/v3/SECRET"), "https://rpc.example");
        assert_eq!(origin("https://user:SECRET@rpc.example:8545?key=SECRET"), "https://rpc.example:8545");
        assert_eq!(origin("http://127.0.0.1:8545"), "http://127.0.0.1:8545");
        assert_eq!(origin("https://rpc.example#SECRET@x"), "https://rpc.example");
    }

    #[test]
    fn of_the_urls_in_a_text_only_origins_are_left() {
        for (said, told) in [
            ("no URL: a/b?c@d", "no URL: a/b?c@d"),
            ("URL: https://rpc.example/v3/KEY\nStatus: 401", "URL: https://rpc.example\nStatus: 401"),
            (
                "{\"url\":\"https://u:KEY@rpc.example:1/KEY?k=KEY\",\"n\":1}",
                "{\"url\":\"https://rpc.example:1\",\"n\":1}",
            ),
            ("\"{\\\"url\\\":\\\"https://a/KEY\\\"}\"", "\"{\\\"url\\\":\\\"https://a\\\"}\""),
            ("ws://a?KEY and wss://b/KEY", "ws://a and wss://b"),
            ("://KEY@", "://"),
            ("://", "://"),
        ] {
            assert_eq!(only_origins(said), told);
            assert_eq!(only_origins(told), told);
        }
    }

    #[test]
    fn a_key_in_a_url_is_not_repeated() {
        let url = "https://user:passwordlong@rpc.example.org/v3/0123456789abcdef?key=fedc%2Bba9876543210";
        let clean = |text: &str| without_secrets(text, url);
        assert_eq!(clean("invalid project id 0123456789ABCDEF"), "invalid project id …");
        assert_eq!(
            clean("https%3A%2F%2Frpc.example.org%2Fv3%2F0123456789abcdef"),
            "https%3A%2F%2Frpc.example.org%2Fv3%2F…"
        );
        assert_eq!(clean("fedc%2Bba9876543210, fedc+ba9876543210"), "…, fedc+…");
        assert_eq!(clean("é passwordlongé passwordlong"), "é …é …");
        assert_eq!(clean("rpc.example.org: see v3"), "rpc.example.org: see v3");
        assert_eq!(without_secrets("busy", "http://127.0.0.1:8545"), "busy");
    }
}
