//! Text from the network, made safe to show: whole characters, no terminal commands, and rows that
//! fit the screen.

/// Returns the character, or `�` (U+FFFD) if a terminal would obey it instead of showing it.
///
/// It replaces the control characters C0 (except newline and tab), DEL and C1 of ISO 6429, the line
/// and paragraph separators, and the bidirectional marks, embeddings, overrides and isolates of
/// Unicode Annex #9. With those, a sender could make one line look like another.
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

/// Removes the text from `bytes` and returns it, made [`harmless`]. Bytes that are not UTF-8 become
/// `�`. If the last character is incomplete, its bytes stay: at most 3.
#[must_use]
pub fn drain_text(bytes: &mut Vec<u8>) -> String {
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

/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// The ranges of characters that take two columns: the first character of each range, then the
/// first character after it. These are Wide and Fullwidth in Unicode Annex #11, which include the
/// emoji that terminals show as pictures. Unassigned characters between two wide ones count as
/// wide.
#[rustfmt::skip]
const WIDE: [u32; 162] = [
    0x1100, 0x1160, 0x231A, 0x231C, 0x2329, 0x232B, 0x23E9, 0x23ED, 0x23F0, 0x23F1, 0x23F3, 0x23F4,
    0x25FD, 0x25FF, 0x2614, 0x2616, 0x2648, 0x2654, 0x267F, 0x2680, 0x2693, 0x2694, 0x26A1, 0x26A2,
    0x26AA, 0x26AC, 0x26BD, 0x26BF, 0x26C4, 0x26C6, 0x26CE, 0x26CF, 0x26D4, 0x26D5, 0x26EA, 0x26EB,
    0x26F2, 0x26F4, 0x26F5, 0x26F6, 0x26FA, 0x26FB, 0x26FD, 0x26FE, 0x2705, 0x2706, 0x270A, 0x270C,
    0x2728, 0x2729, 0x274C, 0x274D, 0x274E, 0x274F, 0x2753, 0x2756, 0x2757, 0x2758, 0x2795, 0x2798,
    0x27B0, 0x27B1, 0x27BF, 0x27C0, 0x2B1B, 0x2B1D, 0x2B50, 0x2B51, 0x2B55, 0x2B56, 0x2E80, 0x303F,
    0x3041, 0x3248, 0x3250, 0x4DC0, 0x4E00, 0xA4C7, 0xA960, 0xA97D, 0xAC00, 0xD7A4, 0xF900, 0xFB00,
    0xFE10, 0xFE1A, 0xFE30, 0xFE6C, 0xFF01, 0xFF61, 0xFFE0, 0xFFE7, 0x16FE0, 0x1B2FC,
    0x1F004, 0x1F005, 0x1F0CF, 0x1F0D0, 0x1F18E, 0x1F18F, 0x1F191, 0x1F19B, 0x1F200, 0x1F321,
    0x1F32D, 0x1F336, 0x1F337, 0x1F37D, 0x1F37E, 0x1F394, 0x1F3A0, 0x1F3CB, 0x1F3CF, 0x1F3D4,
    0x1F3E0, 0x1F3F1, 0x1F3F4, 0x1F3F5, 0x1F3F8, 0x1F43F, 0x1F440, 0x1F441, 0x1F442, 0x1F4FD,
    0x1F4FF, 0x1F53E, 0x1F54B, 0x1F54F, 0x1F550, 0x1F568, 0x1F57A, 0x1F57B, 0x1F595, 0x1F597,
    0x1F5A4, 0x1F5A5, 0x1F5FB, 0x1F650, 0x1F680, 0x1F6C6, 0x1F6CC, 0x1F6CD, 0x1F6D0, 0x1F6D3,
    0x1F6D5, 0x1F6E0, 0x1F6EB, 0x1F6ED, 0x1F6F4, 0x1F6FD, 0x1F7E0, 0x1F7F1, 0x1F90C, 0x1F93B,
    0x1F93C, 0x1F946, 0x1F947, 0x1FA00, 0x1FA70, 0x1FB00, 0x20000, 0x3FFFE,
];

/// The ranges of characters that take no column: combining marks (categories Mn and Me), joiners,
/// variation selectors, and the vowels and finals that complete a Hangul syllable. Of the scripts of
/// South and South-East Asia, the table covers Devanagari, Bengali, Tamil, Thai and Lao.
#[rustfmt::skip]
const ZERO: [u32; 98] = [
    0x300, 0x370, 0x483, 0x48A, 0x591, 0x5BE, 0x5BF, 0x5C0, 0x5C1, 0x5C3, 0x5C4, 0x5C6, 0x5C7, 0x5C8,
    0x610, 0x61B, 0x64B, 0x660, 0x670, 0x671, 0x6D6, 0x6DD, 0x6DF, 0x6E5, 0x6E7, 0x6E9, 0x6EA, 0x6EE,
    0x900, 0x903, 0x93A, 0x93B, 0x93C, 0x93D, 0x941, 0x949, 0x94D, 0x94E, 0x951, 0x958, 0x962, 0x964,
    0x981, 0x982, 0x9BC, 0x9BD, 0x9C1, 0x9C5, 0x9CD, 0x9CE, 0x9E2, 0x9E4, 0xB82, 0xB83, 0xBC0, 0xBC1,
    0xBCD, 0xBCE, 0xE31, 0xE32, 0xE34, 0xE3B, 0xE47, 0xE4F, 0xEB1, 0xEB2, 0xEB4, 0xEBD, 0xEC8, 0xECE,
    0x1160, 0x1200, 0x1AB0, 0x1B00, 0x1DC0, 0x1E00, 0x200B, 0x200E, 0x2060, 0x2065, 0x20D0, 0x20F1,
    0x302A, 0x302E, 0x3099, 0x309B, 0xFE00, 0xFE10, 0xFE20, 0xFE30, 0xFEFF, 0xFF00,
    0xE0001, 0xE0002, 0xE0020, 0xE0080, 0xE0100, 0xE01F0,
];

/// How many columns of a terminal the character takes.
///
/// If a terminal uses another width, the character moves within its row, but never to another row.
#[must_use]
pub fn char_width(c: char) -> usize {
    let within = |edges: &[u32]| edges.partition_point(|&edge| edge <= u32::from(c)) % 2 == 1;
    match c {
        ' '..='\u{2FF}' => 1,
        _ if within(&ZERO) => 0,
        _ if within(&WIDE) => 2,
        _ => 1,
    }
}

/// How many columns the text takes. A tab extends to the next tab stop.
#[must_use]
pub fn text_width(text: &str) -> usize {
    text.chars().fold(0, column_after)
}

/// The column after a character that starts in this column.
fn column_after(column: usize, c: char) -> usize {
    match c {
        '\n' => column,
        '\t' => (column / TAB + 1) * TAB,
        _ => column + char_width(c),
    }
}

/// Lays text out in rows of at most `width` columns. A row that continues a line starts with
/// `indent`, which must leave room for two columns.
///
/// [`row_starts`] says where rows end. Spaces beyond the edge are not shown.
#[must_use]
pub fn wrap(text: &str, width: usize, indent: &str) -> Vec<String> {
    let starts = row_starts(text, width, indent);
    let ends = starts.iter().copied().skip(1).chain([text.len()]);
    let rows = starts.iter().zip(ends);
    let rows =
        rows.map(|(&start, end)| fit(&text[start..end], width, indent_at(text, start, indent)));
    rows.collect()
}

/// The indent, and after it the part of the text's first line that fits, with spaces for tabs.
#[must_use]
pub fn fit(text: &str, width: usize, indent: &str) -> String {
    let mut row = indent.to_owned();
    let mut column = text_width(indent);
    for c in text.chars().take_while(|&c| c != '\n') {
        let next = column_after(column, c);
        if next > width {
            break;
        }
        match c {
            '\t' => row.extend(std::iter::repeat_n(' ', next - column)),
            _ => row.push(c),
        }
        column = next;
    }
    row
}

/// Where each row of the text begins, in bytes, when it is laid out by [`wrap`].
///
/// A row ends after a newline, between two words, or before or after a wide character: Chinese text
/// has no spaces. Within a word it ends only if the word is longer than a row. Spaces never begin a
/// row that continues a line: those that do not fit stay at the end of the row before, beyond the
/// edge, as in a browser.
#[must_use]
pub fn row_starts(text: &str, width: usize, indent: &str) -> Vec<usize> {
    let mut starts = vec![0];
    let mut start = 0;
    while start < text.len() {
        let column = text_width(indent_at(text, start, indent));
        let end = start + first_row(&text[start..], column, width);
        if end < text.len() || text.ends_with('\n') {
            starts.push(end);
        }
        start = end;
    }
    starts
}

/// The indent of the row that begins here: none at the beginning of a line.
fn indent_at<'a>(text: &str, start: usize, indent: &'a str) -> &'a str {
    let begins_line = start == 0 || text[..start].ends_with('\n');
    if begins_line { "" } else { indent }
}

/// How many bytes of the text fit into its first row, which starts in this column.
fn first_row(text: &str, mut column: usize, width: usize) -> usize {
    // The last place where the row may end, and whether it may end before the next character.
    let (mut may_end, mut may_end_here) = (None, false);
    for (index, c) in text.char_indices() {
        if c == '\n' {
            return index + 1;
        }
        let is_space = matches!(c, ' ' | '\t');
        let columns = char_width(c);
        // A combining mark stays with the character before it.
        if columns > 0 {
            if !is_space && (may_end_here || columns == 2) && index > 0 {
                may_end = Some(index);
            }
            may_end_here = is_space || columns == 2;
        }
        column = column_after(column, c);
        if column > width && !is_space && index > 0 {
            return may_end.unwrap_or(index);
        }
    }
    text.len()
}
