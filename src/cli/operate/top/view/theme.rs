//! The appearance: with colours or without, in Unicode or in ASCII. No meaning depends on colour alone.

use std::env;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::{bar, border};

/// The styles and symbols.
#[derive(Clone, Debug)]
pub(in super::super) struct Theme {
    palette: Palette,
    characters: Characters,
    pub(super) bars: bar::Set<'static>,
    pub(super) border: border::Set<'static>,
    pub(super) ascending: &'static str,
    pub(super) descending: &'static str,
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Palette {
    Colours,
    Plain,
}

/// Which characters the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Characters {
    Unicode,
    Ascii,
}

impl Theme {
    pub(in super::super) fn new(palette: Palette, characters: Characters) -> Self {
        match characters {
            Characters::Unicode => Self {
                palette,
                characters,
                bars: bar::NINE_LEVELS,
                border: border::PLAIN,
                ascending: "▲",
                descending: "▼",
            },
            Characters::Ascii => Self {
                palette,
                characters,
                bars: BARS,
                border: BORDER,
                ascending: " ^",
                descending: " v",
            },
        }
    }

    /// The theme for `NO_COLOR` and the locale.
    pub(in super::super) fn from_environment() -> Self {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let palette = if set("NO_COLOR").is_some() { Palette::Plain } else { Palette::Colours };
        let language = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        Self::new(palette, characters(language.as_deref()))
    }

    /// Replaces everything that the terminal cannot show, whether it is drawn here or comes from outside.
    pub(super) fn reduce(&self, buffer: &mut Buffer) {
        if self.characters == Characters::Unicode {
            return;
        }
        for cell in buffer.content.iter_mut().filter(|cell| !cell.symbol().is_ascii()) {
            cell.set_symbol(if cell.symbol() == "…" { "~" } else { "?" });
        }
    }

    fn with(&self, colour: Color, otherwise: Modifier) -> Style {
        match self.palette {
            Palette::Colours => Style::new().fg(colour),
            Palette::Plain => Style::new().add_modifier(otherwise),
        }
    }

    /// The style of titles.
    pub(super) fn title() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn heading(&self) -> Style {
        self.with(Color::Cyan, Modifier::UNDERLINED)
    }

    pub(super) fn marked() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The style of secondary text.
    pub(super) fn aside(&self) -> Style {
        self.with(Color::DarkGray, Modifier::empty())
    }

    pub(super) fn wrong(&self) -> Style {
        self.with(Color::Red, Modifier::BOLD).add_modifier(Modifier::BOLD)
    }

    /// The style of a state, by its name.
    pub(super) fn state(&self, word: &str) -> Style {
        match word {
            "ready" | "listening" => self.with(Color::Green, Modifier::empty()),
            "relaying" => Style::new(),
            "down" | "refused" | "gone" | "forbidden" | "silent" | "stuck" => self.wrong(),
            _ => self.with(Color::Yellow, Modifier::empty()),
        }
    }

    /// The style of traffic to clients.
    pub(super) fn down(&self) -> Style {
        self.with(Color::Green, Modifier::empty())
    }

    /// The style of traffic from clients.
    pub(super) fn up(&self) -> Style {
        self.with(Color::Blue, Modifier::empty())
    }

    pub(super) fn trip(&self) -> Style {
        self.with(Color::Magenta, Modifier::empty())
    }
}

/// The characters that a terminal with this locale shows. If there is none (ssh does not always pass it
/// on), a modern terminal is assumed.
fn characters(language: Option<&str>) -> Characters {
    let is_utf8 = |language: &str| {
        let language = language.to_ascii_lowercase();
        language.contains("utf-8") || language.contains("utf8")
    };
    if language.is_none_or(is_utf8) { Characters::Unicode } else { Characters::Ascii }
}

const BARS: bar::Set<'static> = bar::Set {
    empty: " ",
    one_eighth: "_",
    one_quarter: ".",
    three_eighths: "-",
    half: "=",
    five_eighths: "+",
    three_quarters: "*",
    seven_eighths: "%",
    full: "#",
};

const BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_determines_the_characters() {
        for (language, found) in [
            (None, Characters::Unicode),
            (Some("de_DE.UTF-8"), Characters::Unicode),
            (Some("C.utf8"), Characters::Unicode),
            (Some("C"), Characters::Ascii),
            (Some("de_DE@euro"), Characters::Ascii),
        ] {
            assert_eq!(characters(language), found, "{language:?}");
        }
    }
}
