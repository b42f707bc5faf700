//! What the window shows, and what each key changes. This module does no input or output.

use std::collections::VecDeque;

use super::input::Input;
use super::keyboard::Key;
use crate::text::{fit, harmless, row_starts, text_width, wrap};

/// The most lines that the output keeps, and the most bytes of a line, its newline included. A
/// longer line is cut. Together that is 41 MB at most.
const MAX_LINES: usize = 10_000;
const MAX_LINE: usize = 4096;

/// How many texts may wait for the handler.
pub const MAX_UNHANDLED: usize = 100;

/// The smallest window, in columns and rows.
const SMALLEST: (usize, usize) = (20, 6);

/// How many rows one notch of the wheel scrolls.
const NOTCH: usize = 3;

/// Begins each row of the output that continues a line. Without the indent, a text with enough
/// spaces in it could continue at the left margin, where it looks like another line.
const INDENT: &str = "  ";

const BUTTON: &str = " 发送 Send ";
/// White on number 33 of the 256 colours, the nearest to the tutorial's `DodgerBlue`.
const BLUE: &str = "\x1b[97;48;5;33m";
const REVERSE: &str = "\x1b[7m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[m";

/// What the user wants from the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The user sends this text. It ends with a newline, as the text of a tkinter `Text` does.
    Send(String),
    /// The user closes the window: tkinter's `WM_DELETE_WINDOW`. The window stays until it is
    /// destroyed, so the program can finish its work. This event comes only once.
    Close,
}

/// A line of the output, and a row of that line when it is wrapped.
type RowPosition = (usize, usize);

/// What the window shows.
#[derive(Debug, Default)]
pub struct Screen {
    /// How often the user has closed the window. Twice means: close at once.
    pub close_requests: usize,
    /// How many events the handler has not finished.
    pub unhandled: usize,
    title: String,
    /// The output, line by line, each with its newline.
    lines: VecDeque<String>,
    /// The first row that the output shows. `None` if the output follows its end.
    top: Option<RowPosition>,
    input: Input,
    /// The size, in columns and rows.
    size: (usize, usize),
}

impl Screen {
    /// Changes the title.
    pub fn title(&mut self, title: &str) {
        self.title = title.chars().map(harmless).collect();
    }

    /// Changes the size, in columns and rows. Returns whether it is a new one.
    pub fn resize(&mut self, size: (usize, usize)) -> bool {
        if self.size == size {
            return false;
        }
        self.size = size;
        if let Some((line, _)) = self.top {
            // The line that is being read has other rows now. It is shown from its beginning.
            self.scroll((line, 0));
        }
        true
    }

    /// Adds text to the output. It must be [`harmless`].
    pub fn insert(&mut self, text: &str) {
        for c in text.chars() {
            let full = |line: &String| {
                line.ends_with('\n') || c != '\n' && line.len() + c.len_utf8() >= MAX_LINE
            };
            if self.lines.back().is_none_or(full) {
                if self.lines.len() == MAX_LINES {
                    self.lines.pop_front();
                    let above = |(line, row)| if line > 0 { (line - 1, row) } else { (0, 0) };
                    self.top = self.top.map(above);
                }
                let cut = self.lines.back().is_some_and(|line| !line.ends_with('\n'));
                let beginning = if cut { INDENT } else { "" };
                self.lines.push_back(beginning.to_owned());
            }
            self.lines.back_mut().expect("there is a line").push(c);
        }
    }

    /// Does what the key is for. Returns the event that the key causes, if any.
    pub fn press(&mut self, key: Key) -> Option<Event> {
        match key {
            Key::Enter => return self.send(),
            Key::Click(column, row) if self.is_on_button(column, row) => return self.send(),
            Key::CtrlC => return self.close(),
            Key::CtrlD if self.input.text().is_empty() && self.close_requests == 0 => {
                return self.close();
            }
            Key::Click(..) | Key::CtrlD => {}
            Key::Char(c) => self.input.insert(c),
            Key::Backspace => self.input.backspace(),
            Key::Delete => self.input.delete(),
            Key::CtrlU => self.input.clear(),
            Key::Left => self.input.left(),
            Key::Right => self.input.right(),
            Key::Home => self.input.home(),
            Key::End => self.input.end(),
            Key::Up => self.input.older(),
            Key::Down => self.input.newer(),
            Key::PageUp => self.scroll(self.above(self.top(), self.output_rows())),
            Key::PageDown => self.scroll(self.below(self.top(), self.output_rows())),
            Key::WheelUp => self.scroll(self.above(self.top(), NOTCH)),
            Key::WheelDown => self.scroll(self.below(self.top(), NOTCH)),
        }
        None
    }

    /// Notes that the handler has finished an event. In line mode no events are counted.
    pub fn handled(&mut self) {
        self.unhandled = self.unhandled.saturating_sub(1);
    }

    /// Sends the input. It stays in the input if too many texts wait for the handler, or if the
    /// window is closing.
    fn send(&mut self) -> Option<Event> {
        let can_send = self.close_requests == 0 && self.unhandled < MAX_UNHANDLED;
        if !can_send || self.input.text().is_empty() {
            return None;
        }
        self.unhandled += 1;
        self.top = None;
        Some(Event::Send(self.input.take() + "\n"))
    }

    fn close(&mut self) -> Option<Event> {
        self.close_requests += 1;
        if self.close_requests > 1 {
            return None;
        }
        self.unhandled += 1;
        Some(Event::Close)
    }

    /// The columns and rows of a click are counted from 1.
    fn is_on_button(&self, column: usize, row: usize) -> bool {
        let (width, height) = self.size;
        row == height && column > width.saturating_sub(text_width(BUTTON))
    }

    fn scroll(&mut self, top: RowPosition) {
        self.top = (top < self.bottom()).then_some(top);
    }

    fn top(&self) -> RowPosition {
        let bottom = self.bottom();
        self.top.map_or(bottom, |top| top.min(bottom))
    }

    /// The first row to show, if the last row of the pane shows the end of the output.
    fn bottom(&self) -> RowPosition {
        self.above((self.lines.len(), 0), self.output_rows())
    }

    /// The position `rows` rows above another one, or the beginning of the output.
    fn above(&self, (mut line, mut row): RowPosition, rows: usize) -> RowPosition {
        while row < rows && line > 0 {
            line -= 1;
            row += self.rows(line).len();
        }
        (line, row.saturating_sub(rows))
    }

    fn below(&self, (mut line, mut row): RowPosition, rows: usize) -> RowPosition {
        row += rows;
        while line < self.lines.len() && row >= self.rows(line).len() {
            row -= self.rows(line).len();
            line += 1;
        }
        (line, row)
    }

    fn rows(&self, line: usize) -> Vec<String> {
        let line = self.lines[line].trim_end_matches('\n');
        wrap(line, self.size.0.max(SMALLEST.0), INDENT)
    }

    /// The tutorial's input has 6 rows. On a low screen it has fewer.
    fn input_rows(&self) -> usize {
        (self.size.1 / 4).clamp(2, 6)
    }

    /// How many rows remain for the output.
    fn output_rows(&self) -> usize {
        self.size.1.saturating_sub(self.input_rows() + 3).max(1)
    }

    /// The rows of the screen, and the column and the row of the cursor. The first is 0.
    #[must_use]
    pub fn draw(&self) -> (Vec<String>, (usize, usize)) {
        let (width, height) = self.size;
        if width < SMALLEST.0 || height < SMALLEST.1 {
            let (columns, rows) = SMALLEST;
            let message = format!("too small:\n{columns}x{rows} needed");
            let mut lines = wrap(&message, width.max(1), "");
            lines.resize(height, String::new());
            return (lines, (0, 0));
        }
        let title = fit(&self.title, width, "");
        let free = width - text_width(&title);
        let (left, right) = (" ".repeat(free / 2), " ".repeat(free.div_ceil(2)));
        let mut lines = vec![format!("{REVERSE}{left}{title}{right}{PLAIN}")];

        let (line, row) = self.top();
        let rows = (line..self.lines.len()).flat_map(|line| self.rows(line));
        lines.extend(rows.skip(row).take(self.output_rows()));
        lines.resize(1 + self.output_rows(), String::new());
        lines.push(format!("{DIM}{}{PLAIN}", "─".repeat(width)));

        let (rows, (column, row)) = self.draw_input(width);
        let cursor = (column, lines.len() + row);
        lines.extend(rows);
        lines.resize(height - 1, String::new());

        let room = width - text_width(BUTTON);
        let hint = Some(self.hint()).filter(|hint| hint.len() < room);
        let hint = hint.unwrap_or_default();
        lines.push(format!("{DIM}{hint:room$}{PLAIN}{BLUE}{BUTTON}{PLAIN}"));
        (lines, cursor)
    }

    /// The rows of the input that fit, and where the cursor is in them. The text leaves the last
    /// column free: the cursor stands there after a full row.
    fn draw_input(&self, width: usize) -> (Vec<String>, (usize, usize)) {
        let (text, cursor) = (self.input.text(), self.input.cursor());
        let starts = row_starts(text, width - 1, "");
        let row = starts.partition_point(|&start| start <= cursor) - 1;
        // Spaces beyond the edge are not shown. The cursor waits at the edge.
        let column = text_width(&text[starts[row]..cursor]).min(width - 1);
        let top = row.min(starts.len().saturating_sub(self.input_rows()));
        let shown = (top..starts.len()).take(self.input_rows()).map(|row| {
            let end = starts.get(row + 1).copied().unwrap_or(text.len());
            fit(&text[starts[row]..end], width - 1, "")
        });
        (shown.collect(), (column, row - top))
    }

    fn hint(&self) -> &'static str {
        if self.close_requests > 0 {
            "closing; Ctrl-C ends it now"
        } else if self.unhandled >= MAX_UNHANDLED && !self.input.text().is_empty() {
            "still sending"
        } else if self.input.is_full() {
            "the input is full"
        } else if self.top.is_some() {
            "PgDn: there is more below"
        } else {
            "Enter sends, Ctrl-C closes"
        }
    }
}
