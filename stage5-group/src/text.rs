//! Text from the network, made fit for a screen: whole characters, and none that give orders.

/// The character itself, or `�` (U+FFFD) in place of one that would command the terminal instead
/// of being shown.
///
/// Replaced are the control characters C0 (but newline and tab), DEL and C1 of ISO 6429, the line
/// and paragraph separators, and the bidirectional marks, embeddings, overrides and isolates of
/// Unicode Annex #9, with which one line can be made to read as another.
#[must_use]
pub fn harmless(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        _ if c.is_control() => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

/// Takes the text out of `bytes`, harmless, and leaves there only a last character that is not
/// whole yet: 3 bytes at the most. What is not UTF-8 becomes `�`.
#[must_use]
pub fn take_text(bytes: &mut Vec<u8>) -> String {
    let mut whole = bytes.len();
    if let Some(last) = bytes.utf8_chunks().last()
        && let Err(error) = std::str::from_utf8(last.invalid())
        && error.error_len().is_none()
    {
        whole -= last.invalid().len();
    }
    let text = String::from_utf8_lossy(&bytes[..whole]);
    let text = text.chars().map(harmless).collect();
    bytes.drain(..whole);
    text
}
