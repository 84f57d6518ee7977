//! Converts a page of the guide to a manual page: from Markdown, as far as the guide uses it, to roff.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use roff::{Inline, Roff, bold, roman};

/// Appends a page without its title.
pub(super) fn append(roff: &mut Roff, markdown: &str) {
    let mut writer = Writer {
        roff,
        line: Vec::new(),
        font: roman,
        columns: Vec::new(),
        cells: Vec::new(),
        after_heading: false,
    };
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        writer.take(event);
    }
}

struct Writer<'a> {
    roff: &'a mut Roff,
    /// The text since the last paragraph, item or cell.
    line: Vec<Inline>,
    font: fn(String) -> Inline,
    /// The column headings of the table.
    columns: Vec<String>,
    /// The cells of the current row so far.
    cells: Vec<Vec<Inline>>,
    /// Whether the last block was a heading, which begins a paragraph by itself.
    after_heading: bool,
}

impl Writer<'_> {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.line.push((self.font)(text.into_string())),
            Event::Code(code) => self.line.push(bold(code.into_string())),
            Event::SoftBreak | Event::HardBreak => self.line.push(roman(" ")),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Paragraph => self.control("PP", &[]),
            Tag::Item => self.control("IP", &["\\(bu", "2"]),
            Tag::CodeBlock(_) => {
                self.control("PP", &[]);
                self.control("RS", &["4"]);
                self.control("nf", &[]);
            }
            Tag::Strong => self.font = bold,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => self.heading(level),
            TagEnd::Paragraph | TagEnd::Item => self.flush(),
            TagEnd::CodeBlock => {
                let code = plain(&std::mem::take(&mut self.line));
                self.roff.text([roman(code.trim_end())]);
                self.control("fi", &[]);
                self.control("RE", &[]);
            }
            TagEnd::Strong => self.font = roman,
            TagEnd::TableCell => self.cells.push(std::mem::take(&mut self.line)),
            TagEnd::TableHead => {
                self.columns = self.cells.drain(..).map(|cell| plain(&cell)).collect();
            }
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        let title = plain(&std::mem::take(&mut self.line));
        match level {
            HeadingLevel::H1 => self.control("SH", &["DESCRIPTION"]),
            HeadingLevel::H2 if title.starts_with('[') => self.control("SH", &[&title]),
            HeadingLevel::H2 => self.control("SH", &[&title.to_uppercase()]),
            _ => self.control("SS", &[&title]),
        }
    }

    /// Writes a row as a list entry: the first cell, the second indented, the rest with their column headings.
    fn row(&mut self) {
        let mut cells = std::mem::take(&mut self.cells).into_iter();
        self.control("TP", &[]);
        for cell in cells.by_ref().take(2) {
            self.roff.text(cell);
        }
        for (column, mut cell) in self.columns.iter().skip(2).zip(cells) {
            if !cell.is_empty() {
                cell.insert(0, roman(format!("{column}: ")));
                self.roff.control("br", []).text(cell);
            }
        }
    }

    fn flush(&mut self) {
        if !self.line.is_empty() {
            self.roff.text(std::mem::take(&mut self.line));
        }
    }

    fn control(&mut self, name: &str, words: &[&str]) {
        if name != "PP" || !self.after_heading {
            self.roff.control(name, words.iter().copied());
        }
        self.after_heading = matches!(name, "SH" | "SS");
    }
}

/// The text without font changes.
fn plain(line: &[Inline]) -> String {
    let text = |part: &Inline| match part {
        Inline::Roman(text) | Inline::Italic(text) | Inline::Bold(text) => text.clone(),
        Inline::LineBreak => String::new(),
    };
    line.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(markdown: &str) -> String {
        let mut roff = Roff::new();
        append(&mut roff, markdown);
        roff.to_roff()
    }

    #[test]
    fn each_element_has_its_macro() {
        for (markdown, page) in [
            ("# Title", ".SH DESCRIPTION\n"),
            ("## Two words", ".SH \"TWO WORDS\"\n"),
            ("## `[[listen]]`", ".SH [[listen]]\n"),
            ("### Lists\n\nA list", ".SS Lists\nA list\n"),
            ("one\ntwo `co-de` **all**", ".PP\none two \\fBco\\-de\\fR \\fBall\\fR\n"),
            (".dot", ".PP\n\\&.dot\n"),
            ("- one\n- two", ".IP \\(bu 2\none\n.IP \\(bu 2\ntwo\n"),
            ("```toml\na = 1\n.b\n```", ".PP\n.RS 4\n.nf\na = 1\n\\&.b\n.fi\n.RE\n"),
            (
                "|key|value|default|\n|---|---|---|\n|`a`|a number|1|\n|`b`|text||",
                ".TP\n\\fBa\\fR\na number\n.br\ndefault: 1\n.TP\n\\fBb\\fR\ntext\n",
            ),
        ] {
            assert_eq!(self::page(markdown), page, "{markdown}");
        }
    }
}
